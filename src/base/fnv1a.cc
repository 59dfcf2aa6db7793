#include "base/fnv1a.h"

#include <array>
#include <cstring>

namespace sumi {

// Four streams of words, so that a multiplication need not wait for the one before.
void Fnv1a::add(std::span<const std::byte> bytes) {
  std::array<uint64_t, 4> lanes{hash_, ~hash_, hash_ * 3, ~hash_ * 3};
  size_t at = 0;
  for (; at + 32 <= bytes.size(); at += 32) {
    for (size_t lane = 0; lane < 4; ++lane) {
      uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at + 8 * lane, 8);
      // The upper half is folded back: a product alone never carries high bits down.
      lanes[lane] = (lanes[lane] ^ word) * 1099511628211ull;
      lanes[lane] ^= lanes[lane] >> 32;
    }
  }
  for (const uint64_t lane : lanes) mix(lane);
  for (; at < bytes.size(); ++at) mix(static_cast<uint64_t>(bytes[at]));
  mix(bytes.size());
}

}  // namespace sumi
