// Hints for ControlNets, made from pictures.
#pragma once

#include "image/image.h"

namespace sumi::image {

// White edges on black, by OpenCV's Canny of the RGB picture with the thresholds that ControlNet's own programs start
// from. Throws Error(kUnavailable) where sumi is built without OpenCV (SUMI_WITH_OPENCV), Error(kData) for a picture of
// other than 3 channels.
Image canny(const Image& picture, double low = 100.0, double high = 200.0);

}  // namespace sumi::image
