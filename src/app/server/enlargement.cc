#include "app/server/enlargement.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "engine/given.h"
#include "image/read.h"

namespace sumi::app {

void check_upscaling(const Upscaling& u) {
  SUMI_CHECK_KIND(kUsage, u.picture.starts_with("data:"),
                  "the `picture` must be given whole, as \"data:image/png;base64,…\": a server opens no file and "
                  "fetches nothing");
  SUMI_CHECK_KIND(kUsage, !u.upscaler.empty(), "`upscaler` must be given: a model's name, or one of {}",
                  image::kFilterNames);
  SUMI_CHECK_KIND(kUsage, u.scale > 0.0 && u.scale <= engine::kMostEnlarging,
                  "`scale` must be above 0 and at most {:g}", engine::kMostEnlarging);
  SUMI_CHECK_KIND(kUsage, (u.width > 0) == (u.height > 0), "give both `width` and `height`, or none");
}

Enlargement prepare_enlargement(const Upscaling& wanted, const std::filesystem::path& network) {
  engine::GivenBytes given = engine::read_given(wanted.picture, "the `picture`");
  Enlargement out{.picture = image::decode_picture(given.bytes, given.shown)};
  out.file = std::move(given.bytes);
  const engine::PictureSize size{out.picture.width, out.picture.height};
  double by = wanted.scale;
  if (wanted.width > 0)
    by = std::max(static_cast<double>(wanted.width) / static_cast<double>(size.width),
                  static_cast<double>(wanted.height) / static_cast<double>(size.height));
  SUMI_CHECK_KIND(kUsage, by <= engine::kMostEnlarging, "the picture would become {:.1f} times as large; at most {:g}",
                  by, engine::kMostEnlarging);
  out.target = out.largest = out.result = engine::enlarged_size(size, by, "the picture");
  if (wanted.width > 0 && wanted.crop)
    out.result = {std::min(out.target.width, wanted.width), std::min(out.target.height, wanted.height)};
  if (network.empty()) {
    out.filter = image::filter_of(wanted.upscaler);
    return out;
  }
  out.network = models::Upscaler::open(network);
  const int passes = engine::passes_for(by, out.network->scale());
  out.largest = engine::enlarged_size(size, std::pow(static_cast<double>(out.network->scale()), passes), "the picture");
  return out;
}

}  // namespace sumi::app
