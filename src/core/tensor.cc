#include "core/tensor.h"

#include <cstring>

#include "core/autograd.h"

namespace sumi {

Tensor::Tensor(StoragePtr storage, int64_t offset, Shape shape, DType dtype, Device device)
    : storage_(std::move(storage)),
      offset_(offset),
      shape_(std::move(shape)),
      numel_(shape_.numel()),
      dtype_(dtype),
      device_(device) {
  SUMI_CHECK(offset_ >= 0 && offset_ + bytes() <= storage_->bytes(),
             "a tensor of shape {} reaches beyond its storage of {} bytes", shape_.str(), storage_->bytes());
}

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  SUMI_CHECK_KIND(kUnavailable, is_host(device), "no allocator for the backend {} in this build", name_of(device));
  return Tensor(allocate_host(bytes_of(dtype, shape.numel())), 0, shape, dtype, device);
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor out = empty(shape, dtype, device);
  std::memset(out.raw(), 0, static_cast<size_t>(out.bytes()));
  return out;
}

Tensor Tensor::full(const Shape& shape, float value, Device device) {
  Tensor out = empty(shape, DType::kF32, device);
  std::fill_n(out.data<float>(), out.numel(), value);
  return out;
}

Tensor Tensor::reshape(Shape shape) const {
  int64_t known = 1;
  int wild = -1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1) {
      wild = i;
    } else {
      known *= shape[i];
    }
  }
  if (wild >= 0 && known > 0) shape[wild] = numel_ / known;
  SUMI_CHECK(shape.numel() == numel_, "reshape: {} does not hold the {} elements of {}", shape.str(), numel_,
             shape_.str());
  Tensor out = *this;
  out.shape_ = std::move(shape);
  return out;
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  SUMI_CHECK(rank() >= 1 && 0 <= begin && begin <= end && end <= dim(0), "rows {} to {} are not in {}", begin, end,
             shape_.str());
  Tensor out = *this;
  const int64_t row = dim(0) == 0 ? 0 : numel_ / dim(0);
  out.offset_ += bytes_of(dtype_, begin * row);
  out.shape_[0] = end - begin;
  out.numel_ = row * (end - begin);
  out.grad_ = nullptr;
  if (Tape* tape = Tape::recording({this}))
    tape->record(out, [whole = *this, begin](const Tensor& grad) { add_grad_rows(whole, begin, grad); });
  return out;
}

Tensor Tensor::to(Device device) const {
  SUMI_CHECK_KIND(kUnavailable, is_host(device) && is_host(device_), "this build cannot move tensors from {} to {}",
                  name_of(device_), name_of(device));
  Tensor out = *this;
  out.device_ = device;
  return out;
}

void Tensor::set_requires_grad(bool required) { grad_ = required ? std::make_shared<GradSlot>() : nullptr; }

Tensor Tensor::grad() const { return grad_ && grad_->value ? grad_->value.reshape(shape_) : Tensor(); }

void Tensor::clear_grad() {
  if (grad_) grad_->value = {};
}

Tensor Tensor::detach() const {
  Tensor out = *this;
  out.grad_ = nullptr;
  return out;
}

Tensor Tensor::clone() const {
  Tensor out = empty(shape_, dtype_, device_);
  std::memcpy(out.raw(), raw(), static_cast<size_t>(bytes()));
  return out;
}

}  // namespace sumi
