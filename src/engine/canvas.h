// What a job draws on: the picture it begins from at the size that is drawn, the mask, and the way back.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/beginning.h"
#include "engine/given.h"
#include "image/image.h"
#include "image/mask.h"

namespace sumi::engine {

struct CanvasOptions {
  std::optional<int64_t> width, height;  // asked for
  int64_t default_size = 512;            // of the model, on each side: for the masked region alone
  int64_t multiple = 8;                  // of the drawn sides
  std::string resize = "stretch";
  bool invert = false;
  int64_t blur = 0;  // sigma in pixels
  MaskContent content = MaskContent::kOriginal;
  std::optional<int64_t> padding = {};  // only the masked region
  std::vector<int64_t> extend = {};     // left, right, top, bottom, or empty
  Convention convention = Convention::kWebui;
};

// Sizes: as asked for, else the picture's own; a picture without a mask is shrunk to whole multiples (32 by the
// original's rules), one with a mask keeps its size: it is drawn on a canvas that is larger by up to a multiple.
struct Canvas {
  image::Image picture;                   // RGB, as it is encoded
  std::optional<image::Image> mask;       // one channel, of its size: white is drawn anew; hard
  std::optional<image::Image> soft_mask;  // softened
  // The picture that the user gets. Without a mask `drawn` itself; else the given picture with what was drawn under the
  // mask, every other pixel as it was.
  image::Image finish(const image::Image& drawn) const;

  image::Image whole;                // with a mask: the picture as the result shall be outside of it
  image::Image whole_mask;           // softened, of that size
  std::optional<image::Box> region;  // of `whole`, drawn alone
};

// Throws Error(kUsage) where sizes, mask and picture do not fit together.
Canvas make_canvas(const GivenPictures& given, const CanvasOptions& options);

// The mask at the latent's size, 1 where points are drawn anew, [1,h,w,1]: by the convention's rule.
Tensor latent_mask(const Canvas& canvas, int64_t height, int64_t width, Convention convention);
// Throws Error(kUsage) where it has no 1.
void check_latent_mask(const Canvas& canvas, int64_t height, int64_t width, Convention convention);

}  // namespace sumi::engine
