#include "models/clip_text/clip_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/synthetic_parameters.h"

namespace sumi::models {
namespace {

using testing::HasSubstr;

const std::string kPrefix = "cond_stage_model.transformer.text_model.";

ClipTextConfig small(int64_t layers) {
  return {
      .vocab_size = 64, .max_positions = 8, .hidden_size = 32, .layers = layers, .heads = 4, .intermediate_size = 64};
}

bool equal(const Tensor& a, const Tensor& b) {
  const auto x = a.host<float>(), y = b.host<float>();
  return a.shape() == b.shape() && std::equal(x.begin(), x.end(), y.begin());
}

class ClipTextTest : public testing::Test {
 protected:
  ClipTextTest() {
    test::fill_synthetic(three_, kPrefix);
    test::fill_synthetic(two_, kPrefix);
  }

  ClipText three_{small(3)}, two_{small(2)};  // of the same weights
  const Tensor ids_ = Tensor::from(std::vector<int64_t>{62, 5, 63, 63, 62, 7, 9, 63}, {2, 4});
};

TEST_F(ClipTextTest, SkippingALayerIsAnEncoderWithoutIt) {
  EXPECT_EQ(three_.layers(), 3);
  EXPECT_TRUE(equal(three_.encode(ids_, {.skip = 1}).hidden, two_.encode(ids_, {}).hidden));
  EXPECT_FALSE(equal(three_.encode(ids_, {}).hidden, two_.encode(ids_, {}).hidden));
}

TEST_F(ClipTextTest, TheFinalNormIsOptional) {
  nn::LayerNorm norm(32);
  test::fill_synthetic(norm, kPrefix + "final_layer_norm.");
  const Tensor plain = three_.encode(ids_, {.skip = 1, .final_norm = false}).hidden;
  EXPECT_TRUE(equal(norm(plain), three_.encode(ids_, {.skip = 1}).hidden));
}

TEST_F(ClipTextTest, ThePooledVectorIsTheLastLayersAtTheFirstEndMark) {
  const Tensor last = three_.encode(ids_, {}).hidden;
  EXPECT_FALSE(three_.encode(ids_, {}).pooled);
  for (const int64_t skip : {0, 1, 3}) {  // whichever states are requested with it
    const Tensor pooled = three_.encode(ids_, {.skip = skip, .pooled = true}).pooled;
    EXPECT_TRUE(equal(pooled, pick_tokens(last, {2, 3}))) << skip;
  }
}

TEST_F(ClipTextTest, RefusesLayersThatItDoesNotHave) {
  for (const int64_t skip : {-1, 4}) {
    try {
      three_.encode(ids_, {.skip = skip});
      ADD_FAILURE() << skip;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("a text encoder of 3 layers cannot skip"));
    }
  }
  EXPECT_THROW(three_.encode(Tensor::zeros({1, 9}, DType::kI64), {}), Error);
}

}  // namespace
}  // namespace sumi::models
