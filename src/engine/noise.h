// The noise of a job, drawn from its generators in the layout of the original.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "core/tensor.h"

namespace sumi::engine {

// Draws shapes [N,H,W,C] as the [N,C,H,W] that PyTorch would have drawn: on the host, then to the device in one copy.
class NoiseStream {
 public:
  NoiseStream(std::string_view rng, uint64_t seed, Device device);
  Tensor operator()(const Shape& nhwc);
  // The same as torch.randn_like of a tensor whose memory is [N,H,W,C].
  Tensor channels_last(const Shape& nhwc);

 private:
  std::unique_ptr<Generator> generator_;
  Device device_;
};

// Whose noise a job draws.
struct NoiseChoice {
  std::string rng = "cpu";
  uint64_t seed = 0;
  bool by_picture = false;               // picture i draws from
  std::span<const uint64_t> seeds = {};  // seeds[i], or where there are none from seed + i; outlives the noise
  // Above 0 (by picture only): the first noise of every picture is that of `seed`, turned by so much towards that of
  // subseed + i.
  double subseed_strength = 0.0;
  uint64_t subseed = 0;

  // Of picture `number`, by picture.
  uint64_t seed_of(int64_t number) const;
};

// The noise of a whole job: one stream for all its pictures, or one for each.
class JobNoise {
 public:
  JobNoise(NoiseChoice choice, Device device);
  // Begins the batch of `count` pictures from number `first` on.
  void begin(int64_t first, int64_t count);
  // What a batch starts from; then all other noise. [N,H,W,C]; by picture, N is the batch's count.
  Tensor first(const Shape& nhwc);
  Tensor next(const Shape& nhwc);
  Tensor next_channels_last(const Shape& nhwc);
  // The first draw of fresh generators with the batch's seeds, PyTorch's or numpy's.
  Tensor apart(const Shape& nhwc, std::string_view rng) const;
  const NoiseChoice& choice() const { return choice_; }

 private:
  std::vector<NoiseStream> streams(std::string_view rng) const;

  NoiseChoice choice_;
  Device device_;
  int64_t number_ = 0, count_ = 0;  // of the batch's pictures
  std::vector<NoiseStream> streams_;
};

// Mixes two noises along the arc between them, each column of each channel by itself, as A1111's variations: x and y
// [1,H,W,C] on the host.
Tensor mix_along_arc(const Tensor& x, const Tensor& y, double part);

}  // namespace sumi::engine
