#include "models/loading/bind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <span>

#include "base/log.h"
#include "core/host_memory.h"
#include "io/safetensors.h"
#include "ops/layout.h"
#include "tests/support/temp_folder.h"

namespace sumi::models {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

struct Net : nn::Module {
  nn::Param weight{.shape = {2, 3}}, bias{.shape = {2}};
  nn::Param conv{.shape = {2, 3, 1, 1}, .value = {}, .reshape_allowed = true};
  void visit(nn::ParamVisitor& v) override {
    v("lin.weight", weight);
    v("lin.bias", bias);
    v("conv.weight", conv);
  }
};

using Tensors = std::vector<std::pair<std::string, Tensor>>;

Tensors fitting(const std::string& prefix) {
  return {{prefix + "lin.weight", Tensor::full({2, 3}, 1.0f)},
          {prefix + "lin.bias", Tensor::full({2}, 2.0f)},
          {prefix + "conv.weight", Tensor::full({2, 3, 1, 1}, 3.0f)}};
}

class Bind : public testing::Test {
 protected:
  std::unique_ptr<io::Checkpoint> file_of(const Tensors& tensors) {
    io::write_safetensors(folder_ / "net.safetensors", tensors);
    return io::open_checkpoint(folder_ / "net.safetensors");
  }
  BindReport bind_net(const Tensors& tensors, const std::string& prefix = "model.", const BindOptions& options = {}) {
    BindReport report;
    bind_module(net_, *file_of(tensors), prefix, report, options);
    return report;
  }
  static std::string message_of(const BindReport& report) {
    try {
      report.check();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
      EXPECT_THAT(error.what(), Not(HasSubstr("\n")));
      return error.what();
    }
    return "";
  }
  test::TempFolder folder_;
  Net net_;
};

TEST_F(Bind, EveryParameterGetsItsTensor) {
  const BindReport report = bind_net(fitting("model."), "model.", {.device = Device::kRef});
  EXPECT_EQ(message_of(report), "");
  EXPECT_EQ(net_.weight.value.host<float>()[5], 1.0f);
  EXPECT_EQ(net_.bias.value.host<float>()[1], 2.0f);
  EXPECT_EQ(net_.bias.value.device(), Device::kRef);
}

TEST_F(Bind, WeightsStayInTheirTypeAndInTheFile) {
  Tensors tensors = fitting("");
  tensors[0].second = Tensor::zeros({2, 3}, DType::kF16);
  tensors[1].second = Tensor::zeros({2}, DType::kBF16);
  const auto file = file_of(tensors);
  const int64_t before = host_memory().live_bytes;
  BindReport report;
  bind_module(net_, *file, "", report);
  EXPECT_EQ(net_.weight.value.dtype(), DType::kF16);
  EXPECT_EQ(net_.bias.value.dtype(), DType::kBF16);
  EXPECT_EQ(host_memory().live_bytes, before);
}

TEST_F(Bind, DoubleBecomesFloat) {
  Tensors tensors = fitting("");
  tensors[1].second = Tensor::from(std::vector<double>{0.1, -3.0}, {2});
  bind_net(tensors, "");
  EXPECT_EQ(net_.bias.value.dtype(), DType::kF32);
  const HostView<float> bias(net_.bias.value);
  EXPECT_THAT(bias.span(), ElementsAre(0.1f, -3.0f));
}

TEST_F(Bind, TypesThatCannotBeComputedWith) {
  for (const DType dtype : {DType::kI64, DType::kU8, DType::kBool}) {
    Tensors tensors = fitting("");
    tensors[1].second = Tensor::zeros({2}, dtype);
    const auto file = file_of(tensors);
    BindReport report;
    try {
      bind_module(net_, *file, "", report);
      ADD_FAILURE() << name_of(dtype);
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("lin.bias"));
      EXPECT_THAT(error.what(), HasSubstr(std::string(name_of(dtype))));
    }
  }
}

TEST_F(Bind, MatrixForAOneByOneConvolution) {
  Tensors tensors = fitting("");
  tensors[2].second = Tensor::full({2, 3}, 3.0f);
  EXPECT_EQ(message_of(bind_net(tensors, "")), "");
  tensors[2].second = Tensor::full({3, 2}, 3.0f);  // the same number of values, but another matrix
  EXPECT_THAT(bind_net(tensors, "").misshapen, testing::SizeIs(1));
  tensors[2].second = Tensor::full({6}, 3.0f);
  EXPECT_THAT(bind_net(tensors, "").misshapen, testing::SizeIs(1));
}

