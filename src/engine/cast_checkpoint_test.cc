#include "engine/cast_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/log.h"
#include "io/safetensors.h"
#include "ops/layout.h"
#include "tests/support/temp_folder.h"

namespace sumi::engine {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class CastCheckpointTest : public testing::Test {
 protected:
  // A file with the one tensor "w", seen through `dtype`.
  std::shared_ptr<const io::Checkpoint> seen_as(DType dtype, const Tensor& tensor) const {
    io::write_safetensors(folder_ / "model.safetensors", {{"w", tensor}});
    return cast_checkpoint(io::open_checkpoint(folder_ / "model.safetensors"), dtype);
  }
  test::TempFolder folder_;
};

TEST_F(CastCheckpointTest, FloatsOfEightBitsBecomeAnyType) {
  constexpr std::pair<DType, int> kOneAndAHalf[] = {{DType::kF8E4M3, 0x3C}, {DType::kF8E5M2, 0x3E}};
  for (const auto& [stored, bits] : kOneAndAHalf) {
    Tensor small = Tensor::empty({2, 32}, stored);
    small.write(std::vector<std::byte>(64, static_cast<std::byte>(bits)));
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kQ8}) {
      const auto checkpoint = seen_as(dtype, small);
      EXPECT_TRUE(checkpoint->is_copied("w"));
      const Tensor value = checkpoint->tensor("w");
      EXPECT_EQ(value.dtype(), dtype);
      const Tensor wide = sumi::cast(value, DType::kF32);
      const HostView<float> values(wide);
      for (const float got : values) EXPECT_NEAR(got, 1.5f, 1e-2f);
    }
  }
}

TEST_F(CastCheckpointTest, QuantisingWarnsOfValuesThatAreNotFinite) {
  Tensor tensor = Tensor::full({2, 32}, 1.0f);
  tensor.host_edit<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  tensor.host_edit<float>()[40] = -std::numeric_limits<float>::infinity();
  for (const DType dtype : {DType::kQ8, DType::kQ4}) {
    const auto checkpoint = seen_as(dtype, tensor);
    CollectWarnings warnings;
    EXPECT_EQ(checkpoint->tensor("w").dtype(), dtype);
    ASSERT_EQ(warnings.messages().size(), 1u);
    EXPECT_THAT(warnings.messages()[0],
                AllOf(HasSubstr("model.safetensors: "), HasSubstr("\"w\" has 2 values that are not finite")));
  }
  // The other types keep them, and binding reports them.
  CollectWarnings warnings;
  EXPECT_TRUE(std::isnan(to_float(seen_as(DType::kF16, tensor)->tensor("w").host<Half>()[3])));
  seen_as(DType::kQ8, Tensor::full({2, 32}, 1.0f))->tensor("w");
  EXPECT_TRUE(warnings.messages().empty());
}

TEST_F(CastCheckpointTest, ConvolutionsMayHaveAnotherType) {
  io::write_safetensors(folder_ / "model.safetensors", {{"conv", Tensor::full({32, 32, 3, 3}, 1.0f)},
                                                        {"conv.1x1", Tensor::full({32, 32, 1, 1}, 1.0f)},
                                                        {"linear", Tensor::full({32, 32}, 1.0f)}});
  const std::shared_ptr<const io::Checkpoint> stored = io::open_checkpoint(folder_ / "model.safetensors");
  const auto type_in = [](const io::Checkpoint& file, const char* name) {
    EXPECT_EQ(file.tensor(name).dtype(), file.find(name)->dtype) << name;
    return file.find(name)->dtype;
  };
  const auto all = cast_checkpoint(stored, DType::kQ8);
  EXPECT_EQ(type_in(*all, "conv"), DType::kQ8);
  const auto kept = cast_checkpoint(stored, DType::kQ8, DType::kF16);
  EXPECT_EQ(type_in(*kept, "conv"), DType::kF16);
  EXPECT_EQ(type_in(*kept, "conv.1x1"), DType::kF16);
  EXPECT_EQ(type_in(*kept, "linear"), DType::kQ8);
  EXPECT_EQ(type_in(*cast_checkpoint(stored, DType::kQ4, DType::kF32), "conv"), DType::kF32);
  EXPECT_THROW(cast_checkpoint(stored, DType::kQ8, DType::kQ4), Error);
}

}  // namespace
}  // namespace sumi::engine
