// Random number generators that give the numbers PyTorch gives for the same seed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace sumi {

// A stream of random numbers. Each draw continues where the last one stopped; still, two randn of 4 and 5 values differ
// from one of 9.
class Generator {
 public:
  virtual ~Generator() = default;
  // Fills `out` with standard normal values, as torch.randn of that many elements.
  virtual void randn(std::span<float> out) = 0;
  // The same as torch.randn_like of a tensor that is not contiguous (channels last, for instance), in its memory's
  // order: on the CPU PyTorch then draws other numbers.
  virtual void randn_serially(std::span<float> out) { randn(out); }
  // Fills `out` with values uniform in [0, 1), as torch.rand.
  virtual void rand(std::span<float> out) = 0;
};

// torch.Generator on the CPU (mt19937), float32: randn of every size class, rand, randint, randperm.
class TorchCpuGenerator : public Generator {
 public:
  explicit TorchCpuGenerator(uint64_t seed);
  ~TorchCpuGenerator() override;
  void randn(std::span<float> out) override;
  void randn_serially(std::span<float> out) override;
  void rand(std::span<float> out) override;
  // Integers in [low, high), as torch.randint.
  void randint(int64_t low, int64_t high, std::span<int64_t> out);
  // A permutation of 0 … n-1, as torch.randperm.
  std::vector<int64_t> randperm(int64_t n);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// torch.Generator on a CUDA device (Philox 4x32-10 with PyTorch's offsets and grid), computed on the host: float32
// randn and rand. The same on every card for calls of at most as many elements as the card runs threads at once (49,152
// on the smallest, with 24 multiprocessors); for larger calls, where PyTorch's numbers depend on the card, an A100's.
class TorchCudaGenerator : public Generator {
 public:
  explicit TorchCudaGenerator(uint64_t seed);
  void randn(std::span<float> out) override;
  void rand(std::span<float> out) override;

 private:
  uint64_t seed_;
  uint64_t offset_ = 0;
};

// numpy.random.RandomState, whose values are rounded to float32. Seeds beyond 2^32 - 1, which numpy refuses, lose their
// upper bits.
class NumpyGenerator : public Generator {
 public:
  explicit NumpyGenerator(uint64_t seed);
  ~NumpyGenerator() override;
  void randn(std::span<float> out) override;
  void rand(std::span<float> out) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// PyTorch's "cpu" or "cuda", or "numpy"; throws Error(kUsage) for any other name.
std::unique_ptr<Generator> make_generator(std::string_view name, uint64_t seed);

}  // namespace sumi
