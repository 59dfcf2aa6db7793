// Enlarges pictures with a trained network.
//
//   const auto upscaler = Upscaler::open("RealESRGAN_x4plus.pth");
//   const Image large = upscaler.upscale(small, {.progress = [](int64_t done, int64_t total) { … }});
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>

#include "core/tensor.h"
#include "io/checkpoint.h"
#include "models/upscaler/network.h"
#include "sumi/image.h"

namespace sumi::models {

struct UpscalerOptions {
  Device device = Device::kCpu;
};

struct UpscaleOptions {
  int64_t tile =
      0;  // largest side of a tile without its border, in pixels of the picture; 0: what `memory` has room for
  int64_t memory = 1'000'000'000;  // bytes that a tile's activations may take, unless `tile` is set
  int64_t border = -1;             // pixels around a tile that are computed with it; -1: default_border()
  std::function<void(int64_t done, int64_t total)> progress = {};  // in equal steps, several a tile
  const std::atomic<bool>* cancel = nullptr;                       // looked at in each step: Error(kCancelled)
};

// Computes in float32. Any number of threads may use one. It may be moved.
class Upscaler {
 public:
  // Reads ESRGAN, Real-ESRGAN and its compact form: .pth (the tensors alone, nothing in it is run), .safetensors. The
  // file stays mapped. Throws Error(kNoInput) or Error(kData), one sentence, for a file that is no such model.
  static Upscaler open(const std::filesystem::path& path, const UpscalerOptions& options = {});

  int64_t scale() const { return network_->scale(); }
  Device device() const { return device_; }
  // Of the sides of a picture that wraps.
  int64_t multiple() const { return network_->multiple(); }
  int64_t weight_bytes() const;

  // x [N,H,W,3] in [0, 1], float32 on device() → [N,s·H,s·W,3], not clamped; all of it at once. Sides that the network
  // cannot halve are continued by their mirror image, and the result is cut.
  Tensor operator()(const Tensor& x) const;

  // The picture s times as large, tile by tile, rounded to 8 bits. Where the thread's context wraps (Context::wrap_x,
  // wrap_y) the result does. The size of the result is the caller's to check. Throws Error(kUsage) for a picture
  // without pixels, of other than 3 channels, or one that wraps and cannot be halved; Error(kCancelled);
  // Error(kData) where the network gives something that is no number, or the file has changed.
  Image upscale(const Image& picture, const UpscaleOptions& options = {}) const;

  // Pixels around a part of a picture that the result for that part depends on: with such a border tiles make no
  // difference. From the layers.
  int64_t full_border() const { return network_->border(); }
  // The border that upscale() uses: the full one, or kBorder where that is larger.
  int64_t default_border() const;
  // With the network of RealESRGAN_x4plus, whose full border is 349, and random weights, only rounding is left from 12
  // pixels on (bench/upscaler_bench.cc): no value differs by more than 1/255 from the untiled picture's.
  static constexpr int64_t kBorder = 32;

  // The largest sum of activations for a tile of that size, its border included.
  int64_t peak_bytes(int64_t height, int64_t width) const { return network_->peak_bytes(height, width); }

 private:
  Upscaler(std::shared_ptr<const io::Checkpoint> file, std::unique_ptr<UpscalerNetwork> network, Device device)
      : file_(std::move(file)), network_(std::move(network)), device_(device) {}
  int64_t tile_side(const UpscaleOptions& options, int64_t border) const;

  std::shared_ptr<const io::Checkpoint> file_;
  std::unique_ptr<UpscalerNetwork> network_;
  Device device_;
};

}  // namespace sumi::models
