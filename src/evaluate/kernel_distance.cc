#include "evaluate/kernel_distance.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "image/convert.h"
#include "image/resize.h"

namespace sumi::evaluate {
namespace {

constexpr int64_t kSide = 64;
constexpr std::array<int64_t, 4> kWidths{32, 64, 128, 256};

// Mean and deviation of each channel of one picture [1,H,W,C], appended.
void append_statistics(const Tensor& x, std::vector<float>& to) {
  const int64_t channels = x.dim(3), pixels = x.numel() / channels;
  std::vector<double> sum(static_cast<size_t>(channels)), squares(static_cast<size_t>(channels));
  const HostView<float> values(x);
  const float* at = values.data();
  for (int64_t p = 0; p < pixels; ++p, at += channels) {
    for (size_t c = 0; c < sum.size(); ++c) {
      sum[c] += at[c];
      squares[c] += double{at[c]} * at[c];
    }
  }
  for (const double s : sum) to.push_back(static_cast<float>(s / static_cast<double>(pixels)));
  for (size_t c = 0; c < sum.size(); ++c) {
    const double mean = sum[c] / static_cast<double>(pixels);
    to.push_back(static_cast<float>(std::sqrt(std::max(0.0, squares[c] / static_cast<double>(pixels) - mean * mean))));
  }
}

// Σ k(x_i, y_j) over all pairs; for x with itself, over pairs of different rows, each computed once and doubled.
double sum_of_kernel(const Tensor& x, const Tensor& y, bool same) {
  const int64_t n = x.dim(0), m = y.dim(0), d = x.dim(1);
  const HostView<float> of_x(x), of_y(y);
  std::vector<double> rows(static_cast<size_t>(n));
  parallel_for(n, [&](int64_t i) {
    for (int64_t j = same ? i + 1 : 0; j < m; ++j) {
      double dot = 0.0;
      for (int64_t k = 0; k < d; ++k) dot += double{of_x[i * d + k]} * of_y[j * d + k];
      rows[static_cast<size_t>(i)] += std::pow(dot / static_cast<double>(d) + 1.0, 3);
    }
  });
  double sum = 0.0;
  for (const double row : rows) sum += row;
  return same ? 2.0 * sum : sum;
}

}  // namespace

RandomFeatures::RandomFeatures() {
  TorchCpuGenerator generator(1);
  int64_t in = 3;
  for (const int64_t width : kWidths) {
    layers_.push_back(
        std::make_unique<Layer>(Layer{nn::Conv2d(in, width, {.kernel = 3, .stride = 2, .pad_begin = 1, .bias = false}),
                                      nn::GroupNorm(width, {.groups = width / 8})}));
    nn::for_each_param(layers_.back()->conv, "", [&](const std::string&, nn::Param& param) {
      param.value = Tensor::empty(param.shape);
      const HostEdit<float> values(param.value);
      generator.randn(values.span());
      const float scale = std::sqrt(2.0f / static_cast<float>(9 * in));
      for (float& value : values) value *= scale;
    });
    nn::for_each_param(layers_.back()->norm, "", [&](const std::string& name, nn::Param& param) {
      param.value = Tensor::full(param.shape, name == "weight" ? 1.0f : 0.0f);
    });
    in = width;
  }
}

Tensor RandomFeatures::operator()(const std::vector<image::Image>& pictures) const {
  std::vector<float> features;
  for (const image::Image& picture : pictures) {
    Tensor h = image::from_images({image::resize_to_cover(picture, kSide, kSide)});
    for (const auto& layer : layers_) {
      h = activate(layer->norm(layer->conv(h)), Act::kRelu);
      append_statistics(h, features);
    }
  }
  return Tensor::from(features, {static_cast<int64_t>(pictures.size()), kCount});
}

double kernel_distance(const Tensor& x, const Tensor& y) {
  const int64_t n = x.dim(0), m = y.dim(0);
  SUMI_CHECK(n >= 2 && m >= 2 && x.dim(1) == y.dim(1),
             "cannot compare features {} and {}; both need the same width and at least two rows", x.shape().str(),
             y.shape().str());
  return sum_of_kernel(x, x, true) / static_cast<double>(n * (n - 1)) +
         sum_of_kernel(y, y, true) / static_cast<double>(m * (m - 1)) -
         2.0 * sum_of_kernel(x, y, false) / static_cast<double>(n * m);
}

}  // namespace sumi::evaluate
