#include "ops/tiled_norms.h"

#include <algorithm>

#include "base/check.h"
#include "base/parallel.h"

namespace sumi {

void TiledNorms::begin_sample() {
  is_sample_ = true;
  next_ = 0;
}

void TiledNorms::begin_tile(const Tile& tile, bool sums) {
  tile_ = tile;
  sums_ = sums;
  is_sample_ = false;
  next_ = 0;
}

void TiledNorms::end_pass() {
  for (Norm& norm : norms_) norm.take_sums();
}

std::span<const double> TiledNorms::next(const Tensor& x, int64_t groups) {
  SUMI_CHECK_KIND(kInternal, x.rank() == 4 && x.dim(0) == 1 && (is_sample_ || x.dim(1) % tile_.height == 0),
                  "group_norm: {} is no layer of a tile of height {}", x.shape().str(), tile_.height);
  if (next_ == norms_.size()) norms_.push_back({.sums = std::vector<double>(static_cast<size_t>(2 * groups))});
  Norm& norm = norms_[next_++];
  if (is_sample_) {
    norm.add(x, {x.dim(1), 0, x.dim(1), 0, x.dim(2)});
    norm.take_sums();
  } else if (sums_) {
    const int64_t scale = x.dim(1) / tile_.height;
    norm.add(x, {x.dim(1), tile_.top * scale, tile_.bottom * scale, tile_.left * scale, tile_.right * scale});
  }
  return norm.statistics;
}

void TiledNorms::Norm::add(const Tensor& x, const Tile& own) {
  const int64_t groups = static_cast<int64_t>(sums.size()) / 2, channels = x.dim(3), width = channels / groups;
  const int64_t rows = own.bottom - own.top, columns = own.right - own.left;
  std::vector<double> of_rows(static_cast<size_t>(rows * 2 * groups));
  parallel_for(rows, [&](int64_t row) {
    double* to = of_rows.data() + row * 2 * groups;
    const float* from = x.data<float>() + ((own.top + row) * x.dim(2) + own.left) * channels;
    for (int64_t pixel = 0; pixel < columns; ++pixel, from += channels) {
      for (int64_t g = 0; g < groups; ++g) {
        for (int64_t c = g * width; c < (g + 1) * width; ++c) {
          to[2 * g] += from[c];
          to[2 * g + 1] += double{from[c]} * from[c];
        }
      }
    }
  });
  for (int64_t i = 0; i < rows * 2 * groups; ++i)
    sums[static_cast<size_t>(i % (2 * groups))] += of_rows[static_cast<size_t>(i)];
  count += static_cast<double>(rows * columns * width);
}

void TiledNorms::Norm::take_sums() {
  statistics.resize(sums.size());
  for (size_t g = 0; g + 1 < sums.size(); g += 2) {
    const double mean = sums[g] / count;
    statistics[g] = mean;
    statistics[g + 1] = std::max(0.0, sums[g + 1] / count - mean * mean);
  }
  std::fill(sums.begin(), sums.end(), 0.0);
  count = 0.0;
}

}  // namespace sumi
