#include "ops/interpolate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "core/autograd.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {
namespace {

constexpr std::array<std::pair<std::string_view, Interpolation>, 8> kModes{
    {{"nearest", Interpolation::kNearest},
     {"nearest-exact", Interpolation::kNearestExact},
     {"bilinear", Interpolation::kBilinear},
     {"bicubic", Interpolation::kBicubic},
     {"bilinear_antialias", Interpolation::kBilinearAntialias},
     {"bicubic_antialias", Interpolation::kBicubicAntialias},
     {"bilinear_align_corners", Interpolation::kBilinearAlignCorners},
     {"area", Interpolation::kArea}}};

// The input pixels that make one output pixel along one side, from `first` on, and their weights.
struct Taps {
  int64_t first = 0;
  std::vector<float> weights;
};

// One side: its lengths, and the input's length over the output's. Places are float32, as PyTorch's, so that the same
// pixels are met.
struct Side {
  int64_t in, out;
  float ratio;
};

Side side_of(int64_t in, int64_t out, std::optional<double> scale) {
  const float ratio = scale ? static_cast<float>(1.0 / *scale) : static_cast<float>(in) / static_cast<float>(out);
  return {in, out, ratio};
}

// Keys' cubic.
float cubic(float x, float a) {
  x = std::fabs(x);
  if (x < 1.0f) return ((a + 2.0f) * x - (a + 3.0f)) * x * x + 1.0f;
  if (x < 2.0f) return ((a * x - 5.0f * a) * x + 8.0f * a) * x - 4.0f * a;
  return 0.0f;
}

Taps nearest(const Side& side, int64_t i, float offset) {
  const auto at = static_cast<int64_t>(std::floor((static_cast<float>(i) + offset) * side.ratio));
  return {std::min(at, side.in - 1), {1.0f}};
}

// Between the pixel at or before `place` and the next.
Taps linear(const Side& side, float place) {
  const int64_t first = std::min(static_cast<int64_t>(place), side.in - 1);
  const float share = std::clamp(place - static_cast<float>(first), 0.0f, 1.0f);
  if (first + 1 == side.in) return {first, {1.0f}};
  return {first, {1.0f - share, share}};
}

// Four pixels; those beyond the border are the outermost one.
Taps keys(const Side& side, float place) {
  const float before = std::floor(place), share = place - before;
  const int64_t begin = static_cast<int64_t>(before) - 1, last = side.in - 1;
  const auto inside = [&](int64_t j) { return std::clamp<int64_t>(j, 0, last); };
  Taps taps{inside(begin), std::vector<float>(static_cast<size_t>(inside(begin + 3) - inside(begin) + 1))};
  for (int64_t k = 0; k < 4; ++k)
    taps.weights[static_cast<size_t>(inside(begin + k) - taps.first)] +=
        cubic(static_cast<float>(k) - 1.0f - share, -0.75f);
  return taps;
}

Taps antialiased(const Side& side, int64_t i, bool is_cubic) {
  const float stretch = std::max(side.ratio, 1.0f), reach = (is_cubic ? 2.0f : 1.0f) * stretch;
  const float center = side.ratio * (static_cast<float>(i) + 0.5f);
  const int64_t first = std::max<int64_t>(static_cast<int64_t>(center - reach + 0.5f), 0);
  const int64_t end = std::min<int64_t>(static_cast<int64_t>(center + reach + 0.5f), side.in);
  Taps taps{first, {}};
  float sum = 0.0f;
  for (int64_t j = first; j < end; ++j) {
    const float x = (static_cast<float>(j) - center + 0.5f) / stretch;
    taps.weights.push_back(is_cubic ? cubic(x, -0.5f) : std::max(0.0f, 1.0f - std::fabs(x)));
    sum += taps.weights.back();
  }
  for (float& w : taps.weights) w /= sum;
  return taps;
}

Taps mean(const Side& side, int64_t i) {
  const int64_t first = i * side.in / side.out, end = ((i + 1) * side.in + side.out - 1) / side.out;
  const auto count = static_cast<size_t>(end - first);
  return {first, std::vector<float>(count, 1.0f / static_cast<float>(count))};
}

Taps taps_of(const Side& side, int64_t i, Interpolation mode) {
  const float center = side.ratio * (static_cast<float>(i) + 0.5f) - 0.5f;  // between the centres of input pixels
  switch (mode) {
    case Interpolation::kNearest: return nearest(side, i, 0.0f);
    case Interpolation::kNearestExact: return nearest(side, i, 0.5f);
    case Interpolation::kBilinear: return linear(side, std::max(center, 0.0f));
    case Interpolation::kBicubic: return keys(side, center);
    case Interpolation::kBilinearAntialias: return antialiased(side, i, false);
    case Interpolation::kBicubicAntialias: return antialiased(side, i, true);
    case Interpolation::kArea: return mean(side, i);
    case Interpolation::kBilinearAlignCorners: break;
  }
  const float step = side.out > 1 ? static_cast<float>(side.in - 1) / static_cast<float>(side.out - 1) : 0.0f;
  return linear(side, step * static_cast<float>(i));
}

std::vector<Taps> all_taps(const Side& side, Interpolation mode) {
  std::vector<Taps> all;
  for (int64_t i = 0; i < side.out; ++i) all.push_back(taps_of(side, i, mode));
  return all;
}

// The weighted sum of vectors of `count` values that begin at from, from + count, …
void weighted_sum(const float* from, const std::vector<float>& weights, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = weights[0] * from[i];
  for (size_t k = 1; k < weights.size(); ++k) {
    from += count;
    for (int64_t i = 0; i < count; ++i) to[i] += weights[k] * from[i];
  }
}

}  // namespace

