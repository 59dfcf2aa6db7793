// Masks: pictures of one channel that say what is drawn anew (255, white) and what stays (0, black).
//
// The rules are those of AUTOMATIC1111's web UI, to the bit, where nothing else is said.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "image/image.h"
#include "image/read.h"

namespace sumi::image {

// Of a picture with opacity (4 channels) that is not opaque everywhere: white where the opacity is over 128. Of another
// picture of 3 or 4 channels its brightness, PIL's "L"; one of 1 channel is a mask already.
Image mask_of(const Image& picture);

// The mask that a picture file holds, upright as read_picture makes it. Throws as read_picture.
Image read_mask(const FilePart& part, const std::string& name = {});
// The same for a whole file's bytes; `name` is what messages call it.
Image decode_mask(const std::vector<std::byte>& bytes, const std::string& name);

// Black for white.
Image inverted(const Image& mask);

// A Gaussian of `sigma` pixels, along rows, then along columns: weights in 256ths, 2.5 sigma to each side, rounded to 8
// bits after each (OpenCV's GaussianBlur on 8 bits). The mask goes on beyond its border mirrored at its outermost
// pixels. Unchanged with a sigma of 0 or less; Error(kUsage) beyond 256.
Image soften(const Image& mask, double sigma);

// A part of a picture.
struct Box {
  int64_t left = 0, top = 0, width = 0, height = 0;
  bool operator==(const Box&) const = default;
};

// The smallest box around all that is not black; none where all is.
std::optional<Box> box_of(const Image& mask);

// The part of a picture of picture_width × picture_height that is drawn alone at width × height: the box and `padding`
// pixels around it, then as much to both sides of the shorter direction as gives it the proportions of the drawing;
// moved back where it leaves the picture, and cut where it does not fit.
struct RegionSizes {
  int64_t padding, width, height, picture_width, picture_height;
};
Box region_around(const Box& box, const RegionSizes& sizes);

// A mask at the latent's size, a value a point: 1 is drawn anew, 0 stays.
//   kRounded  shrunk by PIL's bicubic filter and rounded (the web UI)
//   kNearest  the top left pixel of each point, 1 from 128 on (CompVis' scripts, diffusers)
enum class MaskShrink : unsigned char { kRounded, kNearest };
std::vector<float> shrink_mask(const Image& mask, int64_t width, int64_t height, MaskShrink how);

}  // namespace sumi::image
