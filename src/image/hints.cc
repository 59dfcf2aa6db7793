#include "image/hints.h"

#include "base/check.h"

#ifdef SUMI_WITH_OPENCV
#include <algorithm>
#include <opencv2/core/mat.hpp>
#include <opencv2/imgproc.hpp>
#endif

namespace sumi::image {

#ifdef SUMI_WITH_OPENCV

Image canny(const Image& picture, double low, double high) {
  SUMI_CHECK(picture.channels == 3, "edges are found in pictures of 3 channels, not {}", picture.channels);
  Image out(picture.width, picture.height);
  try {
    // OpenCV takes no const data, and changes none.
    const cv::Mat rgb(static_cast<int>(picture.height), static_cast<int>(picture.width), CV_8UC3,
                      const_cast<uint8_t*>(picture.pixels.data()));
    cv::Mat edges;
    cv::Canny(rgb, edges, low, high);
    for (int64_t y = 0; y < out.height; ++y) {
      const uint8_t* from = edges.ptr<uint8_t>(static_cast<int>(y));
      for (int64_t x = 0; x < out.width; ++x) std::fill_n(out.row(y) + 3 * x, 3, from[x]);
    }
  } catch (const cv::Exception& error) {
    fail(ErrorKind::kInternal, "OpenCV found no edges: {}", error.what());
  }
  return out;
}

#else

Image canny(const Image&, double, double) {
  fail(ErrorKind::kUnavailable,
       "this build has no OpenCV, which finds the edges for canny: install libopencv-imgproc-dev and build again, or "
       "give a picture of edges and leave `preprocess` out");
}

#endif

}  // namespace sumi::image
