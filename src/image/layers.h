// Pictures laid over each other: what is drawn under a mask put back into the picture, and what lies under the mask at
// first. The bytes are those of AUTOMATIC1111's web UI, which works with PIL on 8 bits.
#pragma once

#include <optional>

#include "image/image.h"
#include "image/mask.h"

namespace sumi::image {

// The picture as it would be seen with its masked part filled from around it: under the mask, blurs of what is outside
// of it, from coarse to fine. picture: RGB; mask: of its size, softened or not.
Image fill_under(const Image& picture, const Image& mask);

// `drawn` with the picture over it: opaque where the mask is black, see-through where it is at least half white. Pixels
// under a black mask keep the picture's bytes, those under one that is at least half white are `drawn`'s. All RGB of
// one size; Error(kData) otherwise.
Image put_back(const Image& picture, const Image& drawn, const Image& mask);

// The same where only `region` of the picture was drawn, at any size: it is scaled to the region first, by Lanczos'
// filter, covering it.
Image put_back(const Image& picture, const Image& drawn, const Image& mask, const Box& region);

// A picture made larger, and the mask of what is new.
struct Extended {
  Image picture;
  Image mask;  // 1 channel: 255 where there was no picture, or near its border
};
struct Margins {
  int64_t left = 0, right = 0, top = 0, bottom = 0;
};
// The new pixels continue the outermost ones. `overlap`: how far the mask reaches into the old picture, at the sides
// that grow; at most to its middle. Throws Error(kUsage) for a negative margin, Error(kData) where the picture would be
// larger than any that is read.
Extended extend(const Image& picture, const Margins& margins, int64_t overlap = 0);

}  // namespace sumi::image
