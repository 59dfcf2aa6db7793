// What adapter files hold is applied, or named in a warning, or the file is refused. The formulas of the kinds are held
// against their tools' numbers in tests/golden/adapters_golden_test.cc.
#include "models/lora/changes.h"

#include <limits>

#include "models/lora/describe.h"
#include "models/lora/file.h"
#include "nn/layers.h"
#include "ops/elementwise.h"
#include "tests/support/adapter_files.h"
#include "tests/support/cpu_seconds.h"
#include "tests/support/fake_checkpoint.h"

namespace sumi::models::lora {
namespace {

const std::string kQ = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";
const std::string kConv = "lora_unet_down_blocks_0_resnets_0_conv1";
const std::string kWeightOfQ = "input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight";

Tensor filled(const Shape& shape, float value) { return Tensor::full(shape, value); }

class Contents : public AdapterFiles {
 protected:
  Named whole() const { return {{kQ + ".lora_down.weight", down_}, {kQ + ".lora_up.weight", up_}}; }
  Named whole_and(const Named& more) const {
    Named all = whole();
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  void expect_refused(const Named& tensors, const std::string& word) {
    EXPECT_NE(refusal(tensors).find(word), std::string::npos) << refusal(tensors);
  }

  const Tensor down_ = test::random({4, 32}, 0.3f), up_ = test::random({32, 4}, 0.3f);
};

TEST_F(Contents, FactorsOfAChangeCount) {
  const Result quarter = with(whole(), {0.25, 0.25});
  ASSERT_FALSE(quarter == with(whole()));
  EXPECT_TRUE(with(whole_and({{kQ + ".scalar", filled({}, 0.25f)}})) == quarter);
  EXPECT_TRUE(with(whole_and({{kQ + ".alpha", filled({1}, 1.0f)}})) == quarter);
  EXPECT_TRUE(with(whole_and({{kQ + ".alpha", Tensor::from(std::vector<int64_t>{1}, {})}})) == quarter);
}

TEST_F(Contents, EachPartOfTheModelHasItsWeight) {
  const std::string text = "lora_te_text_model_encoder_layers_0_mlp_fc1";
  const Named both = whole_and(
      {{text + ".lora_down.weight", test::random({2, 96})}, {text + ".lora_up.weight", test::random({128, 2})}});
  const Result full = with(both), base = run(), one = with(both, {.unet = 1.0, .text = 0.0}),
               other = with(both, {.unet = 0.0, .text = 1.0});
  EXPECT_TRUE(test::same_bytes(one.noise, full.noise) && test::same_bytes(one.states, base.states));
  EXPECT_TRUE(test::same_bytes(other.noise, base.noise) && test::same_bytes(other.states, full.states));
}

// A change of a bias where there is one, and where there is none.
TEST_F(Contents, BiasesChange) {
  const Tensor shift = test::random({32});
  const Result plain = with(whole());
  nn::Param& bias = param(unet_, "input_blocks.1.0.in_layers.2.bias");
  const Tensor before = bias.value;
  bias.value = before + shift * 0.5f;
  const Result want = run();
  bias.value = before;
  EXPECT_LE(test::relative_l2(with({{kConv + ".diff_b", shift}}, {0.5, 0.5}).noise, want.noise), 1e-6);
  const Result shifted = with(whole_and({{kQ + ".diff_b", shift}}));
  EXPECT_GT(test::relative_l2(shifted.noise, plain.noise), 1e-5) << "to_q has no bias of its own";
  // PEFT's bias of `up` is scaled as the product is.
  const std::string peft = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
  const Named with_bias{
      {peft + ".lora_A.weight", down_}, {peft + ".lora_B.weight", up_}, {peft + ".lora_B.bias", shift}};
  EXPECT_TRUE(with(with_bias) == shifted);
}

// The bias of a layer without one, held against a layer that computes with the shifted weights: x·W + b is W·x where a
// column of x is 1.
TEST_F(Contents, ABiasIsAddedWhereTheLayerHasNone) {
  nn::Linear layer(8, 6, {.bias = false});
  test::fill_synthetic(layer, "");
  const Tensor x = test::random({5, 8}), shift = test::random({6});
  nn::Adapters adapters;
  nn::for_each_adaptable(layer, "", [&](const std::string& name, nn::Param& param) {
    if (name == "bias") adapters.add(param, [shift](const Tensor& value) { return value ? value + shift : shift; });
  });
  adapters.finish();
  const Tensor plain = layer(x);
  const nn::AdaptersScope scope(&adapters);
  const Tensor shifted = layer(x);
  for (int64_t row = 0; row < 5; ++row)
    for (int64_t i = 0; i < 6; ++i)
      EXPECT_FLOAT_EQ(shifted.host<float>()[row * 6 + i], plain.host<float>()[row * 6 + i] + shift.host<float>()[i]);
}

// Differences of one weight and a LoRA of it add up, both made from the weight itself.
TEST_F(Contents, KindsOfOneWeightAddUp) {
  const Tensor diff = test::random({32, 32}, 0.2f);
  const Named both[] = {whole(), {{kQ + ".diff", diff}}};
  nn::Adapters adapters;
  for (const Named& file : both)
    add_lora(*io::open_checkpoint(write(file)), {0.5, 0.5}, {.unet = &unet_, .texts = {&text_}}, adapters);
  adapters.finish();
  Result got;
  {
    const nn::AdaptersScope scope(&adapters);
    got = run();
  }
  nn::Param& weight = param(unet_, kWeightOfQ);
  const Tensor before = weight.value;
  weight.value = before + diff * 0.5f;
  const Result want = with(whole(), {0.5, 0.5});
  weight.value = before;
  EXPECT_LE(test::relative_l2(got.noise, want.noise), 1e-5);  // sums in another order
}

// diffusers' magnitudes of a convolution are [1,out,1,1], which must not be taken for the input's.
TEST_F(Contents, DiffusersMagnitudesAreTheOutputs) {
  const std::string module = "down_blocks.0.resnets.0.conv1";
  const Tensor down = test::random({2, 32, 3, 3}, 0.1f), up = test::random({32, 2, 1, 1}, 0.1f);
  const Tensor m = test::random({32});
  const Result lycoris = with({{kConv + ".lora_down.weight", down},
                               {kConv + ".lora_up.weight", up},
                               {kConv + ".dora_scale", m.reshape({32, 1, 1, 1})}});
  const auto of_diffusers = [&](const std::string& ending, const Shape& shape) {
    return with({{"unet." + module + ".lora_A.weight", down},
                 {"unet." + module + ".lora_B.weight", up},
                 {"unet." + module + ending, m.reshape(shape)}});
  };
  EXPECT_FALSE(lycoris == run());
  EXPECT_TRUE(of_diffusers(".lora_magnitude_vector", {1, 32, 1, 1}) == lycoris);
  EXPECT_TRUE(of_diffusers(".lora_magnitude_vector.weight", {32}) == lycoris);
  EXPECT_TRUE(of_diffusers(".lora_magnitude_vector.default.weight", {32}) == lycoris);
}

TEST_F(Contents, UnknownKindsAreRefusedByName) {
  expect_refused({{kQ + ".oft_blocks", filled({1, 1, 1}, 0.0f)}}, "OFT");
  expect_refused(whole_and({{kConv + ".oft_blocks", filled({1, 1, 1}, 0.0f)}}), "OFT");
  expect_refused({{kQ + ".a1.weight", filled({1, 1}, 0.0f)}, {kQ + ".b1.weight", filled({1, 1}, 0.0f)}}, "GLoRA");
  expect_refused(whole_and({{kQ + ".mystery", filled({1}, 0.0f)}}), "mystery");
  expect_refused(whole_and({{kConv + ".mystery.weight", filled({1}, 0.0f)}}), "mystery");
}

TEST_F(Contents, BrokenChangesAreRefused) {
  Tensor broken = up_.clone();
  broken.host_edit<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  expect_refused({{kQ + ".lora_down.weight", down_}, {kQ + ".lora_up.weight", broken}}, "not finite");
  expect_refused({{kQ + ".lora_up.weight", up_}}, "only some of the parts");
  expect_refused({{kQ + ".hada_w1_a", filled({1, 1}, 0.0f)}}, "only some of the parts");
  expect_refused({{kQ + ".lora_down.weight", filled({0, 32}, 0.0f)}, {kQ + ".lora_up.weight", filled({32, 0}, 0.0f)}},
                 "do not make a change");
  expect_refused({{kQ + ".lora_down.weight", filled({4, 640}, 0.0f)}, {kQ + ".lora_up.weight", filled({640, 4}, 0.0f)}},
                 "another family");
  expect_refused(whole_and({{kQ + ".hada_w1_a", filled({1, 1}, 0.0f)}}), "of a LoRA and of a LoHa");
  expect_refused(whole_and({{kQ + ".lora.down.weight", down_}}), "twice");
  expect_refused({{kQ + ".dora_scale", filled({32, 1}, 1.0f)}}, "magnitude");
  expect_refused(whole_and({{kQ + ".dora_scale", filled({1, 1}, 1.0f)}}), "does not fit");
  expect_refused({{kQ + ".diff", filled({2, 2}, 1.0f)}}, "does not fit");
  expect_refused({{kQ + ".weight", filled({7}, 1.0f)}, {kQ + ".on_input", filled({}, 1.0f)}}, "does not fit");
}

// The sizes are held against the weight's before a product is made that no memory holds.
TEST_F(Contents, SmallFilesOfHugeProductsAreRefused) {
  constexpr int64_t kMany = 1 << 20;  // of a product: a terabyte and more
  const Tensor tall = filled({kMany, 1}, 0.0f), broad = filled({1, kMany}, 0.0f), column = filled({32, 1}, 1.0f),
               row = filled({1, 32}, 1.0f);
  expect_refused(
      {{kQ + ".hada_w1_a", tall}, {kQ + ".hada_w1_b", broad}, {kQ + ".hada_w2_a", column}, {kQ + ".hada_w2_b", row}},
      "hada_w1_b\" [1, 1048576] do not make a change");
  expect_refused(
      {{kQ + ".hada_w1_a", column}, {kQ + ".hada_w1_b", row}, {kQ + ".hada_w2_a", tall}, {kQ + ".hada_w2_b", broad}},
      "hada_w2_b\" [1, 1048576] do not make a change");
  const Tensor core = filled({1, 1, 3, 3}, 0.0f);
  expect_refused({{kConv + ".hada_t1", core},
                  {kConv + ".hada_t2", core},
                  {kConv + ".hada_w1_a", broad},
                  {kConv + ".hada_w1_b", broad},
                  {kConv + ".hada_w2_a", broad},
                  {kConv + ".hada_w2_b", broad}},
                 "do not make a change");
  const Tensor two = filled({2, 2}, 1.0f);
  expect_refused({{kQ + ".lokr_w1_a", tall}, {kQ + ".lokr_w1_b", broad}, {kQ + ".lokr_w2", two}},
                 "do not make a change");
  expect_refused({{kQ + ".lokr_w1", two}, {kQ + ".lokr_w2_a", tall}, {kQ + ".lokr_w2_b", broad}},
                 "do not make a change");
  expect_refused({{kConv + ".lokr_w1", two},
                  {kConv + ".lokr_t2", core},
                  {kConv + ".lokr_w2_a", broad},
                  {kConv + ".lokr_w2_b", broad}},
                 "do not make a change");
  // A core of many rows and one column, whose product with `down` would have both.
  expect_refused({{kConv + ".lora_mid.weight", filled({kMany, 1, 1, 1}, 0.0f)},
                  {kConv + ".lora_down.weight", filled({1, kMany, 1, 1}, 0.0f)},
                  {kConv + ".lora_up.weight", filled({1, kMany, 1, 1}, 0.0f)}},
                 "do not make a change");
}

TEST_F(Contents, ManyNamesTakeNoTime) {
  test::Shapes shapes;
  constexpr int kCount = 40'000;
  for (int i = 0; i < kCount; ++i) shapes[fmt::format("bundle_emb.word{:06}.string_to_param.*", i)] = {1, 4};
  const double begin = test::cpu_seconds();
  const test::FakeCheckpoint checkpoint(shapes);
  const AdapterFile file(checkpoint);
  EXPECT_EQ(file.bundled().size(), static_cast<size_t>(kCount));
  EXPECT_LT(test::cpu_seconds() - begin, 2.0);
}

TEST_F(Contents, ManyPatternsOfAlphaTakeNoTime) {
  Named tensors;
  std::string patterns;
  constexpr int kCount = 16'000;
  for (int i = 0; i < kCount; ++i) {
    const std::string module = fmt::format("unet.layers.{:05}.to_q", i);
    tensors.emplace_back(module + ".lora_A.weight", filled({1, 1}, 0.0f));
    tensors.emplace_back(module + ".lora_B.weight", filled({1, 1}, 0.0f));
    patterns += fmt::format("{}\"{:05}.to_q\": {}", i > 0 ? "," : "", i, i + 1);
  }
  const auto checkpoint =
      io::open_checkpoint(write(tensors, {{"lora_adapter_metadata", "{\"unet.alpha_pattern\": {" + patterns + "}}"}}));
  const double begin = test::cpu_seconds();
  const AdapterFile file(*checkpoint);
  double sum = 0.0;
  for (const Group& group : file.groups()) sum += file.scale(group, 1);
  EXPECT_EQ(sum, 0.5 * kCount * (kCount + 1));
  EXPECT_LT(test::cpu_seconds() - begin, 2.0);
}

TEST_F(Contents, WhatMatchesNoLayerIsNamed) {
  const std::string other = "lora_unet_down_blocks_9_attentions_0_transformer_blocks_0_attn1_to_q";
  const Named unknown{{other + ".lora_down.weight", down_}, {other + ".lora_up.weight", up_}};
  expect_refused(unknown, other);
  const Result some = with(whole_and(unknown));
  EXPECT_TRUE(some == with(whole()));
  ASSERT_EQ(some.warnings.size(), 1u);
  EXPECT_NE(some.warnings[0].find(other), std::string::npos) << some.warnings[0];
  expect_refused({{"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", down_}}, "only some");
  expect_refused({{"something.weight", down_}}, "something.weight");
  const Result alone = with(whole_and({{kConv + ".alpha", filled({}, 4.0f)}}));
  ASSERT_EQ(alone.warnings.size(), 1u);
  EXPECT_NE(alone.warnings[0].find(kConv), std::string::npos) << alone.warnings[0];
  const Result bundle = with(whole_and({{"bundle_emb.cat.string_to_param.*", filled({1, 96}, 0.0f)}}));
  ASSERT_EQ(bundle.warnings.size(), 1u);
  EXPECT_NE(bundle.warnings[0].find("\"cat\""), std::string::npos) << bundle.warnings[0];
}

TEST_F(Contents, AModelIsNotAnAdapter) {
  expect_refused({{"model.diffusion_model." + kWeightOfQ, filled({32, 32}, 0.0f)}}, "give it as the model");
}

TEST_F(Contents, PlannedBytesCoverEveryKind) {
  const std::string q = kQ;
  const Named files[] = {{{q + ".hada_w1_a", test::random({32, 2})},
                          {q + ".hada_w1_b", test::random({2, 32})},
                          {q + ".hada_w2_a", test::random({32, 2})},
                          {q + ".hada_w2_b", test::random({2, 32})}},
                         {{q + ".lokr_w1", test::random({4, 4})},
                          {q + ".lokr_w2_a", test::random({8, 2})},
                          {q + ".lokr_w2_b", test::random({2, 8})}},
                         {{q + ".weight", test::random({32})}, {q + ".on_input", filled({}, 1.0f)}},
                         {{q + ".diff", test::random({32, 32})}},
                         {{q + ".diff_b", test::random({32})}},
                         whole_and({{q + ".lora_up.bias", test::random({32})}}),
                         {{kConv + ".lora_down.weight", test::random({2, 32, 1, 1})},
                          {kConv + ".lora_mid.weight", test::random({2, 2, 3, 3})},
                          {kConv + ".lora_up.weight", test::random({32, 2, 1, 1})}},
                         whole_and({{q + ".dora_scale", filled({32, 1}, 1.0f)}})};
  for (const Named& tensors : files) {
    const auto file = io::open_checkpoint(write(tensors));
    nn::Adapters adapters;
    add_lora(*file, {}, {.unet = &unet_}, adapters);
    adapters.finish();
    const io::Checkpoint* one = file.get();
    const int64_t planned = lora_bytes(std::span(&one, 1));
    EXPECT_GE(planned, adapters.bytes()) << tensors[0].first;
    EXPECT_LE(planned, 2 * adapters.bytes()) << tensors[0].first;
  }
}

TEST_F(Contents, AreDescribed) {
  const auto file =
      io::open_checkpoint(write(whole_and({{kQ + ".alpha", filled({}, 2.0f)}}),
                                {{"ss_tag_frequency", R"({"10_cats": {"cat": 7, "grass": 2}, "5_more": {"grass": 9}})"},
                                 {"ss_base_model_version", "sd_v1"}}));
  const auto got = describe_adapters(*file);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->kinds, (std::map<std::string, int64_t>{{"LoRA", 1}}));
  EXPECT_EQ(got->ranks, (std::map<int64_t, int64_t>{{4, 1}}));
  EXPECT_EQ(got->alphas, std::vector<double>{2.0});
  EXPECT_EQ(got->words, (std::vector<std::string>{"grass", "cat"}));
  EXPECT_EQ(got->base_model, "sd_v1");
  EXPECT_EQ(got->unet_layers, 1);
  EXPECT_FALSE(describe_adapters(*io::open_checkpoint(write({{"something.weight", up_}}))));
}

}  // namespace
}  // namespace sumi::models::lora
