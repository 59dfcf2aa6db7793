#include "models/safety/safety_checker.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "core/context.h"
#include "core/host_view.h"
#include "models/loading/bind.h"
#include "nn/layers.h"
#include "ops/layout.h"

namespace sumi::models {
namespace {

constexpr double kLeastLength = 1e-12;
constexpr double kSpecialCare = 0.01;  // what one of those concepts adds to the scores that follow

std::vector<float> values_of(const Tensor& tensor) {
  const HostView<float> values(cast(tensor.to(Device::kCpu), DType::kF32));
  return {values.begin(), values.end()};
}

// Each row divided by its length.
void make_unit(std::vector<float>& rows, int64_t width) {
  for (auto row = rows.begin(); row != rows.end(); row += width) {
    double sum = 0.0;
    for (auto v = row; v != row + width; ++v) sum += double{*v} * *v;
    const double length = std::max(std::sqrt(sum), kLeastLength);
    for (auto v = row; v != row + width; ++v) *v = static_cast<float>(*v / length);
  }
}

// The products of all rows of `seen` [n,width] with all of `concepts` [m,width]: [n,m].
Tensor cosines(const std::vector<float>& seen, const std::vector<float>& concepts, int64_t width) {
  const auto count = static_cast<int64_t>(seen.size()) / width, others = static_cast<int64_t>(concepts.size()) / width;
  std::vector<float> out;
  for (int64_t n = 0; n < count; ++n) {
    for (int64_t m = 0; m < others; ++m) {
      double sum = 0.0;
      for (int64_t i = 0; i < width; ++i)
        sum += double{seen[static_cast<size_t>(n * width + i)]} * concepts[static_cast<size_t>(m * width + i)];
      out.push_back(static_cast<float>(sum));
    }
  }
  return Tensor::from(out, {count, others});
}

// As Python's round(x, 3).
double thousandths(double x) { return std::nearbyint(x * 1000.0) / 1000.0; }

}  // namespace

class SafetyChecker::Network : public nn::Module {
 public:
  explicit Network(const SafetyFiles& f)
      : tower_name(f.tower.substr(0, f.tower.size() - 1)),
        tower(f.vision),
        projection(f.vision.layer.hidden_size, f.projection, {.bias = false}),
        concepts{{f.concepts, f.projection}, {}},
        special{{f.special_concepts, f.projection}, {}},
        concept_thresholds{{f.concepts}, {}},
        special_thresholds{{f.special_concepts}, {}} {}

  void visit(nn::ParamVisitor& v) override {
    v(tower_name, tower);
    v("visual_projection", projection);
    v("concept_embeds", concepts);
    v("special_care_embeds", special);
    v("concept_embeds_weights", concept_thresholds);
    v("special_care_embeds_weights", special_thresholds);
  }

  std::string tower_name;
  ClipVision tower;
  nn::Linear projection;
  nn::Param concepts, special, concept_thresholds, special_thresholds;
};

SafetyChecker::SafetyChecker(const std::filesystem::path& path, Device device)
    : files_(find_safety_checker(path)), device_(device) {
  auto network = std::make_shared<Network>(files_);
  BindReport report;
  bind_module(*network, *files_.file, files_.prefix, report, {.device = device});
  report.check();
  concepts_ = values_of(network->concepts.value);
  special_ = values_of(network->special.value);
  make_unit(concepts_, files_.projection);
  make_unit(special_, files_.projection);
  concept_thresholds_ = values_of(network->concept_thresholds.value);
  special_thresholds_ = values_of(network->special_thresholds.value);
  nn::for_each_param(*network, files_.prefix, [&](const std::string& name, nn::Param& param) {
    const int64_t bytes = bytes_of(param.value.dtype(), param.value.numel());
    const bool mapped = is_host(device) && param.value.dtype() == files_.file->find(name)->dtype;
    weights_ += bytes;
    if (mapped && !files_.file->is_copied(name)) mapped_ += bytes;
  });
  network_ = std::move(network);
}

// The states, queries, keys, values, what attention made of them and the sum, the inner layer, and the attention's
// weights where they are made at once.
int64_t SafetyChecker::activation_bytes() const {
  const ClipTextConfig& layer = files_.vision.layer;
  const int64_t tokens = files_.vision.tokens();
  const int64_t a_token = 7 * layer.hidden_size + layer.intermediate_size + layer.heads * tokens;
  const int64_t picture = 3 * side() * side();
  return static_cast<int64_t>(sizeof(float)) * (tokens * a_token + 2 * picture);
}

void SafetyChecker::set_thresholds(std::vector<float> concepts, std::vector<float> special) {
  SUMI_CHECK_KIND(kUsage, concepts.size() == concept_thresholds_.size() && special.size() == special_thresholds_.size(),
                  "the safety checker has {} concepts and {} of special care; {} and {} thresholds do not fit",
                  concept_thresholds_.size(), special_thresholds_.size(), concepts.size(), special.size());
  concept_thresholds_ = std::move(concepts);
  special_thresholds_ = std::move(special);
}

SafetyStates SafetyChecker::look(const Tensor& pictures) const {
  const ContextScope scope([](Context& context) { context.activations = DType::kF32; });
  const Tensor last = network_->tower.states(pictures.to(device_)), pooled = network_->tower.pooled(last),
               embeds = network_->projection(pooled);
  std::vector<float> seen = values_of(embeds);
  make_unit(seen, files_.projection);
  return {.last_hidden = last.to(Device::kCpu),
          .pooled = pooled.to(Device::kCpu),
          .embeds = embeds.to(Device::kCpu),
          .special_cos = cosines(seen, special_, files_.projection),
          .concept_cos = cosines(seen, concepts_, files_.projection)};
}

std::vector<SafetyReport> SafetyChecker::judge(const SafetyStates& states) const {
  const HostView<float> special(states.special_cos), concepts(states.concept_cos);
  std::vector<SafetyReport> reports(static_cast<size_t>(states.concept_cos.dim(0)));
  const float *next_special = special.data(), *next_concept = concepts.data();
  const auto score_of = [&](float cosine, float threshold, double adjustment) {
    const double score = thousandths(double{cosine} - double{threshold} + adjustment);
    SUMI_CHECK(std::isfinite(score), "{}: what it makes of a picture is not a number; the file is broken",
               files_.file->path().string());
    return score;
  };
  for (SafetyReport& report : reports) {
    double adjustment = 0.0;
    for (const float threshold : special_thresholds_) {
      const double score = score_of(*next_special++, threshold, adjustment);
      report.special.push_back(static_cast<float>(score));
      if (score > 0.0) adjustment = kSpecialCare;
    }
    for (const float threshold : concept_thresholds_) {
      const double score = score_of(*next_concept++, threshold, adjustment);
      report.concepts.push_back(static_cast<float>(score));
      report.flagged |= score > 0.0;
    }
  }
  return reports;
}

}  // namespace sumi::models
