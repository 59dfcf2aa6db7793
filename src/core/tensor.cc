#include "core/tensor.h"

#include <bit>

#include "core/allocator.h"
#include "core/autograd.h"
#include "core/host_memory.h"

namespace sumi {

Tensor::Tensor(BufferPtr buffer, int64_t offset, Shape shape, DType dtype, Device device)
    : buffer_(std::move(buffer)),
      offset_(offset),
      shape_(std::move(shape)),
      numel_(shape_.numel()),
      dtype_(dtype),
      device_(device) {
  SUMI_CHECK(offset_ >= 0 && offset_ + bytes() <= buffer_->bytes(),
             "a tensor of shape {} reaches beyond its buffer of {} bytes", shape_.str(), buffer_->bytes());
  SUMI_CHECK_KIND(kInternal, memory_of(device_) == buffer_->device(), "a tensor of {} in the memory of {}",
                  name_of(device_), name_of(buffer_->device()));
}

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  return Tensor(allocator_of(device).allocate(bytes_of(dtype, shape.numel())), 0, shape, dtype, device);
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor out = empty(shape, dtype, device);
  allocator_of(device).fill(*out.buffer_, 0, out.bytes(), 0);
  return out;
}

Tensor Tensor::full(const Shape& shape, float value, Device device) {
  Tensor out = empty(shape, DType::kF32, device);
  allocator_of(device).fill(*out.buffer_, 0, out.bytes(), std::bit_cast<uint32_t>(value));
  return out;
}

View Tensor::view() const {
  if (!buffer_) return {};
  return {.device = device_, .dtype = dtype_, .handle = buffer_->handle(), .offset = offset_, .count = numel_};
}

void Tensor::check_writable() const {
  SUMI_CHECK_KIND(kInternal, !buffer_ || buffer_->is_fresh(), "a tensor {} of a file is not to be written to",
                  shape_.str());
}

MutableView Tensor::mutable_view() {
  check_writable();
  return {view()};
}

void Tensor::write(std::span<const std::byte> bytes) {
  SUMI_CHECK_KIND(kInternal, static_cast<int64_t>(bytes.size()) == this->bytes(), "{} bytes for a tensor of {}",
                  bytes.size(), this->bytes());
  check_writable();
  if (!bytes.empty()) allocator_of(device_).upload(bytes.data(), *buffer_, offset_, this->bytes());
}

void Tensor::copy_from(const Tensor& from) {
  SUMI_CHECK_KIND(kInternal, from.numel_ == numel_ && from.dtype_ == dtype_, "a tensor {} of {} cannot take {} of {}",
                  shape_.str(), name_of(dtype_), from.shape_.str(), name_of(from.dtype_));
  check_writable();
  if (numel_ == 0) return;
  if (memory_of(from.device_) == memory_of(device_)) {
    allocator_of(device_).copy(*from.buffer_, from.offset_, *buffer_, offset_, bytes());
  } else {
    const HostView<std::byte> bytes(from);
    write(bytes.span());
  }
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
  if (!buffer_ || memory_of(device) == memory_of(device_)) {
    Tensor out = *this;
    out.device_ = device;
    return out;
  }
  Tensor out = empty(shape_, dtype_, device);
  out.copy_from(*this);
  if (Tape* tape = Tape::recording({this}))
    tape->record(out, [x = *this](const Tensor& grad) { add_grad(x, grad.to(x.device())); });
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
  out.copy_from(*this);
  return out;
}

namespace detail {

HostBytes host_bytes(const Tensor& x, int type) {
  SUMI_CHECK_KIND(kInternal, x.defined(), "an undefined tensor has no elements");
  const bool fits = type < 0 || static_cast<int>(x.dtype()) == type ||
                    (x.dtype() == DType::kBool && type == static_cast<int>(DType::kU8));
  SUMI_CHECK_KIND(kInternal, fits, "elements of type {} are read as {}", name_of(x.dtype()),
                  name_of(static_cast<DType>(type)));
  const int64_t bytes = x.bytes();
  if (is_host(x.device())) return {static_cast<std::byte*>(x.buffer()->handle()) + x.offset(), bytes, x.buffer()};
  const BufferPtr copy = host_allocator().allocate(bytes);
  auto* data = static_cast<std::byte*>(copy->handle());
  if (bytes > 0) allocator_of(x.device()).download(*x.buffer(), x.offset(), data, bytes);
  return {data, bytes, copy, x.buffer(), x.offset()};
}

HostBytes editable_bytes(Tensor& x, int type) {
  x.mutable_view();  // refuses a file's tensor
  return host_bytes(x, type);
}

void put_back(const HostBytes& held) {
  if (held.origin && held.bytes > 0)
    allocator_of(held.origin->device()).upload(held.data, *held.origin, held.origin_offset, held.bytes);
}

}  // namespace detail

}  // namespace sumi
