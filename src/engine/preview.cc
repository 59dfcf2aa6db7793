#include "engine/preview.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/rng.h"
#include "engine/memory_plan.h"
#include "image/convert.h"
#include "models/loading/prefixes.h"
#include "models/taesd/taesd_file.h"

namespace sumi::engine {
namespace {

constexpr int64_t kSide = 16, kPatch = 2;  // of the latent: 8 by 8 patches

// Patches of one random colour each, as large as the denoiser's latents are on average.
Tensor coloured_patches(int64_t channels) {
  TorchCpuGenerator generator(1);
  std::vector<float> colours(static_cast<size_t>(kSide / kPatch * kSide / kPatch * channels));
  generator.randn(colours);
  Tensor latent = Tensor::empty({1, kSide, kSide, channels});
  const HostEdit<float> values(latent);
  for (int64_t y = 0; y < kSide; ++y) {
    for (int64_t x = 0; x < kSide; ++x) {
      const int64_t patch = y / kPatch * (kSide / kPatch) + x / kPatch;
      for (int64_t c = 0; c < channels; ++c)
        values[(y * kSide + x) * channels + c] = colours[static_cast<size_t>(patch * channels + c)];
    }
  }
  return latent;
}

// Solves a·x = b for `columns` right sides at once, in place, a [n,n] and b [n,columns]; a is positive definite.
void solve(std::vector<double>& a, std::vector<double>& b, size_t n, size_t columns) {
  for (size_t i = 0; i < n; ++i) {
    for (size_t row = 0; row < n; ++row) {
      if (row == i) continue;
      const double factor = a[row * n + i] / a[i * n + i];
      for (size_t j = i; j < n; ++j) a[row * n + j] -= factor * a[i * n + j];
      for (size_t j = 0; j < columns; ++j) b[row * columns + j] -= factor * b[i * columns + j];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < columns; ++j) b[i * columns + j] /= a[i * n + i];
  }
}

}  // namespace

PreviewMap fit_preview(const models::StableDiffusion& model) {
  const int64_t channels = model.config().autoencoder.embed_dim, f = model.config().autoencoder.downsampling();
  const Tensor latent = coloured_patches(channels);
  const Tensor picture = model.decode(latent.to(model.device())).to(Device::kCpu);
  const HostView<float> points(latent), pixels(picture);
  const auto n = static_cast<size_t>(channels) + 1;
  std::vector<double> moments(n * n), sums(n * 3);
  std::vector<double> point(n, 1.0);
  for (size_t i = 0; i < n; ++i) moments[i * n + i] = 1e-6;
  for (int64_t at = 0; at < kSide * kSide; ++at) {
    for (int64_t c = 0; c < channels; ++c) point[static_cast<size_t>(c)] = double{points[at * channels + c]};
    double colour[3] = {};  // the mean of the point's f × f pixels
    for (int64_t i = 0; i < f * f; ++i) {
      const int64_t y = at / kSide * f + i / f, x = at % kSide * f + i % f;
      for (int64_t c = 0; c < 3; ++c)
        colour[c] += double{pixels[(y * kSide * f + x) * 3 + c]} / static_cast<double>(f * f);
    }
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) moments[i * n + j] += point[i] * point[j];
      for (size_t c = 0; c < 3; ++c) sums[i * 3 + c] += point[i] * colour[c];
    }
  }
  solve(moments, sums, n, 3);
  return {.weights = std::vector<float>(sums.begin(), sums.end())};
}

Image preview_of(const PreviewMap& map, const Tensor& latent) {
  const Tensor here = latent.to(Device::kCpu);
  const HostView<float> points(here);
  const int64_t channels = here.dim(3);
  SUMI_CHECK_KIND(kInternal, map.weights.size() == static_cast<size_t>(3 * (channels + 1)),
                  "the preview's map is for {} channels, not {}", map.weights.size() / 3 - 1, channels);
  Image out(here.dim(2), here.dim(1));
  for (int64_t at = 0; at < out.width * out.height; ++at) {
    for (int64_t rgb = 0; rgb < 3; ++rgb) {
      float value = map.weights[static_cast<size_t>(channels * 3 + rgb)];
      for (int64_t c = 0; c < channels; ++c)
        value += map.weights[static_cast<size_t>(c * 3 + rgb)] * points[at * channels + c];
      const float level = std::isfinite(value) ? std::clamp((value + 1.0f) * 127.5f, 0.0f, 255.0f) : 0.0f;
      out.pixels[static_cast<size_t>(at * 3 + rgb)] = static_cast<uint8_t>(std::lround(level));
    }
  }
  return out;
}

PreviewDecoder open_preview_decoder(const ModelOptions& options, const models::ModelConfig& config) {
  auto opened = open_tiny_autoencoder(options.preview_vae, config, options);
  SUMI_CHECK(opened, "{}: is a full autoencoder; previews are drawn by a tiny one (TAESD), for `preview_vae`",
             options.preview_vae);
  models::StableDiffusion network = load_model(*opened, {.text = false, .unet = false, .encoder = false});
  const int64_t width = models::taesd_in(*opened->checkpoint, models::kVaePrefix).value().width;
  const int64_t bytes = plan_memory(*opened->checkpoint, config, {}).decoder_weights;
  return {.opened = std::move(*opened), .network = std::move(network), .width = width, .weight_bytes = bytes};
}

Image preview_of(const PreviewDecoder& decoder, const Tensor& latent) {
  return std::move(image::to_images(decoder.network.decode(latent).to(Device::kCpu)).at(0));
}

}  // namespace sumi::engine
