#include "pipeline/cast_checkpoint.h"

#include "ops/layout.h"

namespace sumi::pipeline {
namespace {

class CastCheckpoint : public io::Checkpoint {
 public:
  CastCheckpoint(std::shared_ptr<const io::Checkpoint> inner, DType dtype) : inner_(std::move(inner)), dtype_(dtype) {
    tensors_ = inner_->tensors();
    metadata_ = inner_->metadata();
    format_ = inner_->format();
    path_ = inner_->path();
    for (io::TensorInfo& info : tensors_) {
      if (is_floating(info.dtype)) info.dtype = dtype;
    }
    index();
  }

  Tensor tensor(std::string_view name) const override {
    Tensor out = inner_->tensor(name);
    if (!is_floating(out.dtype()) || out.dtype() == dtype_) return out;
    if (out.dtype() != DType::kF32) out = cast(out, DType::kF32);
    return dtype_ == DType::kF32 ? out : cast(out, dtype_);
  }

 private:
  std::shared_ptr<const io::Checkpoint> inner_;
  DType dtype_;
};

}  // namespace

std::shared_ptr<const io::Checkpoint> cast_checkpoint(std::shared_ptr<const io::Checkpoint> inner, DType dtype) {
  SUMI_CHECK_KIND(kUsage, dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16,
                  "weights can be f32, f16 or bf16, not {}", name_of(dtype));
  return std::make_shared<CastCheckpoint>(std::move(inner), dtype);
}

}  // namespace sumi::pipeline
