#include "models/control/control_net.h"

#include <cmath>
#include <utility>

#include "base/check.h"
#include "ops/activation.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/layout.h"

namespace sumi::models {
namespace {

// The hint's encoder, down to an eighth: channels, and which convolutions halve.
struct HintLayer {
  int64_t out;
  int64_t stride;
};
constexpr HintLayer kHintLayers[] = {{16, 1}, {16, 1}, {32, 2}, {32, 1}, {96, 2}, {96, 1}, {256, 2}};

Tensor one_for_each(const Tensor& x, int64_t count) {
  if (x.dim(0) == count) return x;
  SUMI_CHECK(x.dim(0) == 1, "{} hints for {} latents", x.dim(0), count);
  return concat_rows(std::vector<Tensor>(static_cast<size_t>(count), x));
}

// The mean of each picture x [N,H,W,C] at all of its pixels.
Tensor mean_everywhere(const Tensor& x) {
  const auto pixels = static_cast<float>(x.dim(1) * x.dim(2));
  const Tensor mean = sum_rows(cast(x, DType::kF32), x.dim(0), x.dim(3)) / pixels;
  return add_per_channel(Tensor::zeros(x.shape(), x.dtype(), x.device()), cast(mean, x.dtype()));
}

}  // namespace

ControlNet::ControlNet(const UNetConfig& config, bool pooled)
    : config_(config),
      pooled_(pooled),
      time1_(config.model_channels, 4 * config.model_channels),
      time2_(4 * config.model_channels, 4 * config.model_channels),
      middle_out_(config.model_channels * config.channel_mult.back(),
                  config.model_channels * config.channel_mult.back(), {.kernel = 1}) {
  int64_t channels = 3;
  const auto add_hint = [&](int64_t out, int64_t stride) {
    hint_.emplace_back(channels, out, nn::Conv2dConfig{.kernel = 3, .stride = stride, .pad_begin = 1});
    channels = out;
  };
  for (const HintLayer& layer : kHintLayers) add_hint(layer.out, layer.stride);
  add_hint(config.model_channels, 1);
  const UNetTopology topology = make_topology(config);
  for (const BlockPlan& plan : topology.input_blocks) {
    blocks_.push_back(make_block(config, plan));
    zero_convs_.emplace_back(plan.skip, plan.skip, nn::Conv2dConfig{.kernel = 1});
  }
  middle_ = make_block(config, topology.middle);
}

Tensor ControlNet::encode_hint(const Tensor& hint) const {
  SUMI_CHECK(hint.rank() == 4 && hint.dim(3) == 3, "a hint is a picture [N,H,W,3], not {}", hint.shape().str());
  Tensor h = hint_.front()(hint);
  for (size_t i = 1; i < hint_.size(); ++i) h = hint_[i](silu(h));
  return h;
}

void ControlNet::check(const Tensor& x, const std::vector<double>& timesteps, const Tensor& sequence,
                       const Tensor& hint) const {
  const bool fits = x.rank() == 4 && hint.rank() == 4 && x.dim(3) == config_.in_channels && hint.dim(1) == x.dim(1) &&
                    hint.dim(2) == x.dim(2) && hint.dim(3) == config_.model_channels;
  SUMI_CHECK(fits, "a ControlNet takes latents of {} channels and a hint of their size, not {} and {}",
             config_.in_channels, x.shape().str(), hint.shape().str());
  SUMI_CHECK(static_cast<int64_t>(timesteps.size()) == x.dim(0), "{} timesteps for {} latents", timesteps.size(),
             x.dim(0));
  SUMI_CHECK(sequence && sequence.rank() == 3 && sequence.dim(0) == x.dim(0) && sequence.dim(2) == config_.context_dim,
             "this ControlNet takes a text [{},T,{}], not {}", x.dim(0), config_.context_dim,
             sequence ? sequence.shape().str() : "none");
}

ControlResiduals ControlNet::operator()(const Tensor& x, const std::vector<double>& timesteps, const Tensor& sequence,
                                        const Tensor& hint, ContextCache* cache) const {
  check(x, timesteps, sequence, hint);
  const Tensor sinusoid = nn::timestep_embedding(timesteps, config_.model_channels, x.device());
  if (cache != nullptr) cache->use(sequence);
  const LayerInput c{
      .emb = time2_(time1_(cast(sinusoid, x.dtype()), {.act = Act::kSilu})), .context = sequence, .cache = cache};
  const auto run = [&](const UNetBlock& block, Tensor h) {
    for (const auto& layer : block) h = (*layer)(h, c);
    return h;
  };
  const auto residual = [&](const Tensor& y) { return pooled_ ? mean_everywhere(y) : y; };
  ControlResiduals out;
  Tensor h = x;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    h = run(blocks_[i], h);
    if (i == 0) h = h + one_for_each(hint, x.dim(0));
    out.skips.push_back(residual(zero_convs_[i](h)));
  }
  out.middle = residual(middle_out_(run(middle_, h)));
  return out;
}

void ControlNet::visit(nn::ParamVisitor& v) {
  v("time_embed.0", time1_);
  v("time_embed.2", time2_);
  for (size_t i = 0; i < hint_.size(); ++i) v("input_hint_block." + std::to_string(2 * i), hint_[i]);
  for (size_t i = 0; i < blocks_.size(); ++i) visit_block(v, "input_blocks." + std::to_string(i), blocks_[i]);
  for (size_t i = 0; i < zero_convs_.size(); ++i) v("zero_convs." + std::to_string(i) + ".0", zero_convs_[i]);
  visit_block(v, "middle_block", middle_);
  v("middle_block_out.0", middle_out_);
}

void weigh(ControlResiduals& residuals, double weight, bool soft) {
  constexpr double kSoft = 0.825;
  const auto factor = [&](size_t steps) {
    return static_cast<float>(weight * (soft ? std::pow(kSoft, static_cast<double>(steps)) : 1.0));
  };
  const size_t n = residuals.skips.size();
  for (size_t i = 0; i < n; ++i) {
    if (factor(n - i) != 1.0f) residuals.skips[i] = residuals.skips[i] * factor(n - i);
  }
  if (factor(0) != 1.0f) residuals.middle = residuals.middle * factor(0);
}

ControlResiduals add(ControlResiduals a, const ControlResiduals& b) {
  if (a.skips.empty()) return b;
  for (size_t i = 0; i < a.skips.size(); ++i) a.skips[i] = a.skips[i] + b.skips[i];
  a.middle = a.middle + b.middle;
  return a;
}

ControlResiduals after_nothing(const ControlResiduals& residuals, int64_t count) {
  const auto extended = [&](const Tensor& x) {
    Shape shape = x.shape();
    shape[0] = count;
    return concat_rows({Tensor::zeros(shape, x.dtype(), x.device()), x});
  };
  ControlResiduals out;
  for (const Tensor& skip : residuals.skips) out.skips.push_back(extended(skip));
  out.middle = extended(residuals.middle);
  return out;
}

}  // namespace sumi::models
