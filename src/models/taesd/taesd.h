// The tiny autoencoder: a small network that makes about what the full autoencoder makes, in a fraction of the time.
#pragma once

#include <memory>
#include <vector>

#include "models/autoencoder.h"
#include "nn/layers.h"

namespace sumi::models {

struct TaesdConfig {
  int64_t width = 64;           // channels inside
  int64_t latent_channels = 4;  // 16: of other families
  bool encoder = true, decoder = true;
  bool operator==(const TaesdConfig&) const = default;

  static constexpr int64_t kDownsampling = 8;  // pixels for one of the latent, on each side
};

// x [N,H,W,C] → ReLU(x + three convolutions with ReLU between them).
class TaesdBlock : public nn::Module {
 public:
  explicit TaesdBlock(int64_t channels);
  Tensor operator()(const Tensor& x) const;
  int64_t border() const { return conv0_.border() + conv2_.border() + conv4_.border(); }  // nn/border.h
  void visit(nn::ParamVisitor& v) override;

 private:
  nn::Conv2d conv0_, conv2_, conv4_;
};

// Picture [N,H,W,3] in [0, 1] → latent [N,⌈H/8⌉,⌈W/8⌉,C]. Parameters are numbered as in the original's list of layers.
class TaesdEncoder : public nn::Module {
 public:
  TaesdEncoder(int64_t width, int64_t latent_channels);
  Tensor operator()(const Tensor& image) const;
  void visit(nn::ParamVisitor& v) override;

 private:
  nn::Conv2d conv_in_;
  std::vector<TaesdBlock> blocks_;   // one, then three a stage
  std::vector<nn::Conv2d> halving_;  // one before each stage
  nn::Conv2d conv_out_;
};

// Latent [N,h,w,C] → picture [N,8h,8w,3] in about [0, 1]: three stages of three blocks, each of which doubles the size,
// and one block more. Parameters are numbered as in the original's list of layers, where what has none counts too.
class TaesdDecoder : public nn::Module {
 public:
  static constexpr size_t kStages = 3;

  TaesdDecoder(int64_t width, int64_t latent_channels);
  Tensor operator()(const Tensor& z) const { return tail(head(z, 0), 0); }
  // The same in two parts: up to where stage `stage` begins, and from there on.
  Tensor head(const Tensor& z, size_t stage) const;
  Tensor tail(Tensor h, size_t stage) const;
  // Pixels around a part of the input of tail() that the result for that part depends on.
  int64_t border(size_t stage) const;
  void visit(nn::ParamVisitor& v) override;

 private:
  Tensor run_stage(Tensor h, size_t stage) const;

  nn::Conv2d conv_in_;
  std::vector<TaesdBlock> blocks_;    // three a stage, then one
  std::vector<nn::Conv2d> doubling_;  // one at the end of each stage, where the size is doubled already
  nn::Conv2d conv_out_;
};

// How a large latent is decoded in parts.
struct TaesdTiles {
  size_t stage;    // of the decoder, at whose input tiles begin
  int64_t factor;  // pixels of the picture for one of that input, on each side
  int64_t own;     // maximum side of a tile without its border, in pixels there
  int64_t border;  // pixels around a tile that its result depends on, from the layers
};
// For a latent of height × width: the last stage whose whole input takes no more than `budget` bytes, and tiles of
// which no activation takes more.
TaesdTiles plan_taesd_tiles(const TaesdConfig& config, int64_t height, int64_t width, int64_t budget);

// Encoder and decoder, of which one may be missing. Its latents are those of the denoiser: without variance, not
// scaled.                                       (Boer Bohan 2023, TAESD; diffusers' `AutoencoderTiny`)
class Taesd : public Autoencoder {
 public:
  explicit Taesd(const TaesdConfig& config);
  const TaesdConfig& config() const { return config_; }
  bool has_variance() const override { return false; }
  // Sides need not be multiples of 8. Throws Error(kData) where there is no encoder, or for decode() no decoder.
  Tensor encode(const Tensor& image) const override;
  Tensor decode(const Tensor& z) const override;
  // The tiles make no difference: there are no norms. Where the context wraps, those at an edge see the opposite one.
  Tensor decode_tiled(const Tensor& z, int64_t budget) const override;
  void visit(nn::ParamVisitor& v) override;

 private:
  const TaesdDecoder& decoder() const;

  TaesdConfig config_;
  std::unique_ptr<TaesdEncoder> encoder_;
  std::unique_ptr<TaesdDecoder> decoder_;
};

}  // namespace sumi::models
