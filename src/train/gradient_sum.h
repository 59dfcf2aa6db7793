// Gradients summed over several processes while the backward pass is under way.
#pragma once

#include <vector>

#include "core/autograd.h"
#include "ranks/ranks.h"
#include "train/parameters.h"

namespace sumi::train {

// The first step tells in which order parameters' gradients are done; from the second on they are summed in buckets, as
// soon as a bucket's are, while the rest is computed. (Li et al. 2020, PyTorch's DistributedDataParallel)
class GradientSum {
 public:
  // Buckets of `bucket` values, or of one larger parameter.
  GradientSum(const Ranks& ranks, const std::vector<NamedTensor>& params, int64_t bucket = int64_t{1} << 20);

  // For the last backward pass of a step; nothing where there is one rank.
  Tape::AfterRecord watch();
  // Ends the step: afterwards each gradient is the sum of all ranks'. A parameter that has none keeps none; which have
  // must be the same on all ranks.
  void finish();

 private:
  struct Bucket {
    std::vector<size_t> params;
    int64_t ready = 0;  // the record, counted from the end of the tape, after which all its gradients are done
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
