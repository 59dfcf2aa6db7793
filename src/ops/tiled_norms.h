// Group norms of a picture that is computed tile by tile.
//
// A tile's own mean and variance are not the picture's, and the seams would show. While a TiledNorms lives, its
// thread's group norms take their statistics from here. A sample, the whole picture at fewer pixels, goes through the
// layers first; its mean and variance at each norm estimate the picture's. The tiles follow, one by one. A pass over
// all of them may also sum what the next pass will use: the statistics of the first norm are exact after one pass,
// those of the n-th after n.
#pragma once

#include <cstddef>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"

namespace sumi {

class TiledNorms {
 public:
  TiledNorms() : scope_([this](Context& context) { context.tiled_norms = this; }) {}
  TiledNorms(const TiledNorms&) = delete;
  TiledNorms& operator=(const TiledNorms&) = delete;

  // A tile as the layers see it, and the rows and columns that are its own; the rest belong to neighbours. Layers may
  // enlarge it by whole factors.
  struct Tile {
    int64_t height, top, bottom, left, right;
  };
  // Starts the sample: the group norms that follow are the sample's.
  void begin_sample();
  // Starts a tile. With `sums`, its group norms also sum what the next pass will use.
  void begin_tile(const Tile& tile, bool sums);
  // What was summed over the tiles becomes the statistics of the next pass.
  void end_pass();

  // For group_norm: sums x [1,H,W,C], and returns mean and variance of each group, [groups, 2] f64 on x's device;
  // undefined where there are none yet and a tile has to use its own.
  Tensor next(const Tensor& x, int64_t groups);

 private:
  struct Norm {
    Tensor sums, statistics;  // [groups, 2] f64: Σx, Σx²; mean, variance
    double count = 0.0;       // of values a group
    void add(const Tensor& x, const Tile& own);
    void take_sums();
  };
  ContextScope scope_;
  Tile tile_{};
  bool is_sample_ = false, sums_ = false;
  std::vector<Norm> norms_;
  size_t next_ = 0;
};

}  // namespace sumi
