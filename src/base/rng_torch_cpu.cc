// PyTorch's CPU generator: which bits of mt19937 become which number is fixed by ATen (DistributionsHelper.h,
// cpu/DistributionTemplates.h). This file follows only the order of draws and the arithmetic.
#include <cmath>
#include <numbers>
#include <optional>
#include <random>
#include <utility>

#include "base/check.h"
#include "base/rng.h"

namespace sumi {
namespace {

// From this many elements on torch.randn fills blocks of 16; below, it draws value by value in double precision.
constexpr size_t kBlock = 16;

// Box-Muller over 16 uniforms, in place: the first 8 give the radii, the other 8 the angles.
void box_muller_block(float* values) {
  constexpr float kTwoPi = 2.0f * std::numbers::pi_v<float>;
  for (size_t i = 0; i < kBlock / 2; ++i) {
    const float radius = std::sqrt(-2.0f * std::log(1.0f - values[i]));  // 1 - u lies in (0, 1]
    const float angle = kTwoPi * values[i + kBlock / 2];
    values[i] = radius * std::cos(angle);
    values[i + kBlock / 2] = radius * std::sin(angle);
  }
}

}  // namespace

struct TorchCpuGenerator::State {
  explicit State(uint64_t seed) : engine(static_cast<uint32_t>(seed)) {}  // mt19937 takes the low 32 bits

  uint32_t random() { return static_cast<uint32_t>(engine()); }

  uint64_t random64() {
    const uint64_t high = random();
    return high << 32 | random();
  }

  float uniform() { return static_cast<float>(random() & 0xFFFFFF) * 0x1p-24f; }

  double uniform_double() { return static_cast<double>(random64() & ((uint64_t{1} << 53) - 1)) * 0x1p-53; }

  // Each pair of uniforms gives two normals; the second is kept for the next call.
  double normal() {
    if (waiting_normal) return *std::exchange(waiting_normal, std::nullopt);
    const double angle = 2.0 * std::numbers::pi * uniform_double();
    const double radius = std::sqrt(-2.0 * std::log1p(-uniform_double()));
    waiting_normal = radius * std::sin(angle);
    return radius * std::cos(angle);
  }

  std::mt19937 engine;
  std::optional<double> waiting_normal;
};

TorchCpuGenerator::TorchCpuGenerator(uint64_t seed) : state_(std::make_unique<State>(seed)) {}
TorchCpuGenerator::~TorchCpuGenerator() = default;

void TorchCpuGenerator::randn(std::span<float> out) {
  if (out.size() < kBlock) return randn_serially(out);
  rand(out);
  size_t start = 0;
  for (; start + kBlock <= out.size(); start += kBlock) box_muller_block(&out[start]);
  if (start < out.size()) {
    // The last 16 values are drawn again, over some that are already normal.
    const std::span<float> tail = out.last(kBlock);
    rand(tail);
    box_muller_block(tail.data());
  }
}

void TorchCpuGenerator::randn_serially(std::span<float> out) {
  for (float& value : out) value = static_cast<float>(state_->normal());
}

void TorchCpuGenerator::rand(std::span<float> out) {
  for (float& value : out) value = state_->uniform();
}

void TorchCpuGenerator::randint(int64_t low, int64_t high, std::span<int64_t> out) {
  SUMI_CHECK_KIND(kUsage, low < high, "randint: the range [{}, {}) is empty", low, high);
  const uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  // Up to PyTorch 2.6 a range of 2^32 or more takes 64 bits a draw.
  const bool wide = range >= (uint64_t{1} << 32);
  for (int64_t& value : out) {
    const uint64_t bits = wide ? state_->random64() : state_->random();
    value = static_cast<int64_t>(static_cast<uint64_t>(low) + bits % range);
  }
}

std::vector<int64_t> TorchCpuGenerator::randperm(int64_t n) {
  // Beyond 2^32 / 20 PyTorch uses another shuffle.
  constexpr int64_t kMax = UINT32_MAX / 20;
  SUMI_CHECK_KIND(kUsage, n >= 0 && n < kMax, "randperm: {} is not in [0, {})", n, kMax);
  std::vector<int64_t> result(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) result[i] = i;
  for (int64_t i = 0; i + 1 < n; ++i) std::swap(result[i], result[i + state_->random() % (n - i)]);
  return result;
}

}  // namespace sumi
