#include "ops/tiled_norms.h"

#include <algorithm>

#include "base/check.h"
#include "ops/norm.h"

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

Tensor TiledNorms::next(const Tensor& x, int64_t groups) {
  SUMI_CHECK_KIND(kInternal, x.rank() == 4 && x.dim(0) == 1 && (is_sample_ || x.dim(1) % tile_.height == 0),
                  "group_norm: {} is not a layer of a tile of height {}", x.shape().str(), tile_.height);
  if (next_ == norms_.size()) norms_.push_back({.sums = Tensor::zeros({groups, 2}, DType::kF64, x.device())});
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
  const int64_t groups = sums.dim(0);
  group_sums_slot(x.device(), {.x = x.view(),
                               .sums = sums.mutable_view(),
                               .width = x.dim(2),
                               .channels = x.dim(3),
                               .groups = groups,
                               .top = own.top,
                               .bottom = own.bottom,
                               .left = own.left,
                               .right = own.right});
  count += static_cast<double>((own.bottom - own.top) * (own.right - own.left) * (x.dim(3) / groups));
}

// Two numbers a group: few enough to download to the host.
void TiledNorms::Norm::take_sums() {
  if (count == 0.0) return;
  std::vector<double> values;
  const HostView<double> summed(sums);
  for (int64_t g = 0; g < summed.size(); g += 2) {
    const double mean = summed[g] / count;
    values.push_back(mean);
    values.push_back(std::max(0.0, summed[g + 1] / count - mean * mean));
  }
  statistics = Tensor::from(values, sums.shape(), sums.device());
  sums = Tensor::zeros(sums.shape(), DType::kF64, sums.device());
  count = 0.0;
}

}  // namespace sumi
