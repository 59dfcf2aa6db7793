// The distance of two sets of pictures by the statistics of their features.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "image/image.h"
#include "nn/layers.h"

namespace sumi::evaluate {

// sumi's small feature extractor: four 3x3 convolutions of stride 2 with 32, 64, 128 and 256 channels, each followed by
// a group norm and a ReLU, on 64×64 pixels; the features are the mean and the deviation of every channel of each layer
// (960 in all). Its weights are random, drawn from seed 1, and so the same everywhere: it does not recognise objects,
// but separates textures, colours and edge shapes. Its distances are comparable with each other, not with Inception's.
class RandomFeatures {
 public:
  RandomFeatures();
  static constexpr int64_t kCount = 960;
  // [pictures, kCount]
  Tensor operator()(const std::vector<image::Image>& pictures) const;

 private:
  struct Layer {
    nn::Conv2d conv;
    nn::GroupNorm norm;
  };
  std::vector<std::unique_ptr<Layer>> layers_;
};

// The unbiased estimate of the squared maximum mean discrepancy with the kernel (x·y/d + 1)³: 0 on average for samples
// of one distribution. x [n,d], y [m,d], n and m at least 2.                       (Bińkowski et al. 2018, KID)
double kernel_distance(const Tensor& x, const Tensor& y);

}  // namespace sumi::evaluate
