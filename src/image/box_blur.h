// A fast approximation of the Gaussian blur, whose time does not grow with its radius.
#pragma once

#include "image/image.h"

namespace sumi::image {

// The bytes of PIL's `ImageFilter.GaussianBlur(sigma)`: along rows, then along columns, three means over windows whose
// two outermost pixels count in part, rounded to 8 bits after each. Beyond its border the picture goes on with its
// outermost pixels. Channels are blurred each by itself. Unchanged with a sigma of 0.
//                                                                (Gwosdek, Grewenig, Bruhn & Weickert 2011, eqs. 7, 8)
Image box_blur(const Image& image, double sigma);

}  // namespace sumi::image
