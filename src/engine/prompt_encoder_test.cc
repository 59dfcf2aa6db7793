#include "engine/prompt_encoder.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "engine/open.h"
#include "ops/layout.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_models.h"
#include "tests/support/temp_folder.h"

namespace sumi::engine {
namespace {

class PromptEncoderTest : public testing::Test {
 protected:
  PromptEncoderTest() { tools::write_byte_vocabulary(folder_.path()); }

  PromptPair encode(PromptSyntax syntax, const std::vector<std::string>& prompts, const std::string& negative = "") {
    return encode_with(model_, syntax, prompts, negative);
  }
  PromptPair encode_with(const models::StableDiffusion& model, PromptSyntax syntax,
                         const std::vector<std::string>& prompts, const std::string& negative) {
    const text::ClipTokenizer tokenizer = text::ClipTokenizer::load(folder_.path());
    const auto parsed = [&](const std::string& prompt) {
      return tokenize(model.config(), tokenizer, parse_prompt(prompt, syntax), syntax);
    };
    std::vector<TokenizedPrompt> texts;
    for (const std::string& prompt : prompts) texts.push_back(parsed(prompt));
    std::vector<const TokenizedPrompt*> places;
    for (const TokenizedPrompt& text : texts) places.push_back(&text);
    const TokenizedPrompt empty = parsed(""), against = parsed(negative);
    return PromptEncoder(model, empty)(places, against, true);
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
      open_model({.path = test::synthetic_model().string(), .config = std::string(SUMI_TEST_DATA) + "/tiny.yaml"}));
};

TEST_F(PromptEncoderTest, PlainPromptsAreTheSameInBothSyntaxes) {
  const PromptPair exact = encode(PromptSyntax::kExact, {"a cat", "a dog"}, "blurry");
  const PromptPair weighted = encode(PromptSyntax::kWeighted, {"a cat", "a dog"}, "blurry");
  EXPECT_EQ(exact.cond.sequence.shape(), (Shape{2, 77, 64}));
  EXPECT_TRUE(equal(exact.cond.sequence, weighted.cond.sequence));
  EXPECT_TRUE(equal(exact.uncond.sequence, weighted.uncond.sequence));
  EXPECT_FALSE(equal(exact.cond.sequence.rows(0, 1), exact.cond.sequence.rows(1, 2)));
}

TEST_F(PromptEncoderTest, ExactCutsAndSaysSo) {
  const CollectWarnings warnings;
  EXPECT_EQ(encode(PromptSyntax::kExact, {long_prompt()}).cond.sequence.shape(), (Shape{1, 77, 64}));
  ASSERT_EQ(warnings.messages().size(), 1u);
  EXPECT_NE(warnings.messages()[0].find("the last 75 of 150 tokens"), std::string::npos) << warnings.messages()[0];
}

TEST_F(PromptEncoderTest, LongPromptsFillTheOthersUpWithTheEmptyText) {
  const PromptPair pair = encode(PromptSyntax::kWeighted, {long_prompt(), "a cat"});
  EXPECT_EQ(pair.cond.sequence.shape(), (Shape{2, 154, 64}));
  EXPECT_EQ(pair.uncond.sequence.shape(), (Shape{2, 154, 64}));
  const Tensor empty = encode(PromptSyntax::kExact, {""}).cond.sequence.reshape({77, 64});
  const Tensor second = pair.cond.sequence.rows(1, 2).reshape({154, 64});
  EXPECT_TRUE(equal(second.rows(77, 154), empty));
  EXPECT_TRUE(equal(second.rows(0, 77), encode(PromptSyntax::kExact, {"a cat"}).cond.sequence.reshape({77, 64})));
}

// ---- a model put together from components: two text encoders, a denoiser that takes a pooled vector

// States [1,T,width]: every value of a token's row is `gain` times its id. Pooled: the number of tokens.
class ToyEncoder : public models::TextEncoder {
 public:
  ToyEncoder(int64_t width, float gain) : width_(width), gain_(gain) {}
  models::TextStates encode(const Tensor& ids, const models::TextQuery& query) const override {
    std::vector<float> hidden;
    for (const int64_t id : ids.host<int64_t>())
      hidden.insert(hidden.end(), static_cast<size_t>(width_), gain_ * static_cast<float>(id));
    models::TextStates out{.hidden = Tensor::from(hidden, {1, ids.dim(1), width_})};
    if (query.pooled) out.pooled = Tensor::full({1, 2}, gain_ * static_cast<float>(ids.host<int64_t>()[1]));
    return out;
  }
  int64_t layers() const override { return 1; }
  void visit(nn::ParamVisitor&) override {}

