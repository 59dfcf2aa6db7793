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
  int64_t crop = 0;    // pixels a side of the square cut out, anywhere; 0: `size`, from the middle
  bool flip = false;   // mirrored half of the time
  BatchShare share;    // of each batch
  uint64_t seed = 42;
};

class PictureBatches {
 public:
  PictureBatches(std::vector<Example> examples, const PictureBatchOptions& options);

  // This rank's share of the number-th batch [N,side,side,3] in [-1, 1]; the next one is begun on a thread of its own.
  // What is in it follows from the seed and the number. In the place of a picture that cannot be read comes the next
  // that can. Throws Error(kNoInput) where none can, Error(kData) where too
  // many cannot (check_broken).
  Tensor operator()(int64_t number);
  // How many pictures could not be read so far; each was told as a warning.
  int64_t skipped() const { return static_cast<int64_t>(broken_.size()); }

 private:
  struct Batch {
    int64_t number;
    Tensor pictures;
    std::vector<std::pair<int64_t, std::string>> broken;  // and why
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
