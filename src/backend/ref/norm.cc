// Reference kernels: group and layer normalisation, statistics in double.
#include "ops/norm.h"

#include <cmath>
#include <vector>

#include "backend/ref/act.h"
#include "backend/ref/typed.h"

namespace sumi::backend::ref {
namespace {

template <class T> void norm_group(const GroupNormArgs& a, int64_t n, int64_t g) {
  const In<T> x(a.x);
  const Out<T> out(a.out);
  const int64_t width = a.channels / a.groups, base = n * a.pixels * a.channels + g * width;
  double sum = 0.0, squares = 0.0;
  for (int64_t p = 0; p < a.pixels; ++p) {
    for (int64_t c = 0; c < width; ++c) sum += x[base + p * a.channels + c];
  }
  const double count = static_cast<double>(a.pixels * width);
  double mean = sum / count;
  for (int64_t p = 0; p < a.pixels; ++p) {
    for (int64_t c = 0; c < width; ++c) squares += std::pow(x[base + p * a.channels + c] - mean, 2);
  }
  double variance = squares / count;
  if (a.statistics) {
    mean = a.statistics.data<double>()[2 * (n * a.groups + g)];
    variance = a.statistics.data<double>()[2 * (n * a.groups + g) + 1];
  }
  const double scale = 1.0 / std::sqrt(variance + a.eps);
  for (int64_t p = 0; p < a.pixels; ++p) {
    for (int64_t c = 0; c < width; ++c) {
      const int64_t at = base + p * a.channels + c, channel = g * width + c;
      out.set(at, act((x[at] - mean) * scale * a.gain.f32()[channel] + a.bias.f32()[channel], a.act));
    }
  }
}

void group_norm(Context&, const GroupNormArgs& a) {
  with_activation_type(a.x.dtype, [&](auto type) {
    for (int64_t n = 0; n < a.batch; ++n) {
      for (int64_t g = 0; g < a.groups; ++g) norm_group<decltype(type)>(a, n, g);
    }
  });
}

template <class T> void norm_row(const LayerNormArgs& a, int64_t row) {
  const In<T> x(a.x, row * a.channels);
  const Out<T> out(a.out);
  double sum = 0.0, squares = 0.0;
  for (int64_t c = 0; c < a.channels; ++c) sum += x[c];
  const double mean = sum / static_cast<double>(a.channels);
  for (int64_t c = 0; c < a.channels; ++c) squares += (x[c] - mean) * (x[c] - mean);
  const double scale = 1.0 / std::sqrt(squares / static_cast<double>(a.channels) + a.eps);
  for (int64_t c = 0; c < a.channels; ++c)
    out.set(row * a.channels + c, (x[c] - mean) * scale * a.gain.f32()[c] + a.bias.f32()[c]);
}

void layer_norm(Context&, const LayerNormArgs& a) {
  with_activation_type(a.x.dtype, [&](auto type) {
    for (int64_t row = 0; row < a.rows; ++row) norm_row<decltype(type)>(a, row);
  });
}

// Rows of pixels are summed one by one and then in their order, so that the sums do not depend on the threads.
template <class T> void add_group_sums(Context& context, const GroupSumsArgs& a) {
  const int64_t width = a.channels / a.groups, rows = a.bottom - a.top;
  std::vector<double> of_rows(static_cast<size_t>(rows * 2 * a.groups));
  context.parallel_for(rows, [&](int64_t row) {
    double* to = of_rows.data() + row * 2 * a.groups;
    In<T> from(a.x, ((a.top + row) * a.width + a.left) * a.channels);
    for (int64_t pixel = a.left; pixel < a.right; ++pixel, from = from + a.channels) {
      for (int64_t g = 0; g < a.groups; ++g) {
        for (int64_t c = g * width; c < (g + 1) * width; ++c) {
          to[2 * g] += from[c];
          to[2 * g + 1] += from[c] * from[c];
        }
      }
    }
  });
  double* sums = a.sums.data<double>();
  for (int64_t i = 0; i < rows * 2 * a.groups; ++i) sums[i % (2 * a.groups)] += of_rows[static_cast<size_t>(i)];
}

void group_sums(Context& context, const GroupSumsArgs& args) {
  with_activation_type(args.x.dtype, [&](auto type) { add_group_sums<decltype(type)>(context, args); });
}

const KernelRegistration kGroupNorm(group_norm_slot, Device::kRef, group_norm);
const KernelRegistration kLayerNorm(layer_norm_slot, Device::kRef, layer_norm);
const KernelRegistration kGroupSums(group_sums_slot, Device::kRef, group_sums);

}  // namespace
}  // namespace sumi::backend::ref
