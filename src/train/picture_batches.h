// Batches of pictures from a data set, read ahead.
#pragma once

#include <future>
#include <memory>
#include <set>
#include <vector>

#include "core/tensor.h"
#include "train/dataset.h"
#include "train/run.h"

namespace sumi::train {

struct PictureBatchOptions {
  int64_t size = 256;  // pixels of the shorter side once scaled
  int64_t crop = 0;    // pixels a side of a randomly placed square; 0: `size`, from the middle
  bool flip = false;   // mirrored half of the time
  BatchShare share;    // this rank's part of each batch
  uint64_t seed = 42;
  image::Colour background = image::kWhite;
};

class PictureBatches {
 public:
  PictureBatches(std::vector<Example> examples, const PictureBatchOptions& options);

  // This rank's share of the number-th batch [N,side,side,3] in [-1, 1]; starts loading the next one on another thread.
  // Its contents depend only on the seed and the number. A picture that cannot be read is replaced by the next readable
  // one. Throws Error(kNoInput) if none can be read, Error(kData) if too many cannot (check_broken).
  Tensor operator()(int64_t number);
  // The number of pictures that could not be read so far; each was reported as a warning.
  int64_t skipped() const { return static_cast<int64_t>(broken_.size()); }

 private:
  struct Batch {
    int64_t number;
    Tensor pictures;
    std::vector<std::pair<int64_t, std::string>> broken;  // index and reason
  };
  Batch load(int64_t number, std::set<int64_t> broken) const;
  image::Image cut(const image::Image& picture, const float* chances) const;

  std::vector<Example> examples_;
  PictureBatchOptions options_;
  std::set<int64_t> broken_;
  std::future<Batch> next_;
  int64_t next_number_ = -1;
};

}  // namespace sumi::train
