#include "models/clip_text/clip_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "ops/loss.h"
#include "tests/support/random_tensor.h"
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

// Ids beyond the table stand for added rows, whose gradient is that of finite differences; the table's is untouched.
TEST_F(ClipTextTest, AddedRowsStandForIdsBeyondTheTable) {
  const Tensor ids = Tensor::from(std::vector<int64_t>{62, 64, 65, 63, 62, 7, 64, 63}, {2, 4});
  Tensor rows = test::random({2, 32}, 0.3f);
  const auto loss = [&] {
    return mean_squared_error(three_.encode(ids, {.added = {rows}}).hidden, Tensor::zeros({2, 4, 32}));
  };
  EXPECT_THROW(three_.encode(ids, {}), Error);
  EXPECT_THROW(three_.encode(Tensor::from(std::vector<int64_t>{66}, {1, 1}), {.added = {rows}}), Error);
  // A row of the table under an id of its own.
  nn::Param* table = nullptr;
  nn::for_each_param(three_, "", [&](const std::string& name, nn::Param& param) {
    if (name == "embeddings.token_embedding.weight") table = &param;
  });
  ASSERT_NE(table, nullptr);
  const Tensor same = Tensor::from(std::vector<int64_t>{62, 64, 9, 63}, {1, 4});
  EXPECT_TRUE(equal(three_.encode(same, {.added = {table->value.rows(5, 6)}}).hidden,
                    three_.encode(Tensor::from(std::vector<int64_t>{62, 5, 9, 63}, {1, 4}), {}).hidden));
  rows.set_requires_grad(true);
  {
    Tape tape;
    tape.backward(loss());
  }
  const Tensor gradient = rows.grad();
  ASSERT_TRUE(gradient);
  for (const int64_t at : {0, 7, 31, 32, 50, 63}) {
    const float before = rows.host<float>()[at], step = 1e-2f;
    const auto with = [&](float value) {
      rows.host_edit<float>()[at] = value;
      return double{loss().host<float>()[0]};
    };
    const double slope = (with(before + step) - with(before - step)) / (2.0 * step);
    with(before);
    EXPECT_NEAR(gradient.host<float>()[at], slope, 5e-3 * std::abs(slope) + 1e-6) << at;
  }
}

// The pooled vector is the end mark's even where added rows have larger ids.
TEST_F(ClipTextTest, ThePooledVectorIsNotAnAddedRows) {
  const Tensor ids = Tensor::from(std::vector<int64_t>{62, 64, 63, 63}, {1, 4});
  const TextStates states = three_.encode(ids, {.pooled = true, .added = {test::random({1, 32})}});
  EXPECT_TRUE(equal(states.pooled, pick_tokens(states.hidden, {2})));
  const TextStates marked = three_.encode(ids, {.pooled = true, .added = {test::random({1, 32})}, .end_mark = 62});
  EXPECT_TRUE(equal(marked.pooled, pick_tokens(marked.hidden, {0})));
}

}  // namespace
}  // namespace sumi::models
