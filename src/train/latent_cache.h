// Latents of a data set, computed once and kept in a file.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "io/checkpoint.h"
#include "models/stable_diffusion.h"
#include "train/dataset.h"

namespace sumi::train {

struct LatentCacheOptions {
  int64_t size = 512;  // pixels a side
  bool flip = false;   // also the mirrored pictures
  int64_t crops = 0;   // randomly placed squares per picture; 0: its middle
  uint64_t seed = 42;  // of the squares' positions
  image::Colour background = image::kWhite;
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(int64_t done, int64_t total)> on_picture;
};

class LatentCache {
 public:
  // Opens `file` if it holds the moments that this model's encoder gives for exactly these examples; otherwise computes
  // them and writes the file. Pictures are read on a separate thread. Broken ones are left out with a warning. Throws
  // Error(kData) if too many are broken (check_broken), Error(kCancelled).
  LatentCache(const std::filesystem::path& file, const std::vector<Example>& examples,
              const models::StableDiffusion& model, const LatentCacheOptions& options);

  // Indices of the examples whose pictures could be read.
  const std::vector<int64_t>& usable() const { return usable_; }
  int64_t skipped() const { return skipped_; }
  // Mean and log-variance of an example's latent [1,h,w,2z], not scaled; `chance`, 0 to 1, selects one of the squares.
  Tensor moments(int64_t example, bool mirrored, double chance = 0.0) const;
  // The standard deviation of all values of latents drawn from `examples` usable examples, spread evenly over the set.
  // LDM's `scale_by_std` scales by its inverse.
  double deviation(int64_t examples) const;

 private:
  void open(const std::filesystem::path& file);

  std::unique_ptr<io::Checkpoint> file_;
  Tensor moments_;  // [examples · variants, h, w, 2z]
  int64_t crops_ = 1, mirrors_ = 1, skipped_ = 0;
  std::vector<int64_t> usable_;
};

}  // namespace sumi::train
