#include "train/latent_cache.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <future>

#include "base/check.h"
#include "base/fnv1a.h"
#include "base/log.h"
#include "base/rng.h"
#include "image/convert.h"
#include "image/resize.h"
#include "io/safetensors.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "ops/gaussian.h"
#include "train/parameters.h"
#include "train/run.h"

namespace sumi::train {
namespace {

namespace fs = std::filesystem;

// The cache's key: every file's path, size and time, the autoencoder's weights, and the options.
std::string key_of(const std::vector<Example>& examples, const models::StableDiffusion& model,
                   const LatentCacheOptions& options) {
  Fnv1a hash;
  hash.add(fmt::format("pictures {}", kPictureDecoding));
  add_frozen_values(hash, model.autoencoder_kl(), {"encoder.", "quant_conv."});
  hash.add(fmt::format("{} {} {} {}", options.size, options.flip, options.crops, options.crops > 0 ? options.seed : 0));
  if (options.background != image::kWhite) hash.add(fmt::format("{}", fmt::join(options.background, " ")));
  for (const Example& example : examples) {
    std::error_code error;
    const fs::path& path = example.picture.path;
    hash.add(example.name);
    hash.add(std::to_string(example.picture.offset));
    hash.add(std::to_string(fs::file_size(path, error)));
    hash.add(std::to_string(fs::last_write_time(path, error).time_since_epoch().count()));
  }
  return hash.hex();
}

// Whether there is a cache with that key. A broken cache counts as missing.
bool holds(const fs::path& path, const std::string& key) {
  std::error_code error;
  if (!fs::exists(path, error)) return false;
  try {
    const auto file = io::open_checkpoint(path);
    const auto found = file->metadata().find("key");
    return found != file->metadata().end() && found->second == key;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

LatentCache::LatentCache(const fs::path& path, const std::vector<Example>& examples,
                         const models::StableDiffusion& model, const LatentCacheOptions& options) {
  mirrors_ = options.flip ? 2 : 1;
  crops_ = std::max<int64_t>(options.crops, 1);
  const int64_t variants = crops_ * mirrors_;
  const std::string key = key_of(examples, model, options);
  if (holds(path, key)) {
    open(path);
    return;
  }
  const models::AutoencoderConfig& c = model.config().autoencoder;
  const int64_t side = options.size / c.downsampling();
  const Shape row{1, side, side, 2 * c.embed_dim};
  const auto count = static_cast<int64_t>(examples.size());
  {
    io::SafetensorsWriter writer(
        path, {{"moments", DType::kF32, {count * variants, row[1], row[2], row[3]}}, {"usable", DType::kI64, {count}}},
        {{"key", key}});
    std::vector<int64_t> flags;
    const auto load = [&](int64_t i) { return load_picture(examples[static_cast<size_t>(i)], options.background); };
    std::future<LoadedPicture> next = std::async(std::launch::async, load, 0);
    for (int64_t i = 0; i < count; ++i) {
      const LoadedPicture loaded = next.get();
      if (i + 1 < count) next = std::async(std::launch::async, load, i + 1);
      SUMI_CHECK_KIND(kCancelled, options.cancel == nullptr || !options.cancel->load(), "stopped");
      if (loaded.broken) warn("left out: {}", loaded.why);
      flags.push_back(loaded.broken ? 0 : 1);
      std::vector<float> places(static_cast<size_t>(2 * crops_));
      TorchCpuGenerator(stream_seed(options.seed, Stream::kPictures, i)).rand(places);
      for (int64_t variant = 0; variant < variants; ++variant) {
        if (loaded.broken) {
          writer.write(Tensor::zeros(row));
          continue;
        }
        Cut cut{.size = options.size};
        const auto place = static_cast<size_t>(2 * (variant / mirrors_));
        if (options.crops > 0) {
          cut.across = places[place];
          cut.down = places[place + 1];
        }
        const image::Image square = cut_square(loaded.picture, cut);
        const image::Image picture = variant % mirrors_ == 1 ? image::mirrored(square) : square;
        writer.write(model.encode(image::from_images({picture}).to(model.device())));
      }
      if (options.on_picture) options.on_picture(i + 1, count);
    }
    check_broken(std::count(flags.begin(), flags.end(), 0), count);
    writer.write(flags.data(), flags.size() * sizeof(int64_t));
    writer.commit();
  }
  open(path);
}

void LatentCache::open(const fs::path& path) {
  file_ = io::open_checkpoint(path);
  moments_ = file_->tensor("moments");
  const HostView<int64_t> flags(file_->tensor("usable"));
  for (int64_t i = 0; i < flags.size(); ++i) {
    if (flags[i] != 0) usable_.push_back(i);
  }
  skipped_ = flags.size() - static_cast<int64_t>(usable_.size());
  SUMI_CHECK(!usable_.empty(), "{}: none of the pictures could be read", file_->path().string());
}

double LatentCache::deviation(int64_t examples) const {
  const auto count = static_cast<int64_t>(usable_.size()), taken = std::min(examples, count);
  double sum = 0.0, squares = 0.0, variance = 0.0, values = 0.0;
  for (int64_t i = 0; i < taken; ++i) {
    const Tensor both = moments(usable_[static_cast<size_t>(i * count / taken)], false);
    const int64_t channels = both.dim(3) / 2;
    const HostView<float> view(both);
    const float* at = view.data();
    for (int64_t pixel = 0; pixel < both.numel() / (2 * channels); ++pixel, at += 2 * channels) {
      for (int64_t c = 0; c < channels; ++c) {
        const double mean = at[c];
        sum += mean;
        squares += mean * mean;
        variance += std::exp(std::clamp(double{at[channels + c]}, kLeastLogvar, kMostLogvar));
        values += 1.0;
      }
    }
  }
  const double mean = sum / values;
  return std::sqrt(squares / values - mean * mean + variance / values);
}

Tensor LatentCache::moments(int64_t example, bool mirrored, double chance) const {
  const int64_t crop = std::min(static_cast<int64_t>(chance * static_cast<double>(crops_)), crops_ - 1);
  const int64_t row = (example * crops_ + crop) * mirrors_ + (mirrored && mirrors_ == 2 ? 1 : 0);
  return moments_.rows(row, row + 1);
}

}  // namespace sumi::train
