// numpy's RandomState: normal values by Marsaglia's polar method over mt19937, in double precision.
#include <cmath>
#include <optional>
#include <random>
#include <utility>

#include "base/rng.h"

namespace sumi {

struct NumpyGenerator::State {
  explicit State(uint64_t seed) : engine(static_cast<uint32_t>(seed)) {}

  // 53 bits of two words.
  double uniform() {
    const auto high = static_cast<double>(static_cast<uint32_t>(engine()) >> 5);
    const auto low = static_cast<double>(static_cast<uint32_t>(engine()) >> 6);
    return (high * 67108864.0 + low) * 0x1p-53;
  }

  double normal() {
    if (waiting) return *std::exchange(waiting, std::nullopt);
    double x = 0.0, y = 0.0, square = 0.0;
    do {
      x = 2.0 * uniform() - 1.0;
      y = 2.0 * uniform() - 1.0;
      square = x * x + y * y;
    } while (square >= 1.0 || square == 0.0);
    const double factor = std::sqrt(-2.0 * std::log(square) / square);
    waiting = x * factor;
    return y * factor;
  }

  std::mt19937 engine;
  std::optional<double> waiting;
};

NumpyGenerator::NumpyGenerator(uint64_t seed) : state_(std::make_unique<State>(seed)) {}
NumpyGenerator::~NumpyGenerator() = default;

void NumpyGenerator::randn(std::span<float> out) {
  for (float& value : out) value = static_cast<float>(state_->normal());
}

void NumpyGenerator::rand(std::span<float> out) {
  for (float& value : out) value = static_cast<float>(state_->uniform());
}

}  // namespace sumi