std::optional<Interpolation> find_interpolation(std::string_view name) {
  for (const auto& [known, mode] : kModes)
    if (known == name) return mode;
  return std::nullopt;
}

int64_t scaled_side(int64_t side, double scale) {
  return static_cast<int64_t>(std::floor(static_cast<double>(side) * scale));
}

Tensor interpolate(const Tensor& x, int64_t height, int64_t width, Interpolation mode, std::optional<double> scale) {
  check_f32("interpolate", "x", x);
  SUMI_CHECK_KIND(kInternal, Tape::recording({&x}) == nullptr, "interpolate: has no gradient");
  SUMI_CHECK(x.rank() == 4 && x.numel() > 0 && height > 0 && width > 0, "interpolate: {} cannot become {}x{}",
             x.shape().str(), height, width);
  SUMI_CHECK(!scale || *scale > 0.0, "interpolate: the scale must be over 0, not {}", *scale);
  const OpScope scope("interpolate", x);
  const std::vector<Taps> rows = all_taps(side_of(x.dim(1), height, scale), mode);
  const std::vector<Taps> columns = all_taps(side_of(x.dim(2), width, scale), mode);
  const int64_t channels = x.dim(3), in_row = x.dim(2) * channels, out_row = width * channels;
  Tensor out = Tensor::empty({x.dim(0), height, width, channels}, DType::kF32, x.device());
  const HostView<float> from(x);
  const HostEdit<float> to(out);
  parallel_for(x.dim(0) * height, [&](int64_t task) {
    const int64_t n = task / height;
    const Taps& row = rows[static_cast<size_t>(task % height)];
    std::vector<float> line(static_cast<size_t>(in_row));
    weighted_sum(from.data() + (n * x.dim(1) + row.first) * in_row, row.weights, in_row, line.data());
    float* pixel = to.data() + task * out_row;
    for (const Taps& column : columns) {
      weighted_sum(line.data() + column.first * channels, column.weights, channels, pixel);
      pixel += channels;
    }
  });
  return out;
}

}  // namespace sumi
