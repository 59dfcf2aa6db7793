#include "train/structural_term.h"

#include <algorithm>
#include <array>

#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/loss.h"

namespace sumi::train {
namespace {

constexpr int64_t kScales = 4, kLeastSide = 8, kFilters = 4;

// Sobel filters and their diagonal versions, divided by four to have the scale of a plain difference.
constexpr std::array<std::array<float, 9>, kFilters> kDerivatives{{{-1, 0, 1, -2, 0, 2, -1, 0, 1},
                                                                   {-1, -2, -1, 0, 0, 0, 1, 2, 1},
                                                                   {-2, -1, 0, -1, 0, 1, 0, 1, 2},
                                                                   {0, -1, -2, 1, 0, -1, 2, 1, 0}}};

// One output for each filter and channel: [4·C, C, 3, 3].
Tensor derivative_weight(int64_t channels, Device device) {
  std::vector<float> weight(static_cast<size_t>(kFilters * channels * channels * 9));
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t f = 0; f < kFilters; ++f) {
      float* to = weight.data() + ((c * kFilters + f) * channels + c) * 9;
      for (size_t i = 0; i < 9; ++i) to[i] = 0.25f * kDerivatives[static_cast<size_t>(f)][i];
    }
  }
  return Tensor::from(weight, {kFilters * channels, channels, 3, 3}, device);
}

}  // namespace

Tensor structural_term(const Tensor& x, const Tensor& y) {
  const Tensor weight = derivative_weight(x.dim(3), x.device());
  Tensor difference = x - y, sum;  // derivatives are linear, so filter the difference once
  int64_t scales = 0;
  const auto can_be_halved = [&] {
    const int64_t height = difference.dim(1), width = difference.dim(2);
    return std::min(height, width) >= 2 * kLeastSide && height % 2 == 0 && width % 2 == 0;
  };
  while (scales < kScales && (scales == 0 || can_be_halved())) {
    if (scales > 0) difference = mean_pool_2x2(difference);
    const Tensor edges = conv2d(difference, weight, {});
    const Tensor term = mean_absolute_error(edges, Tensor::zeros(edges.shape(), DType::kF32, edges.device()));
    sum = sum ? sum + term : term;
    ++scales;
  }
  return sum / static_cast<float>(scales);
}

}  // namespace sumi::train
