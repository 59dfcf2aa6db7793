#include "engine/enlarge.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "engine/memory_plan.h"
#include "image/png.h"

namespace sumi::engine {
namespace {

constexpr int64_t kTileMemory = 1'000'000'000;  // bytes, where the machine has twice as much to spare

}  // namespace

PictureSize enlarged_size(const PictureSize& size, double by, const std::string& name) {
  const auto side = [&](int64_t pixels) { return std::llround(static_cast<double>(pixels) * by); };
  const PictureSize out{side(size.width), side(size.height)};
  SUMI_CHECK_KIND(kUsage, out.width >= 1 && out.height >= 1, "{}: {}x{} pixels times {:g} is less than a pixel", name,
                  size.width, size.height, by);
  SUMI_CHECK_KIND(kUsage, out.width <= image::kMaxPixels / out.height,
                  "{}: {}x{} pixels would become {}x{}, {:.1f} million; at most {:.1f} million are possible, so choose "
                  "a smaller `scale` or a smaller picture",
                  name, size.width, size.height, out.width, out.height,
                  1e-6 * static_cast<double>(out.width) * static_cast<double>(out.height),
                  1e-6 * static_cast<double>(image::kMaxPixels));
  return out;
}

int passes_for(double by, int64_t scale) {
  int passes = 1;
  for (double reached = static_cast<double>(scale); reached < by && scale > 1; reached *= static_cast<double>(scale))
    ++passes;
  return passes;
}

Image enlarge(const Image& picture, const models::Upscaler* network, const EnlargeOptions& options) {
  Image result = picture;
  const double by = std::max(static_cast<double>(options.width) / static_cast<double>(picture.width),
                             static_cast<double>(options.height) / static_cast<double>(picture.height));
  const int passes = network == nullptr ? 0 : passes_for(by, network->scale());
  for (int pass = 0; pass < passes; ++pass) {
    const auto progress = [&](int64_t done, int64_t total) {
      if (options.progress) options.progress(pass, passes, done, total);
    };
    const int64_t available = memory_limits().available.value_or(2 * kTileMemory);
    result = network->upscale(result, {.tile = options.tile,
                                       .memory = std::min(kTileMemory, available / 2),
                                       .progress = progress,
                                       .cancel = options.cancel});
  }
  return image::resize(result, options.width, options.height, options.filter);
}

}  // namespace sumi::engine