TEST_F(Bind, WhatDoesNotFitIsListed) {
  Tensors tensors = fitting("model.");
  tensors[0].second = Tensor::full({3, 2}, 1.0f);
  tensors.erase(tensors.begin() + 1);
  tensors.emplace_back("model.other", Tensor::full({1}, 1.0f));
  tensors.emplace_back("model.lin.gain", Tensor::full({1}, 1.0f));
  tensors.emplace_back("elsewhere.other", Tensor::full({1}, 1.0f));
  const BindReport report = bind_net(tensors);
  EXPECT_THAT(report.missing, ElementsAre("model.lin.bias"));
  EXPECT_THAT(report.unexpected, ElementsAre("model.lin.gain"));
  EXPECT_THAT(report.unneeded, ElementsAre("model.other"));
  EXPECT_THAT(report.misshapen, ElementsAre("model.lin.weight is [3, 2] and should be [2, 3]"));
  const std::string message = message_of(report);
  for (const char* part : {"net.safetensors", "1 missing: model.lin.bias", "1 unexpected: model.lin.gain",
                           "1 misshapen: model.lin.weight is [3, 2] and should be [2, 3]"}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
}

TEST_F(Bind, OnlyTheFirstFiveAreListed) {
  Tensors tensors = fitting("");
  for (int i = 0; i < 9; ++i) tensors.emplace_back("lin.extra" + std::to_string(i), Tensor::full({1}, 1.0f));
  const std::string message = message_of(bind_net(tensors, ""));
  EXPECT_THAT(message, HasSubstr("9 unexpected: lin.extra0, lin.extra1, lin.extra2, lin.extra3, lin.extra4"));
  EXPECT_THAT(message, Not(HasSubstr("extra5")));
}

// Weights of 8-bit floats become f16.
TEST_F(Bind, EightBitFloatsAreWidened) {
  Tensors tensors = fitting("");
  Tensor small = Tensor::empty({2, 3}, DType::kF8E4M3);
  const std::vector<uint8_t> bits{0x38, 0x40, 0xB8, 0x38, 0x30, 0x00};  // 1, 2, -1, 1, 0.5, 0
  small.write(std::as_bytes(std::span<const uint8_t>(bits)));
  tensors[0].second = small;
  const auto weight = [&] {
    Tensor value;
    nn::for_each_param(net_, "", [&](const std::string& name, nn::Param& param) {
      if (name == "lin.weight") value = param.value;
    });
    return value;
  };
  EXPECT_EQ(message_of(bind_net(tensors, "")), "");
  EXPECT_EQ(weight().dtype(), DType::kF16);
  EXPECT_EQ(cast(weight(), DType::kF32).host<float>()[1], 2.0f);
}

// What no network here has is told once, and stops nothing.
TEST_F(Bind, TensorsThatNobodyNeedsAreNamedInAWarning) {
  Tensors tensors = fitting("");
  for (int i = 0; i < 9; ++i) tensors.emplace_back("logit_scale" + std::to_string(i), Tensor::full({1}, 1.0f));
  CollectWarnings warnings;
  EXPECT_EQ(message_of(bind_net(tensors, "")), "");
  ASSERT_THAT(warnings.messages(), testing::SizeIs(1));
  EXPECT_THAT(warnings.messages()[0], HasSubstr("9 tensors that no network here has are left out: logit_scale0, "));
  EXPECT_THAT(warnings.messages()[0], Not(HasSubstr("logit_scale5")));
}

TEST_F(Bind, NamesFromTheFileAreMadeSafeToPrint) {
  Tensors tensors = fitting("");
  tensors.emplace_back("lin.a\n\x1b[2Jb", Tensor::full({1}, 1.0f));
  const std::string message = message_of(bind_net(tensors, ""));
  EXPECT_THAT(message, HasSubstr("1 unexpected"));
  EXPECT_THAT(message, Not(HasSubstr("\x1b")));
}

TEST_F(Bind, BuffersThatAreNoParametersAreNoSurprise) {
  Tensors tensors = fitting("cond_stage_model.");
  tensors.emplace_back("cond_stage_model.embeddings.position_ids", Tensor::zeros({1, 77}, DType::kI64));
  const BindReport report = bind_net(tensors, "cond_stage_model.");
  EXPECT_THAT(report.unexpected, IsEmpty());
  EXPECT_THAT(report.unneeded, IsEmpty());
}

Tensors with_average() {
  Tensors tensors = fitting("model.diffusion_model.");
  tensors.emplace_back("model_ema.diffusion_modellinweight", Tensor::full({2, 3}, 10.0f));
  tensors.emplace_back("model_ema.diffusion_modellinbias", Tensor::full({2}, 20.0f));
  tensors.emplace_back("model_ema.decay", Tensor::full({1}, 0.9f));
  return tensors;
}

TEST_F(Bind, AverageIsPreferredWhereAskedFor) {
  EXPECT_EQ(message_of(bind_net(with_average(), "model.diffusion_model.", {.use_ema = true})), "");
  EXPECT_EQ(net_.weight.value.host<float>()[0], 10.0f);
  EXPECT_EQ(net_.bias.value.host<float>()[0], 20.0f);
  EXPECT_EQ(net_.conv.value.host<float>()[0], 3.0f);  // it has no average
  EXPECT_EQ(message_of(bind_net(with_average(), "model.diffusion_model.", {.use_ema = false})), "");
  EXPECT_EQ(net_.weight.value.host<float>()[0], 1.0f);
}

TEST_F(Bind, AverageServesWhereThereIsNothingElse) {
  Tensors tensors = with_average();
  tensors.erase(tensors.begin());
  EXPECT_EQ(message_of(bind_net(tensors, "model.diffusion_model.", {.use_ema = false})), "");
  EXPECT_EQ(net_.weight.value.host<float>()[0], 10.0f);
}

TEST_F(Bind, ATensorWithoutANameIsNobodysAverage) {
  Tensors tensors = fitting("first_stage_model.");
  tensors.emplace_back("", Tensor::full({2, 3}, 66.0f));
  bind_net(tensors, "first_stage_model.", {.use_ema = true});
  EXPECT_EQ(net_.weight.value.host<float>()[0], 1.0f);
  tensors.erase(tensors.begin());
  EXPECT_THAT(bind_net(tensors, "first_stage_model.").missing, ElementsAre("first_stage_model.lin.weight"));
}

TEST_F(Bind, Item31ValuesThatAreNotFiniteLoadAndWarn) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  Tensors tensors = fitting("");
  tensors[1].second = Tensor::from(std::vector<float>{nan, -inf}, {2});
  tensors[2].second = Tensor::from(std::vector<double>{0, inf, 0, 0, 0, 0}, {2, 3, 1, 1});
  CollectWarnings warnings;
  EXPECT_EQ(message_of(bind_net(tensors, "")), "");
  ASSERT_EQ(warnings.messages().size(), 2u);
  EXPECT_THAT(warnings.messages()[0], HasSubstr("\"lin.bias\" has 2 values that are not finite"));
  EXPECT_THAT(warnings.messages()[1], HasSubstr("\"conv.weight\" has 1 values"));
}

