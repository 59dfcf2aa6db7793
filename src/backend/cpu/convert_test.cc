// The conversions of stored activations against core/dtype.h, bit for bit, on every instruction set of this machine.
#include "backend/cpu/convert.h"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "tests/support/cpu_targets.h"

namespace sumi::backend::cpu {
namespace {

using CpuConversions = test::OnEveryTarget;

INSTANTIATE_TEST_SUITE_P(Targets, CpuConversions, testing::ValuesIn(test::machine_targets()), test::target_name);

template <class T> void expect_widened() {
  std::vector<T> stored(65536);
  for (uint32_t i = 0; i < stored.size(); ++i) stored[i].bits = static_cast<uint16_t>(i);
  std::vector<float> got(stored.size());
  widen(Context::current(),
        {.dtype = dtype_of<T>(), .handle = stored.data(), .count = static_cast<int64_t>(stored.size())}, got.data());
  for (size_t i = 0; i < stored.size(); ++i)
    ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(to_float(stored[i]))) << i;
}

template <class T> void expect_narrowed(const std::vector<float>& values) {
  std::vector<T> got(values.size());
  narrow(Context::current(), values.data(),
         {{.dtype = dtype_of<T>(), .handle = got.data(), .count = static_cast<int64_t>(got.size())}});
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_EQ(got[i].bits, narrow_to<T>(values[i]).bits) << std::bit_cast<uint32_t>(values[i]);
}

TEST_P(CpuConversions, EveryStoredValueIsWidened) {
  expect_widened<Half>();
  expect_widened<BFloat16>();
}

// All signs, exponents and leading bits of the mantissa, with what follows them just below, on and above a tie.
TEST_P(CpuConversions, FloatsAreRoundedToTheNearest) {
  std::vector<float> values;
  for (uint32_t top = 0; top < 65536; ++top) {
    for (const uint32_t tail : {0x0u, 0x1u, 0xfffu, 0x1000u, 0x1001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      values.push_back(std::bit_cast<float>(top << 16 | tail));
  }
  expect_narrowed<Half>(values);
  expect_narrowed<BFloat16>(values);
}

}  // namespace
}  // namespace sumi::backend::cpu
