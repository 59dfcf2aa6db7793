#include "image/check_written.h"

#include "base/check.h"

namespace sumi::image {

void check_written(const Image& image, int quality, const WrittenKind& kind) {
  SUMI_CHECK_KIND(kUsage,
                  image.channels == 3 && image.width > 0 && image.height > 0 &&
                      image.pixels.size() == static_cast<size_t>(image.width * image.height * 3),
                  "a picture of {}x{} with {} channels cannot be written as RGB", image.width, image.height,
                  image.channels);
  SUMI_CHECK_KIND(kUsage, image.width <= kind.most_side && image.height <= kind.most_side,
                  "a {} has at most {} pixels on a side, and the picture is {}x{}; take {}", kind.name, kind.most_side,
                  image.width, image.height, kind.instead);
  SUMI_CHECK_KIND(kUsage, quality >= 0 && quality <= 100, "the quality of a {} must be from 0 to 100, not {}",
                  kind.name, quality);
}

}  // namespace sumi::image
