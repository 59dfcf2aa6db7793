#include "models/autoencoder_kl/autoencoder_kl.h"

#include <algorithm>

#include "models/autoencoder_kl/tiles.h"
#include "nn/border.h"
#include "ops/layout.h"
#include "ops/tiled_norms.h"
#include "ops/window.h"

namespace sumi::models {
namespace {

constexpr nn::Conv2dConfig kConv3x3{.kernel = 3, .pad_begin = 1};
constexpr nn::Conv2dConfig kConv1x1{.kernel = 1};
// The encoder halves with one zero row below and one zero column on the right.
constexpr nn::Conv2dConfig kConvDown{.kernel = 3, .stride = 2, .pad_begin = 0, .pad_end = 1};

bool attends_at(const AutoencoderConfig& c, int64_t resolution) {
  return std::find(c.attn_resolutions.begin(), c.attn_resolutions.end(), resolution) != c.attn_resolutions.end();
}

VaeLevel make_level(int64_t in, int64_t out, int64_t blocks, bool attends, int64_t groups) {
  VaeLevel level;
  for (int64_t i = 0; i < blocks; ++i) {
    level.blocks.push_back(std::make_unique<VaeResBlock>(i == 0 ? in : out, out, groups));
    if (attends) level.attentions.push_back(std::make_unique<VaeAttention>(out, groups));
  }
  return level;
}

}  // namespace

Tensor VaeLevel::run(Tensor h) const {
  for (size_t i = 0; i < blocks.size(); ++i) {
    h = (*blocks[i])(std::move(h));
    if (!attentions.empty()) h = (*attentions[i])(h);
  }
  return h;
}

void VaeLevel::visit(nn::ParamVisitor& v, const std::string& name, const char* resample_name) {
  for (size_t i = 0; i < blocks.size(); ++i) v(name + ".block." + std::to_string(i), *blocks[i]);
  for (size_t i = 0; i < attentions.size(); ++i) v(name + ".attn." + std::to_string(i), *attentions[i]);
  if (resample) v(name + "." + resample_name + ".conv", *resample);
}

VaeEncoder::VaeEncoder(const AutoencoderConfig& c)
    : conv_in_(c.in_channels, c.ch, kConv3x3),
      middle_(c.ch * c.ch_mult.back(), c.norm_groups),
      norm_out_(c.ch * c.ch_mult.back(), vae_norm(c.norm_groups)),
      conv_out_(c.ch * c.ch_mult.back(), 2 * c.z_channels, kConv3x3) {
  int64_t channels = c.ch, resolution = c.resolution;
  for (size_t i = 0; i < c.ch_mult.size(); ++i, resolution /= 2) {
    const int64_t width = c.ch * c.ch_mult[i];
    levels_.push_back(make_level(channels, width, c.num_res_blocks, attends_at(c, resolution), c.norm_groups));
    if (i + 1 < c.ch_mult.size()) levels_.back().resample.emplace(width, width, kConvDown);
    channels = width;
  }
}

Tensor VaeEncoder::operator()(const Tensor& image) const {
  Tensor h = conv_in_(image);
  for (const VaeLevel& level : levels_) {
    h = level.run(std::move(h));
    if (level.resample) h = (*level.resample)(h);
  }
  return conv_out_(norm_out_(middle_(std::move(h))));
}

void VaeEncoder::visit(nn::ParamVisitor& v) {
  v("conv_in", conv_in_);
  for (size_t i = 0; i < levels_.size(); ++i) levels_[i].visit(v, "down." + std::to_string(i), "downsample");
  v("mid", middle_);
  v("norm_out", norm_out_);
  v("conv_out", conv_out_);
}

int64_t VaeLevel::border_before(int64_t border) const {
  if (resample) border = nn::border_before_enlarging(border + resample->border());
  for (const auto& block : blocks) border += block->border();
  return border;
}

VaeDecoder::VaeDecoder(const AutoencoderConfig& c)
    : conv_in_(c.z_channels, c.ch * c.ch_mult.back(), kConv3x3),
      middle_(c.ch * c.ch_mult.back(), c.norm_groups),
      levels_(c.ch_mult.size()),
      norm_out_(c.ch * c.ch_mult[0], vae_norm(c.norm_groups)),
      conv_out_(c.ch * c.ch_mult[0], c.out_channels, kConv3x3) {
  int64_t channels = c.ch * c.ch_mult.back(), resolution = c.resolution >> (c.ch_mult.size() - 1);
  for (size_t i = c.ch_mult.size(); i-- > 0; resolution *= 2) {
    const int64_t width = c.ch * c.ch_mult[i];
    levels_[i] = make_level(channels, width, c.num_res_blocks + 1, attends_at(c, resolution), c.norm_groups);
    if (i > 0) levels_[i].resample.emplace(width, width, kConv3x3);
    channels = width;
  }
}

Tensor VaeLevel::run_and_enlarge(Tensor h) const {
  h = run(std::move(h));
  if (!resample) return h;
  h = upsample_nearest_2x(h);
  return (*resample)(h);
}

Tensor VaeDecoder::operator()(const Tensor& z) const { return tail(head(z, levels_.size() - 1), levels_.size() - 1); }

Tensor VaeDecoder::head(const Tensor& z, size_t level) const {
  Tensor h = middle_(conv_in_(z));
  for (size_t i = levels_.size(); i-- > level + 1;) h = levels_[i].run_and_enlarge(std::move(h));
  return h;
}

Tensor VaeDecoder::climb(Tensor h, size_t level) const {
  for (size_t i = level + 1; i-- > 0;) h = levels_[i].run_and_enlarge(std::move(h));
  return norm_out_(std::move(h));
}

Tensor VaeDecoder::tail(Tensor h, size_t level) const { return conv_out_(climb(std::move(h), level)); }

int64_t VaeDecoder::border(size_t level) const {
  int64_t border = conv_out_.border();
  for (size_t i = 0; i <= level; ++i) border = levels_[i].border_before(border);
  return border;
}

Tensor VaeDecoder::features(const Tensor& z) const { return climb(head(z, levels_.size() - 1), levels_.size() - 1); }

void VaeDecoder::visit(nn::ParamVisitor& v) {
  v("conv_in", conv_in_);
  v("mid", middle_);
  for (size_t i = 0; i < levels_.size(); ++i) levels_[i].visit(v, "up." + std::to_string(i), "upsample");
  v("norm_out", norm_out_);
  v("conv_out", conv_out_);
}

AutoencoderKL::AutoencoderKL(const AutoencoderConfig& c)
    : encoder_(c),
      decoder_(c),
      quant_(2 * c.z_channels, 2 * c.embed_dim, kConv1x1),
      post_quant_(c.embed_dim, c.z_channels, kConv1x1),
      config_(c) {}

Tensor AutoencoderKL::encode(const Tensor& image) const {
  SUMI_CHECK_KIND(
      kUsage,
      image.rank() == 4 && image.dim(1) % config_.downsampling() == 0 && image.dim(2) % config_.downsampling() == 0,
      "pictures to encode must be [N,H,W,3] with sides that are multiples of {}, not {}", config_.downsampling(),
      image.shape().str());
  return cast(quant_(encoder_(cast(image, Context::current().activations))), DType::kF32);
}

Tensor AutoencoderKL::decode(const Tensor& z) const {
  return cast(decoder_(post_quant_(cast(z, Context::current().activations))), DType::kF32);
}

Tensor AutoencoderKL::features(const Tensor& z) const { return decoder_.features(post_quant_(z)); }

Tensor AutoencoderKL::decode_tiled(const Tensor& z, int64_t budget, int passes) const {
  SUMI_CHECK(z.rank() == 4 && z.dim(0) == 1, "tiled decoding takes one latent [1,h,w,z], not {}", z.shape().str());
  const TilePlan plan = plan_tiles(config_, z.dim(1), z.dim(2), budget);
  const Tensor h = decoder_.head(post_quant_(cast(z, Context::current().activations)), plan.level);
  const Wraps wraps{.y = Context::current().wrap_y, .x = Context::current().wrap_x};
  const std::vector<TileSide> rows = cut(h.dim(1), plan, wraps.y), columns = cut(h.dim(2), plan, wraps.x);
  TiledNorms norms;
  if (rows.size() * columns.size() > 1) {
    const int64_t side = plan.own + 2 * plan.halo;
    const Tensor sample = pick_pixels(h, std::min(h.dim(1), side), std::min(h.dim(2), side));
    norms.begin_sample();
    decoder_.tail(sample, plan.level);
  }
  // A tile's own edges are no edges of the picture.
  const ContextScope in_tiles([&](Context& context) {
    context.wrap_y = wraps.y && rows.size() == 1;
    context.wrap_x = wraps.x && columns.size() == 1;
  });
  Tensor picture;
  for (int pass = 0; pass <= passes; ++pass) {
    for (const TileSide& r : rows) {
      for (const TileSide& c : columns) {
        const TiledNorms::Tile own{r.to - r.from, r.begin - r.from, r.end - r.from, c.begin - c.from, c.end - c.from};
        norms.begin_tile(own, pass < passes);
        const Tensor tile = decoder_.tail(window(h, r.from, r.to, c.from, c.to, wraps), plan.level);
        if (pass < passes) continue;
        const int64_t f = plan.factor;
        if (!picture) picture = Tensor::empty({1, h.dim(1) * f, h.dim(2) * f, tile.dim(3)}, h.dtype(), h.device());
        paste(crop(tile, own.top * f, own.bottom * f, own.left * f, own.right * f), picture, r.begin * f, c.begin * f);
      }
    }
    if (pass < passes) norms.end_pass();
  }
  return cast(picture, DType::kF32);
}

void AutoencoderKL::visit(nn::ParamVisitor& v) {
  v("encoder", encoder_);
  v("decoder", decoder_);
  v("quant_conv", quant_);
  v("post_quant_conv", post_quant_);
}

}  // namespace sumi::models
