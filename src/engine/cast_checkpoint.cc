#include "engine/cast_checkpoint.h"

#include <limits>

#include "base/text_util.h"
#include "core/quantized.h"
#include "models/loading/bind.h"
#include "ops/layout.h"

namespace sumi::engine {
namespace {

// Small tensors, and rows that do not divide into whole blocks, are not quantised: they are few and matter most.
bool becomes(const io::TensorInfo& info, DType dtype) {
  if (!is_floating(info.dtype) && !is_quantized(info.dtype)) return false;
  if (!is_quantized(dtype)) return true;
  return info.shape.rank() >= 2 && info.shape[0] > 0 && info.shape.numel() / info.shape[0] % kQuantBlock == 0;
}

class CastCheckpoint : public io::Checkpoint {
 public:
  CastCheckpoint(std::shared_ptr<const io::Checkpoint> inner, DType dtype, std::optional<DType> convolutions)
      : inner_(std::move(inner)) {
    tensors_ = inner_->tensors();
    metadata_ = inner_->metadata();
    format_ = inner_->format();
    path_ = inner_->path();
    for (io::TensorInfo& info : tensors_) {
      const DType wanted = info.shape.rank() == 4 ? convolutions.value_or(dtype) : dtype;
      if (becomes(info, wanted)) info.dtype = wanted;
    }
    index();
  }

  Tensor tensor(std::string_view name) const override {
    Tensor out = inner_->tensor(name);
    const io::TensorInfo* info = find(name);
    if (info->dtype == out.dtype()) return out;
    SUMI_CHECK(is_weight_type(out.dtype()) || models::is_converted(out.dtype()),
               "{}: tensor \"{}\" has the type {}; only floating-point and quantised weights can become {}",
               path_.string(), strip_control(name), name_of(out.dtype()), name_of(info->dtype));
    if (out.dtype() != DType::kF32) out = cast(out, DType::kF32);
    // Blocks cannot represent NaN, so warn here; in the other types binding finds them.
    if (is_quantized(info->dtype))
      models::warn_of_non_finite(path_.string(), info->name, out, std::numeric_limits<int64_t>::max());
    return info->dtype == DType::kF32 ? out : cast(out, info->dtype);
  }

  bool is_copied(std::string_view name) const override {
    const io::TensorInfo *info = find(name), *before = inner_->find(name);
    return info != nullptr && (before->dtype != info->dtype || inner_->is_copied(name));
  }
  void check_intact() const override { inner_->check_intact(); }
  void release_pages() const override { inner_->release_pages(); }

 private:
  std::shared_ptr<const io::Checkpoint> inner_;
};

}  // namespace

std::shared_ptr<const io::Checkpoint> cast_checkpoint(std::shared_ptr<const io::Checkpoint> inner, DType dtype,
                                                      std::optional<DType> convolutions) {
  SUMI_CHECK_KIND(kUsage, is_weight_type(dtype) && (!is_quantized(dtype) || is_writable_quantized(dtype)),
                  "weights can be f32, f16, bf16, q8_0 or q4_0, not {}", name_of(dtype));
  SUMI_CHECK_KIND(kUsage, !convolutions || (is_weight_type(*convolutions) && !is_quantized(*convolutions)),
                  "convolutions can be f32, f16 or bf16, not {}", name_of(*convolutions));
  return std::make_shared<CastCheckpoint>(std::move(inner), dtype, convolutions);
}

}  // namespace sumi::engine
