// Larger versions of pictures, by a trained network with a filter behind it, or by a filter alone.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "image/metadata.h"
#include "image/resize.h"
#include "models/upscaler/upscaler.h"
#include "sumi/image.h"

namespace sumi::engine {

inline constexpr double kMostEnlarging = 64.0;

struct EnlargeOptions {
  int64_t width = 0, height = 0;                   // pixels of the result
  image::Filter filter = image::Filter::kLanczos;  // to that size
  int64_t tile = 0;                                // of the network, pixels; 0: what 1 GB has room for
  // Of the network: which of its passes, and how far that is.
  std::function<void(int pass, int passes, int64_t done, int64_t total)> progress = {};
  const std::atomic<bool>* cancel = nullptr;
};

using image::PictureSize;

// What a picture of these sides has `by` times as large. Throws Error(kUsage) where that is too much, or nothing;
// `name` is what messages call the picture.
PictureSize enlarged_size(const PictureSize& size, double by, const std::string& name);

// How often a network that enlarges by `scale` runs, so that the picture becomes at least `by` times as large.
int passes_for(double by, int64_t scale);

// Runs the network (nullptr: none) until the picture has the wanted size at least, then the filter.
Image enlarge(const Image& picture, const models::Upscaler* network, const EnlargeOptions& options);

}  // namespace sumi::engine