 private:
  int64_t width_;
  float gain_;
};

class ToyDenoiser : public models::Denoiser {
 public:
  explicit ToyDenoiser(int64_t pooled) : pooled_(pooled) {}
  models::DenoiserInputs wants() const override { return {.sequence = 5, .pooled = pooled_}; }
  void set_checkpointing(bool) override {}
  void visit(nn::ParamVisitor&) override {}

 protected:
  Tensor predict(const Tensor& x, const std::vector<double>&, const models::Conditioning&,
                 models::ContextCache*) const override {
    return x;
  }

 private:
  int64_t pooled_;
};

TEST_F(PromptEncoderTest, JoinsSeveralEncodersAndPoolsWhereTheDenoiserWantsIt) {
  const text::ClipTokenizer tokenizer = text::ClipTokenizer::load(folder_.path());
  for (const bool wanted : {true, false}) {
    models::Components parts{.config = model_.config()};
    parts.text_encoders.push_back(std::make_unique<ToyEncoder>(3, 1.0f));
    parts.text_encoders.push_back(std::make_unique<ToyEncoder>(2, -2.0f));
    parts.denoiser = std::make_unique<ToyDenoiser>(wanted ? 2 : 0);
    const models::StableDiffusion model(std::move(parts));
    EXPECT_EQ(model.device(), Device::kCpu);
    const PromptPair pair = encode_with(model, PromptSyntax::kWeighted, {"a", long_prompt()}, "b");
    EXPECT_EQ(pair.cond.sequence.shape(), (Shape{2, 154, 5}));
    const auto id = static_cast<float>(tokenizer.encode("a")[0]), other = static_cast<float>(tokenizer.encode("b")[0]);
    const HostView<float> sequence(pair.cond.sequence);
    const auto row = sequence.span().subspan(5, 5);  // the first prompt's second token
    EXPECT_EQ(std::vector<float>(row.begin(), row.end()), (std::vector<float>{id, id, id, -2 * id, -2 * id}));
    EXPECT_EQ(pair.cond.pooled.defined(), wanted);
    if (!wanted) continue;
    EXPECT_EQ(pair.cond.pooled.shape(), (Shape{2, 2}));
    for (const float value : pair.cond.pooled.host<float>()) EXPECT_EQ(value, -2 * id);  // the last encoder's
    for (const float value : pair.uncond.pooled.host<float>()) EXPECT_EQ(value, -2 * other);
    const models::Conditioning both = concat(pair.uncond, pair.cond);
    EXPECT_EQ(model.predict(Tensor::zeros({4, 2, 2, 4}), {1, 1, 1, 1}, both).shape(), (Shape{4, 2, 2, 4}));
  }
}

TEST(Components, ThoseNotLoadedAreNamed) {
  const models::StableDiffusion model(models::Components{});
  const auto message = [](const auto& use) {
    try {
      use();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInternal);
      return std::string(error.what());
    }
    return std::string();
  };
  const Tensor latent = Tensor::zeros({1, 8, 8, 4});
  EXPECT_EQ(message([&] { model.encode_text(Tensor::zeros({1, 4}, DType::kI64)); }), "the text encoder was not loaded");
  EXPECT_EQ(message([&] { model.predict(latent, {1.0}, {}); }), "the denoiser was not loaded");
  for (const auto& decode : {&models::StableDiffusion::decode, &models::StableDiffusion::decode_tiled,
                             &models::StableDiffusion::decode_unscaled, &models::StableDiffusion::encode})
    EXPECT_EQ(message([&] { (model.*decode)(latent); }), "the autoencoder was not loaded");
}

}  // namespace
}  // namespace sumi::engine
