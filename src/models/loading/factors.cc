#include "models/loading/factors.h"

#include <unordered_map>
#include <unordered_set>

#include "base/check.h"
#include "base/text_util.h"
#include "models/loading/bind.h"
#include "ops/elementwise.h"
#include "ops/layout.h"

namespace sumi::models {
namespace {

constexpr std::string_view kWeight = ".weight";

// The name of the weight's factor; empty where the file has none.
std::string factor_of(const io::Checkpoint& file, const io::TensorInfo& weight) {
  if (!is_float8(weight.dtype) || !weight.name.ends_with(kWeight)) return {};
  const std::string layer = weight.name.substr(0, weight.name.size() - kWeight.size());
  for (const char* ending : {".scale_weight", ".weight_scale"}) {
    if (file.has(layer + ending)) return layer + ending;
  }
  return {};
}

// What only says that there are factors, or how to round activations to 8 bits.
bool is_of_factors(std::string_view name) {
  return name.ends_with("scaled_fp8") || name.ends_with(".scale_input") || name.ends_with(".input_scale");
}

class Scaled : public io::Checkpoint {
 public:
  explicit Scaled(std::unique_ptr<io::Checkpoint> file) : file_(std::move(file)) {
    path_ = file_->path();
    format_ = file_->format();
    metadata_ = file_->metadata();
    std::unordered_set<std::string> taken;
    for (const io::TensorInfo& info : file_->tensors()) {
      const std::string factor = factor_of(*file_, info);
      if (factor.empty()) continue;
      const io::TensorInfo& number = *file_->find(factor);
      SUMI_CHECK(number.shape.numel() == 1 && is_floating(number.dtype), "{}: \"{}\" is not one number", path_.string(),
                 strip_control(factor));
      factors_.emplace(info.name, factor);
      taken.insert(factor);
    }
    for (const io::TensorInfo& info : file_->tensors()) {
      if (taken.contains(info.name) || is_of_factors(info.name)) continue;
      tensors_.push_back({info.name, factors_.contains(info.name) ? DType::kF32 : info.dtype, info.shape});
    }
    index();
  }

  bool any() const { return !factors_.empty(); }
  std::unique_ptr<io::Checkpoint> give_back() { return std::move(file_); }

  Tensor tensor(std::string_view name) const override {
    Tensor value = file_->tensor(name);
    const auto found = factors_.find(std::string(name));
    if (found == factors_.end()) return value;
    const float factor = cast(file_->tensor(found->second), DType::kF32).host<float>()[0];
    return affine(factor, cast(value, DType::kF32), 0.0f, {});
  }

  bool is_copied(std::string_view name) const override {
    return factors_.contains(std::string(name)) || file_->is_copied(name);
  }
  void check_intact() const override { file_->check_intact(); }
  void release_pages() const override { file_->release_pages(); }

 private:
  std::unique_ptr<io::Checkpoint> file_;
  std::unordered_map<std::string, std::string> factors_;  // by the weights' names
};

}  // namespace

std::unique_ptr<io::Checkpoint> with_factors_applied(std::unique_ptr<io::Checkpoint> file) {
  auto scaled = std::make_unique<Scaled>(std::move(file));
  if (!scaled->any()) return scaled->give_back();
  return scaled;
}

}  // namespace sumi::models
