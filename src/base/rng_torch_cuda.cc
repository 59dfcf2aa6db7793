// PyTorch's CUDA generator on the host. PyTorch launches one thread an element, 256 to a block, as many blocks as the
// card holds at once. Thread k takes Philox's counter (offset / 4, k) and makes four values from it, the elements k, k
// + threads, k + 2 threads and k + 3 threads; then it takes the next counter. Every call advances the offset by four
// for each round of its threads.
//
// Exact on every card: calls of at most as many elements as the card has thread slots, since each thread then makes one
// element (a 512x512 batch of three takes 49,152; the smallest card of 24 multiprocessors has that many). For larger
// calls PyTorch's numbers depend on the card; here they are an A100's. Sine, cosine and logarithm are the card's fast
// approximations there: values differ by some 1e-6.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/philox.h"
#include "base/rng.h"

namespace sumi {
namespace {

constexpr uint64_t kThreadsPerBlock = 256;
constexpr uint64_t kMaxBlocks = 108 * (2048 / kThreadsPerBlock);  // A100: 108 multiprocessors, 2048 threads each

using FourFloats = std::array<float, 4>;

// (0, 1]: the middle of each of 2^32 steps, rounded to float.
float to_uniform(uint32_t bits) { return static_cast<float>(bits) * 0x1p-32f + 0x1p-33f; }

FourFloats four_uniforms(const std::array<uint32_t, 4>& bits) {
  FourFloats result;
  for (size_t i = 0; i < 4; ++i) {
    const float value = to_uniform(bits[i]);
    result[i] = value == 1.0f ? 0.0f : value;  // torch.rand is in [0, 1): it maps 1 to 0
  }
  return result;
}

FourFloats four_normals(const std::array<uint32_t, 4>& bits) {
  constexpr float kTwoPi = 2.0f * std::numbers::pi_v<float>;
  FourFloats result;
  for (size_t i = 0; i < 4; i += 2) {
    const float radius = std::sqrt(-2.0f * std::log(to_uniform(bits[i])));
    const float angle = static_cast<float>(bits[i + 1]) * (0x1p-32f * kTwoPi) + 0x1p-33f * kTwoPi;
    result[i] = radius * std::sin(angle);
    result[i + 1] = radius * std::cos(angle);
  }
  return result;
}

template <class MakeFour> void fill(std::span<float> out, uint64_t seed, uint64_t& offset, MakeFour make_four) {
  const uint64_t count = out.size();
  if (count == 0) return;
  const uint64_t threads = kThreadsPerBlock * std::min((count + kThreadsPerBlock - 1) / kThreadsPerBlock, kMaxBlocks);
  const std::array<uint32_t, 2> key{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  for (uint64_t start = 0; start < count; start += 4 * threads, offset += 4) {
    const uint64_t draw = offset / 4;
    for (uint64_t thread = 0; thread < std::min(threads, count - start); ++thread) {
      const FourFloats four = make_four(philox4x32_10(
          {static_cast<uint32_t>(draw), static_cast<uint32_t>(draw >> 32), static_cast<uint32_t>(thread), 0}, key));
      for (uint64_t i = 0; i < 4; ++i) {
        const uint64_t element = start + i * threads + thread;
        if (element < count) out[element] = four[i];
      }
    }
  }
}

}  // namespace

TorchCudaGenerator::TorchCudaGenerator(uint64_t seed) : seed_(seed) {}

void TorchCudaGenerator::randn(std::span<float> out) { fill(out, seed_, offset_, four_normals); }

void TorchCudaGenerator::rand(std::span<float> out) { fill(out, seed_, offset_, four_uniforms); }

}  // namespace sumi