TEST_F(Bind, Item31FiniteValuesDoNotWarn) {
  Tensors tensors = fitting("");
  tensors[1].second = Tensor::from(
      std::vector<float>{std::numeric_limits<float>::max(), std::numeric_limits<float>::denorm_min()}, {2});
  CollectWarnings warnings;
  bind_net(tensors, "");
  EXPECT_THAT(warnings.messages(), IsEmpty());
}

TEST_F(Bind, CountNonFinite) {
  Tensor half = Tensor::zeros({4}, DType::kF16), brain = Tensor::zeros({4}, DType::kBF16);
  half.host_edit<Half>()[1] = {0x7c00};       // infinity
  half.host_edit<Half>()[3] = {0xfe00};       // NaN
  brain.host_edit<BFloat16>()[2] = {0xff80};  // -infinity
  EXPECT_EQ(count_non_finite(half, 100), 2);
  EXPECT_EQ(count_non_finite(brain, 100), 1);
  EXPECT_EQ(count_non_finite(Tensor::zeros({0}), 100), 0);
  EXPECT_EQ(count_non_finite(Tensor::zeros({4}, DType::kI64), 100), 0);
  const Tensor all = Tensor::full({100'000}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_GE(count_non_finite(all, 1000), 1000);
  EXPECT_LT(count_non_finite(all, 1000), 2000);  // a sample
}

TEST(CountNonFinite, LooksAtTheScalesOfBlocks) {
  const Tensor blocks = cast(Tensor::full({4, 64}, 1.0f), DType::kQ8);
  EXPECT_EQ(count_non_finite(blocks, 1 << 20), 0);
  Tensor broken = blocks.clone();
  {
    const HostEdit<std::byte> bytes(broken);
    bytes[3 * 34] = std::byte{0};
    bytes[3 * 34 + 1] = std::byte{0x7C};  // infinity
  }
  EXPECT_EQ(count_non_finite(broken, 1 << 20), 32);
}

}  // namespace
}  // namespace sumi::models
