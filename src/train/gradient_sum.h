// Sums gradients over several processes during the backward pass.
#pragma once

#include <vector>

#include "core/autograd.h"
#include "ranks/ranks.h"
#include "train/parameters.h"

namespace sumi::train {

// The first step records the order in which gradients are completed. From the second step on they are summed in
// buckets: each bucket is sent once its gradients are complete, while the rest is computed. (Li et al. 2020, PyTorch's
// DistributedDataParallel)
class GradientSum {
 public:
  // A bucket has up to `bucket` values, or one larger parameter.
  GradientSum(const Ranks& ranks, const std::vector<NamedTensor>& params, int64_t bucket = int64_t{1} << 20);

  // To be passed to the last backward pass of a step. Empty with a single rank.
  Tape::AfterRecord watch();
  // Ends the step: afterwards each gradient is the sum over all ranks. Parameters without a gradient are left without
  // one; they must be the same on all ranks.
  void finish();

 private:
  struct Bucket {
    std::vector<size_t> params;
    int64_t ready = 0;  // record, counted from the tape's end, after which all its gradients are complete
    Tensor values;
    Ranks::Pending sum;
  };
  void plan();
  void send(Bucket& bucket);
  void move_on();

  const Ranks& ranks_;
  std::vector<NamedTensor> params_;
  int64_t bucket_values_;
  std::vector<Bucket> buckets_;  // in the order in which they are sent; empty before the first step's end
  size_t sent_ = 0;
  int64_t record_ = 0;
};

}  // namespace sumi::train
