#include "io/mapped_tensors.h"

#include "base/check.h"
#include "base/text_util.h"

namespace sumi::io {
namespace {

// Blocks hold f16 scales beside their bytes.
int64_t alignment_of(DType dtype) { return is_quantized(dtype) ? 2 : size_of(dtype); }

}  // namespace

Tensor MappedTensors::tensor(std::string_view name) const {
  const TensorInfo* info = find(name);
  SUMI_CHECK(info != nullptr, "{}: there is no tensor \"{}\"", path_.string(), strip_control(name));
  const int64_t offset = offset_of(*info);
  file_->check_intact();
  if (info->shape.numel() == 0) return Tensor::empty(info->shape, info->dtype);
  if (!is_copied(name)) return Tensor(file_, offset, info->shape, info->dtype);
  Tensor copy = Tensor::empty(info->shape, info->dtype);
  copy.write(std::as_bytes(file_->contents().subspan(static_cast<size_t>(offset), static_cast<size_t>(copy.bytes()))));
  return copy;
}

bool MappedTensors::is_copied(std::string_view name) const {
  const TensorInfo* info = find(name);
  return info != nullptr && offset_of(*info) % alignment_of(info->dtype) != 0;
}

}  // namespace sumi::io
