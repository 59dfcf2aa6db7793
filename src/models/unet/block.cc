#include "models/unet/block.h"

#include "models/unet/res_block.h"
#include "models/unet/transformer.h"

namespace sumi::models {
namespace {

std::unique_ptr<UNetLayer> make_layer(const UNetConfig& config, const LayerPlan& plan) {
  switch (plan.kind) {
    case LayerPlan::Kind::kConv: return std::make_unique<ConvLayer>(plan.in, plan.out);
    case LayerPlan::Kind::kResample: return std::make_unique<ResampleLayer>(plan.in, plan.resample, plan.with_conv);
    case LayerPlan::Kind::kAttention: return std::make_unique<AttentionBlock>(plan.in, plan.heads, config.norm_groups);
    case LayerPlan::Kind::kTransformer:
      return std::make_unique<SpatialTransformer>(
          SpatialTransformerConfig{.channels = plan.in,
                                   .heads = plan.heads,
                                   .head_dim = plan.head_dim,
                                   .depth = plan.depth,
                                   .context_dim = config.context_dim,
                                   .norm_groups = config.norm_groups,
                                   .linear_projections = config.use_linear_in_transformer});
    case LayerPlan::Kind::kResBlock: break;
  }
  return std::make_unique<ResBlock>(ResBlock::Config{.in = plan.in,
                                                     .out = plan.out,
                                                     .time = 4 * config.model_channels,
                                                     .norm_groups = config.norm_groups,
                                                     .scale_shift = config.use_scale_shift_norm,
                                                     .resample = plan.resample});
}

}  // namespace

UNetBlock make_block(const UNetConfig& config, const BlockPlan& plan) {
  UNetBlock block;
  for (const LayerPlan& layer : plan.layers) block.push_back(make_layer(config, layer));
  return block;
}

void visit_block(nn::ParamVisitor& v, const std::string& name, UNetBlock& block) {
  for (size_t i = 0; i < block.size(); ++i) v(name + "." + std::to_string(i), *block[i]);
}

}  // namespace sumi::models
