#include "image/convert.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace sumi::image {

std::vector<Image> to_images(const Tensor& pictures) {
  SUMI_CHECK(pictures.rank() == 4 && pictures.dim(3) == 3 && pictures.dtype() == DType::kF32,
             "pictures are [N,H,W,3] in f32, not {} in {}", pictures.shape().str(), name_of(pictures.dtype()));
  std::vector<Image> images;
  const HostView<float> values(pictures);
  const float* x = values.data();
  for (int64_t n = 0; n < pictures.dim(0); ++n) {
    Image image(pictures.dim(2), pictures.dim(1));
    for (uint8_t& pixel : image.pixels) {
      const float value = *x++;
      SUMI_CHECK_KIND(kInternal, !std::isnan(value),
                      "picture {} has values that are not numbers: the model overflowed or its weights are broken", n);
      pixel = static_cast<uint8_t>(std::clamp((value + 1.0f) / 2.0f, 0.0f, 1.0f) * 255.0f);
    }
    images.push_back(std::move(image));
  }
  return images;
}

Tensor from_images(const std::vector<Image>& images) {
  SUMI_CHECK(!images.empty(), "there is no picture to convert");
  const Image& first = images.front();
  Tensor out = Tensor::empty({static_cast<int64_t>(images.size()), first.height, first.width, 3});
  const HostEdit<float> values(out);
  float* x = values.data();
  for (const Image& image : images) {
    SUMI_CHECK(image.width == first.width && image.height == first.height && image.channels == 3,
               "pictures of one batch are RGB of one size; {}x{}x{} is not {}x{}x3", image.width, image.height,
               image.channels, first.width, first.height);
    x = std::transform(image.pixels.begin(), image.pixels.end(), x,
                       [](uint8_t pixel) { return 2.0f * (static_cast<float>(pixel) / 255.0f) - 1.0f; });
  }
  return out;
}

}  // namespace sumi::image
