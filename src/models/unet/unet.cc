#include "models/unet/unet.h"

#include "core/autograd.h"
#include "ops/elementwise.h"
#include "ops/layout.h"

namespace sumi::models {
namespace {

// h with what a control network adds to it.
Tensor controlled(const Tensor& h, const Tensor& residual) {
  if (!residual) return h;
  SUMI_CHECK(residual.shape() == h.shape(),
             "a control residual is {} where the UNet has {}; was the control network made for this model?",
             residual.shape().str(), h.shape().str());
  return h + residual;
}

}  // namespace

UNet::UNet(const UNetConfig& config)
    : config_(config),
      time1_(config.model_channels, 4 * config.model_channels),
      time2_(4 * config.model_channels, 4 * config.model_channels),
      out_norm_(config.model_channels * config.channel_mult[0], {.groups = config.norm_groups, .act = Act::kSilu}),
      out_conv_(config.model_channels * config.channel_mult[0], config.out_channels, {.kernel = 3, .pad_begin = 1}) {
  const UNetTopology topology = make_topology(config);
  for (const BlockPlan& plan : topology.input_blocks) input_blocks_.push_back(make_block(config, plan));
  middle_ = make_block(config, topology.middle);
  for (const BlockPlan& plan : topology.output_blocks) output_blocks_.push_back(make_block(config, plan));
}

Tensor UNet::run(const Block& block, Tensor h, const LayerInput& c) const {
  for (const auto& layer : block) {
    if (!checkpointing_ || Tape::current() == nullptr) {
      h = (*layer)(h, c);
      continue;
    }
    const auto again = [&layer = *layer, c](const std::vector<Tensor>& inputs) {
      LayerInput same = c;
      same.emb = inputs[1];
      same.context = inputs[2];
      return layer(inputs[0], same);
    };
    h = checkpoint(again, {h, c.emb, c.context});
  }
  return h;
}

void UNet::check(const Tensor& x, const std::vector<double>& timesteps, const Conditioning& c) const {
  const int64_t added = c.channels ? c.channels.dim(3) : 0;
  SUMI_CHECK(x.dim(3) == config_.in_channels,
             "the UNet takes {} channels, but the latents have {} and {} are concatenated to them; an inpainting model "
             "takes a mask and a masked picture",
             config_.in_channels, x.dim(3) - added, added);
  const int64_t factor = int64_t{1} << (config_.channel_mult.size() - 1);
  // A convolution halves any size; means of 2x2 pixels need even ones.
  const bool any_size = config_.conv_resample && !config_.resblock_updown;
  SUMI_CHECK_KIND(kUsage, any_size || (x.dim(1) % factor == 0 && x.dim(2) % factor == 0),
                  "this UNet cannot halve latents of {}x{} {} times; choose sides that are multiples of {} latents",
                  x.dim(1), x.dim(2), config_.channel_mult.size() - 1, factor);
  SUMI_CHECK(static_cast<int64_t>(timesteps.size()) == x.dim(0), "{} timesteps for {} latents", timesteps.size(),
             x.dim(0));
  const Tensor& text = c.sequence;
  SUMI_CHECK(!text || (text.rank() == 3 && text.dim(0) == x.dim(0) && text.dim(2) == config_.context_dim),
             "the UNet takes a context [{},T,{}], not {}", x.dim(0), config_.context_dim, text.shape().str());
  SUMI_CHECK(text || config_.context_dim == 0 || !config_.use_spatial_transformer, "this UNet needs a text context");
  SUMI_CHECK(c.control.skips.empty() || c.control.skips.size() == input_blocks_.size(),
             "this UNet has {} skip connections, but {} control residuals were given", input_blocks_.size(),
             c.control.skips.size());
}

Tensor UNet::predict(const Tensor& x, const std::vector<double>& timesteps, const Conditioning& conditioning,
                     ContextCache* cache) const {
  check(x, timesteps, conditioning);
  const ControlResiduals& control = conditioning.control;
  const Tensor sinusoid = nn::timestep_embedding(timesteps, config_.model_channels, x.device());
  if (cache != nullptr) cache->use(conditioning.sequence);
  LayerInput c{.emb = time2_(time1_(cast(sinusoid, x.dtype()), {.act = Act::kSilu})),
               .context = conditioning.sequence,
               .cache = cache};
  std::vector<Tensor> skips;
  Tensor h = x;
  for (const Block& block : input_blocks_) skips.push_back(h = run(block, h, c));
  h = controlled(run(middle_, h, c), control.middle);
  for (const Block& block : output_blocks_) {
    const Tensor residual = control.skips.empty() ? Tensor() : control.skips[skips.size() - 1];
    h = concat_channels(h, controlled(skips.back(), residual));
    skips.pop_back();
    c.up_height = skips.empty() ? -1 : skips.back().dim(1);
    c.up_width = skips.empty() ? -1 : skips.back().dim(2);
    h = run(block, h, c);
  }
  return out_conv_(out_norm_(h));
}

void UNet::visit(nn::ParamVisitor& v) {
  v("time_embed.0", time1_);
  v("time_embed.2", time2_);
  for (size_t i = 0; i < input_blocks_.size(); ++i)
    visit_block(v, "input_blocks." + std::to_string(i), input_blocks_[i]);
  visit_block(v, "middle_block", middle_);
  for (size_t i = 0; i < output_blocks_.size(); ++i)
    visit_block(v, "output_blocks." + std::to_string(i), output_blocks_[i]);
  v("out.0", out_norm_);
  v("out.2", out_conv_);
}

}  // namespace sumi::models
