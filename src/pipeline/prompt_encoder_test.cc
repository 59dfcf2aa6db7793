#include "pipeline/prompt_encoder.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "pipeline/open_model.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_models.h"
#include "tests/support/temp_folder.h"

namespace sumi::pipeline {
namespace {

class PromptEncoderTest : public testing::Test {
 protected:
  PromptEncoderTest() { tools::write_byte_vocabulary(folder_.path()); }

  PromptPair encode(PromptSyntax syntax, const std::vector<std::string>& prompts, const std::string& negative = "") {
    const text::ClipTokenizer tokenizer = text::ClipTokenizer::load(folder_.path());
    return PromptEncoder(model_, tokenizer, syntax)(prompts, negative, true);
  }
  static bool equal(const Tensor& a, const Tensor& b) { return a.shape() == b.shape() && test::same_bytes(a, b); }
  // 150 tokens: two rows.
  static std::string long_prompt() {
    std::string text;
    for (int i = 0; i < 150; ++i) text += "a ";
    return text;
  }

  test::TempFolder folder_;
  models::StableDiffusion model_ = load_model(
      open_model({.checkpoint = test::synthetic_model(), .config = std::string(SUMI_TEST_DATA) + "/tiny.yaml"}));
};

TEST_F(PromptEncoderTest, PlainPromptsAreTheSameInBothSyntaxes) {
  const PromptPair exact = encode(PromptSyntax::kExact, {"a cat", "a dog"}, "blurry");
  const PromptPair weighted = encode(PromptSyntax::kWeighted, {"a cat", "a dog"}, "blurry");
  EXPECT_EQ(exact.cond.shape(), (Shape{2, 77, 64}));
  EXPECT_TRUE(equal(exact.cond, weighted.cond));
  EXPECT_TRUE(equal(exact.uncond, weighted.uncond));
  EXPECT_FALSE(equal(exact.cond.rows(0, 1), exact.cond.rows(1, 2)));
}

TEST_F(PromptEncoderTest, ExactCutsAndSaysSo) {
  const CollectWarnings warnings;
  EXPECT_EQ(encode(PromptSyntax::kExact, {long_prompt()}).cond.shape(), (Shape{1, 77, 64}));
  ASSERT_EQ(warnings.messages().size(), 1u);
  EXPECT_NE(warnings.messages()[0].find("the last 75 of 150 tokens"), std::string::npos) << warnings.messages()[0];
}

TEST_F(PromptEncoderTest, LongPromptsFillTheOthersUpWithTheEmptyText) {
  const PromptPair pair = encode(PromptSyntax::kWeighted, {long_prompt(), "a cat"});
  EXPECT_EQ(pair.cond.shape(), (Shape{2, 154, 64}));
  EXPECT_EQ(pair.uncond.shape(), (Shape{2, 154, 64}));
  const Tensor empty = encode(PromptSyntax::kExact, {""}).cond.reshape({77, 64});
  const Tensor second = pair.cond.rows(1, 2).reshape({154, 64});
  EXPECT_TRUE(equal(second.rows(77, 154), empty));
  EXPECT_TRUE(equal(second.rows(0, 77), encode(PromptSyntax::kExact, {"a cat"}).cond.reshape({77, 64})));
}

}  // namespace
}  // namespace sumi::pipeline
