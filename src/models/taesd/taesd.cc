#include "models/taesd/taesd.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "base/check.h"
#include "core/context.h"
#include "models/tile_sides.h"
#include "nn/border.h"
#include "ops/activation.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/window.h"

namespace sumi::models {
namespace {

constexpr nn::Conv2dConfig kConv{.kernel = 3, .pad_begin = 1};
constexpr nn::Conv2dConfig kConvHalving{.kernel = 3, .stride = 2, .pad_begin = 1, .bias = false};
constexpr nn::Conv2dConfig kConvDoubling{.kernel = 3, .pad_begin = 1, .bias = false};
constexpr size_t kStages = TaesdDecoder::kStages, kBlocks = 3;  // of a stage
constexpr int64_t kFloat = 4;

// In x's own memory: at 512x512 an activation takes 67 MB.
Tensor relu(Tensor x) { return activate(std::move(x), Act::kRelu); }

// 3·tanh(z/3), which leaves small values as they are.
Tensor softly_clamped(const Tensor& z) { return activate(cast(z, DType::kF32) / 3.0f, Act::kTanh) * 3.0f; }

std::vector<TaesdBlock> make_blocks(int64_t width) {
  std::vector<TaesdBlock> blocks;
  for (size_t i = 0; i < kStages * kBlocks + 1; ++i) blocks.emplace_back(width);
  return blocks;
}

std::vector<nn::Conv2d> make_convs(int64_t width, const nn::Conv2dConfig& config) {
  std::vector<nn::Conv2d> convs;
  for (size_t i = 0; i < kStages; ++i) convs.emplace_back(width, width, config);
  return convs;
}

}  // namespace

TaesdBlock::TaesdBlock(int64_t channels)
    : conv0_(channels, channels, kConv), conv2_(channels, channels, kConv), conv4_(channels, channels, kConv) {}

Tensor TaesdBlock::operator()(const Tensor& x) const {
  Tensor h = relu(conv0_(x));
  h = relu(conv2_(h));
  return relu(conv4_(h, x));
}

void TaesdBlock::visit(nn::ParamVisitor& v) {
  v("conv.0", conv0_);
  v("conv.2", conv2_);
  v("conv.4", conv4_);
}

TaesdEncoder::TaesdEncoder(int64_t width, int64_t latent_channels)
    : conv_in_(3, width, kConv),
      blocks_(make_blocks(width)),
      halving_(make_convs(width, kConvHalving)),
      conv_out_(width, latent_channels, kConv) {}

Tensor TaesdEncoder::operator()(const Tensor& image) const {
  Tensor h = conv_in_(image);
  h = blocks_[0](h);
  for (size_t stage = 0; stage < kStages; ++stage) {
    h = halving_[stage](h);
    for (size_t i = 0; i < kBlocks; ++i) h = blocks_[1 + stage * kBlocks + i](h);
  }
  return conv_out_(h);
}

void TaesdEncoder::visit(nn::ParamVisitor& v) {
  size_t layer = 0;
  const auto next = [&] { return std::to_string(layer++); };
  v(next(), conv_in_);
  v(next(), blocks_[0]);
  for (size_t stage = 0; stage < kStages; ++stage) {
    v(next(), halving_[stage]);
    for (size_t i = 0; i < kBlocks; ++i) v(next(), blocks_[1 + stage * kBlocks + i]);
  }
  v(next(), conv_out_);
}

TaesdDecoder::TaesdDecoder(int64_t width, int64_t latent_channels)
    : conv_in_(latent_channels, width, kConv),
      blocks_(make_blocks(width)),
      doubling_(make_convs(width, kConvDoubling)),
      conv_out_(width, 3, kConv) {}

Tensor TaesdDecoder::run_stage(Tensor h, size_t stage) const {
  for (size_t i = 0; i < kBlocks; ++i) h = blocks_[stage * kBlocks + i](h);
  h = upsample_nearest_2x(h);
  return doubling_[stage](h);
}

Tensor TaesdDecoder::head(const Tensor& z, size_t stage) const {
  Tensor h = relu(conv_in_(cast(softly_clamped(z), Context::current().activations)));
  for (size_t i = 0; i < stage; ++i) h = run_stage(std::move(h), i);
  return h;
}

Tensor TaesdDecoder::tail(Tensor h, size_t stage) const {
  for (size_t i = stage; i < kStages; ++i) h = run_stage(std::move(h), i);
  h = blocks_.back()(h);
  return conv_out_(h);
}

int64_t TaesdDecoder::border(size_t stage) const {
  int64_t border = conv_out_.border() + blocks_.back().border();
  for (size_t i = kStages; i-- > stage;) {
    border = nn::border_before_enlarging(border + doubling_[i].border());
    for (size_t k = 0; k < kBlocks; ++k) border += blocks_[i * kBlocks + k].border();
  }
  return border;
}

void TaesdDecoder::visit(nn::ParamVisitor& v) {
  size_t layer = 1;  // behind the clamp
  const auto next = [&] { return std::to_string(layer++); };
  v(next(), conv_in_);
  ++layer;  // its ReLU
  for (size_t stage = 0; stage < kStages; ++stage) {
    for (size_t i = 0; i < kBlocks; ++i) v(next(), blocks_[stage * kBlocks + i]);
    ++layer;  // the doubling
    v(next(), doubling_[stage]);
  }
  v(next(), blocks_.back());
  v(next(), conv_out_);
}

TaesdTiles plan_taesd_tiles(const TaesdConfig& config, int64_t height, int64_t width, int64_t budget) {
  const double pixel = static_cast<double>(config.width * kFloat), latent = static_cast<double>(height * width);
  size_t stage = 0;
  while (stage + 1 < kStages && latent * pixel * std::pow(4.0, static_cast<double>(stage + 1)) <= double(budget))
    ++stage;
  TaesdTiles plan{.stage = stage,
                  .factor = TaesdConfig::kDownsampling >> stage,
                  .own = 0,
                  .border = TaesdDecoder(config.width, config.latent_channels).border(stage)};
  const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(budget) / pixel));
  plan.own = std::max(plan.border, side / plan.factor - 2 * plan.border);
  return plan;
}

