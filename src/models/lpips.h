// The learned perceptual distance of pictures, with the published weights.        (Zhang et al. 2018)
#pragma once

#include <memory>
#include <vector>

#include "io/checkpoint.h"
#include "nn/layers.h"

namespace sumi::models {

class Lpips {
 public:
  // `vgg`: torchvision's VGG16 (`features.0.weight`, …; the classifier is not used). `heads`: LPIPS 0.1's five weights
  // (`lin0.model.1.weight`, …). Throws Error(kData) for other files.
  Lpips(const io::Checkpoint& vgg, const io::Checkpoint& heads, Device device);

  // Pictures x and y [N,H,W,3] in [-1, 1], of at least 16 pixels a side → the mean distance of a pair, [1].
  Tensor operator()(const Tensor& x, const Tensor& y) const;

 private:
  class Features;
  class Heads;
  std::shared_ptr<Features> features_;
  std::shared_ptr<Heads> heads_;
  Tensor scale_, shift_;
};

}  // namespace sumi::models
