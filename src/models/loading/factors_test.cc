#include "models/loading/factors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "io/safetensors.h"
#include "models/loading/open.h"
#include "ops/layout.h"
#include "tests/support/temp_folder.h"

namespace sumi::models {
namespace {

using testing::HasSubstr;

class Factors : public testing::Test {
 protected:
  static Tensor small() {
    Tensor tensor = Tensor::empty({2, 3}, DType::kF8E4M3);
    const std::vector<uint8_t> bits{0x38, 0x40, 0xB8, 0x38, 0x30, 0x00};  // 1, 2, -1, 1, 0.5, 0
    tensor.write(std::as_bytes(std::span<const uint8_t>(bits)));
    return tensor;
  }
  std::unique_ptr<io::Checkpoint> open(const std::vector<std::pair<std::string, Tensor>>& tensors) const {
    io::write_safetensors(folder_ / "model.safetensors", tensors);
    return with_factors_applied(io::open_checkpoint(folder_ / "model.safetensors"));
  }
  test::TempFolder folder_;
};

TEST_F(Factors, MultiplyTheWeightBesideThem) {
  for (const char* ending : {".scale_weight", ".weight_scale"}) {
    const auto file = open({{"a.lin.weight", small()},
                            {std::string("a.lin") + ending, Tensor::full({1}, 0.3f)},
                            {"a.lin.scale_input", Tensor::full({1}, 1.0f)},
                            {"scaled_fp8", Tensor::empty({0}, DType::kF8E4M3)},
                            {"a.plain.weight", small()},
                            {"a.half.weight", cast(cast(small(), DType::kF32), DType::kF16)}});
    EXPECT_FALSE(file->has(std::string("a.lin") + ending));
    EXPECT_EQ(file->tensors().size(), 3u);  // nothing that speaks of factors stays
    ASSERT_EQ(file->find("a.lin.weight")->dtype, DType::kF32);
    EXPECT_TRUE(file->is_copied("a.lin.weight"));
    const Tensor value = file->tensor("a.lin.weight");
    EXPECT_EQ(value.shape(), (Shape{2, 3}));
    EXPECT_FLOAT_EQ(value.host<float>()[1], 0.6f);
    EXPECT_FLOAT_EQ(value.host<float>()[2], -0.3f);
    EXPECT_EQ(file->tensor("a.plain.weight").dtype(), DType::kF8E4M3);
    EXPECT_EQ(file->tensor("a.half.weight").dtype(), DType::kF16);
  }
}

TEST_F(Factors, AFileWithoutThemStaysItself) {
  const auto file = open({{"a.weight", small()}, {"b.scale_weight", Tensor::full({1}, 0.3f)}});
  EXPECT_TRUE(file->has("b.scale_weight"));
  EXPECT_EQ(file->find("a.weight")->dtype, DType::kF8E4M3);
}

TEST_F(Factors, OneThatIsNotANumberIsRefusedByName) {
  try {
    open({{"a.weight", small()}, {"a.scale_weight", Tensor::full({2, 1}, 0.3f)}});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_THAT(error.what(), HasSubstr("model.safetensors: \"a.scale_weight\" is not one number"));
  }
}

TEST_F(Factors, AreAppliedWhereAModelIsOpened) {
  io::write_safetensors(folder_ / "unet.safetensors",
                        {{"model.diffusion_model.out.2.weight", small()},
                         {"model.diffusion_model.out.2.scale_weight", Tensor::full({}, 2.0f)}});
  const auto file = open_model_files(folder_ / "unet.safetensors");
  EXPECT_EQ(file->tensor("model.diffusion_model.out.2.weight").host<float>()[1], 4.0f);
}

}  // namespace
}  // namespace sumi::models