Taesd::Taesd(const TaesdConfig& config) : config_(config) {
  if (config.encoder) encoder_ = std::make_unique<TaesdEncoder>(config.width, config.latent_channels);
  if (config.decoder) decoder_ = std::make_unique<TaesdDecoder>(config.width, config.latent_channels);
}

Tensor Taesd::encode(const Tensor& image) const {
  SUMI_CHECK(encoder_,
             "the tiny autoencoder has no encoder, which pictures as input need; put taesd_encoder beside "
             "taesd_decoder, or give another `vae`");
  const Tensor from_zero = affine(0.5f, cast(image, DType::kF32), 0.0f, {}, 0.5f);
  return cast((*encoder_)(cast(from_zero, Context::current().activations)), DType::kF32);
}

const TaesdDecoder& Taesd::decoder() const {
  SUMI_CHECK(decoder_,
             "the tiny autoencoder has no decoder, which drawing needs; put taesd_decoder beside "
             "taesd_encoder, or give another `vae`");
  return *decoder_;
}

namespace {

Tensor around_zero(const Tensor& picture) { return affine(2.0f, cast(picture, DType::kF32), 0.0f, {}, -1.0f); }

}  // namespace

Tensor Taesd::decode(const Tensor& z) const { return around_zero(decoder()(z)); }

Tensor Taesd::decode_tiled(const Tensor& z, int64_t budget) const {
  SUMI_CHECK(z.rank() == 4 && z.dim(0) == 1, "tiled decoding takes one latent [1,h,w,z], not {}", z.shape().str());
  const TaesdTiles plan = plan_taesd_tiles(config_, z.dim(1), z.dim(2), budget);
  const Tensor h = decoder().head(z, plan.stage);
  const Wraps wraps{.y = Context::current().wrap_y, .x = Context::current().wrap_x};
  const std::vector<TileSide> rows = cut(h.dim(1), plan.own, plan.border, wraps.y),
                              columns = cut(h.dim(2), plan.own, plan.border, wraps.x);
  if (rows.size() * columns.size() == 1) return around_zero(decoder().tail(h, plan.stage));
  // A tile's own edges are no edges of the picture.
  const ContextScope in_tiles([&](Context& context) {
    context.wrap_y = wraps.y && rows.size() == 1;
    context.wrap_x = wraps.x && columns.size() == 1;
  });
  const int64_t f = plan.factor;
  Tensor picture = Tensor::empty({1, h.dim(1) * f, h.dim(2) * f, 3}, h.dtype(), h.device());
  for (const TileSide& r : rows) {
    for (const TileSide& c : columns) {
      const Tensor tile = decoder().tail(window(h, r.from, r.to, c.from, c.to, wraps), plan.stage);
      const int64_t top = (r.begin - r.from) * f, left = (c.begin - c.from) * f;
      paste(crop(tile, top, top + (r.end - r.begin) * f, left, left + (c.end - c.begin) * f), picture, r.begin * f,
            c.begin * f);
    }
  }
  return around_zero(picture);
}

void Taesd::visit(nn::ParamVisitor& v) {
  if (encoder_) v("taesd_encoder", *encoder_);
  if (decoder_) v("taesd_decoder", *decoder_);
}

}  // namespace sumi::models
