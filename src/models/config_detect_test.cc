#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/check.h"
#include "models/config.h"
#include "models/family.h"
#include "tests/support/fake_checkpoint.h"
#include "tools/checkpoint_layout.h"

namespace sumi::models {
namespace {

using test::FakeCheckpoint;
using test::manifest_shapes;
using test::Shapes;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kTokens = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight";

std::string error_of(const Shapes& shapes) {
  try {
    detect_config(FakeCheckpoint(shapes));
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kData);
    EXPECT_THAT(e.what(), HasSubstr("fake.ckpt: "));
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
    return e.what();
  }
  return "no error";
}

Shapes layout_of(const ModelConfig& config) {
  Shapes shapes;
  for (const auto& entry : tools::checkpoint_layout(config)) shapes[entry.name] = entry.shape;
  return shapes;
}

// Stable Diffusion 1's with CLIP's text encoder, with changeable UNet sizes.
ModelConfig base_config() { return tools::synthetic_config("sd1"); }

TEST(DetectConfig, StableDiffusion1) {
  const ModelConfig c = detect_config(FakeCheckpoint(manifest_shapes("sd1")));
  EXPECT_EQ(c.family, "sd1");
  EXPECT_EQ(c.unet.in_channels, 4);
  EXPECT_EQ(c.unet.out_channels, 4);
  EXPECT_EQ(c.unet.model_channels, 320);
  EXPECT_EQ(c.unet.num_heads, 8);
  EXPECT_THAT(c.unet.channel_mult, ElementsAre(1, 2, 4, 4));
  EXPECT_THAT(c.unet.num_res_blocks, ElementsAre(2));
  EXPECT_THAT(c.unet.transformer_depth, ElementsAre(1, 1, 1, 0));
  EXPECT_EQ(c.unet.middle_depth, 1);
  EXPECT_EQ(c.unet.context_dim, 768);
  EXPECT_TRUE(c.unet.use_spatial_transformer);
  EXPECT_FALSE(c.unet.use_linear_in_transformer);
  EXPECT_FALSE(c.unet.use_scale_shift_norm);
  EXPECT_FALSE(c.unet.resblock_updown);
  EXPECT_EQ(c.autoencoder.ch, 128);
  EXPECT_THAT(c.autoencoder.ch_mult, ElementsAre(1, 2, 4, 4));
  EXPECT_EQ(c.autoencoder.num_res_blocks, 2);
  EXPECT_EQ(c.autoencoder.embed_dim, 4);
  EXPECT_EQ(c.autoencoder.z_channels, 4);
  EXPECT_EQ(c.autoencoder.in_channels, 3);
  EXPECT_EQ(c.autoencoder.scale_factor, 0.18215);
  EXPECT_EQ(c.text.vocab_size, 49408);
  EXPECT_EQ(c.text.hidden_size, 768);
  EXPECT_EQ(c.text.layers, 12);
  EXPECT_EQ(c.text.heads, 12);
  EXPECT_EQ(c.text.intermediate_size, 3072);
  EXPECT_EQ(c.text.max_positions, 77);
  EXPECT_TRUE(c.text.quick_gelu);
  EXPECT_EQ(c.default_size, 512);
  EXPECT_EQ(c.prediction, diffusion::Prediction::kEpsilon);
}

TEST(DetectConfig, InpaintingHasNineChannels) {
  Shapes shapes = manifest_shapes("sd1");
  shapes["model.diffusion_model.input_blocks.0.0.weight"] = {320, 9, 3, 3};
  const ModelConfig c = detect_config(FakeCheckpoint(shapes));
  EXPECT_EQ(c.family, "sd1");
  EXPECT_EQ(c.unet.in_channels, 9);
}

TEST(DetectConfig, MovingAverageOnly) {
  Shapes shapes;
  for (const auto& [name, shape] : manifest_shapes("sd1")) {
    std::string key = name;
    if (name.starts_with("model.")) {
      key = name.substr(6);
      key.erase(std::remove(key.begin(), key.end(), '.'), key.end());
      key = "model_ema." + key;
    }
    shapes[key] = shape;
  }
  const ModelConfig c = detect_config(FakeCheckpoint(shapes));
  EXPECT_EQ(c.family, "sd1");
  EXPECT_THAT(c.unet.channel_mult, ElementsAre(1, 2, 4, 4));
  EXPECT_THAT(c.unet.transformer_depth, ElementsAre(1, 1, 1, 0));
}

TEST(DetectConfig, SaysSoWhereHeadsCannotBeTold) {
  EXPECT_THAT(error_of(manifest_shapes("tiny")), AllOf(HasSubstr("do not determine the number of attention heads"),
                                                       HasSubstr("context of 64"), HasSubstr("`config`")));
}

TEST(DetectConfig, OtherSizes) {
  ModelConfig made = base_config();
  made.unet.model_channels = 64;
  made.unet.channel_mult = {1, 3, 5};
  made.unet.num_res_blocks = {1, 3, 2};
  made.unet.transformer_depth = {0, 2, 10};
  made.unet.middle_depth = 3;
  made.unet.use_linear_in_transformer = true;
  made.autoencoder.ch_mult = {1, 2};
  made.autoencoder.num_res_blocks = 1;
  made.autoencoder.embed_dim = made.autoencoder.z_channels = made.unet.in_channels = made.unet.out_channels = 16;
  made.text.layers = 5;
  const ModelConfig c = detect_config(FakeCheckpoint(layout_of(made)));
  EXPECT_EQ(c.family, "ldm");
  EXPECT_EQ(c.unet.model_channels, 64);
  EXPECT_EQ(c.unet.channel_mult, made.unet.channel_mult);
  EXPECT_EQ(c.unet.num_res_blocks, made.unet.num_res_blocks);
  EXPECT_EQ(c.unet.transformer_depth, made.unet.transformer_depth);
  EXPECT_EQ(c.unet.middle_depth, 3);
  EXPECT_TRUE(c.unet.use_linear_in_transformer);
  EXPECT_EQ(c.unet.num_heads, 8);
  EXPECT_EQ(c.autoencoder.ch_mult, made.autoencoder.ch_mult);
  EXPECT_EQ(c.autoencoder.num_res_blocks, 1);
  EXPECT_EQ(c.autoencoder.z_channels, 16);
  EXPECT_EQ(c.text.layers, 5);
  EXPECT_EQ(c.text.heads, 12);
  EXPECT_EQ(c.default_size, 128);
}

TEST(DetectConfig, ContextOf1024HasHeadsOf64) {
  ModelConfig made = base_config();
  made.unet.context_dim = made.text.hidden_size = 1024;
  made.text.intermediate_size = 4096;
  const ModelConfig c = detect_config(FakeCheckpoint(layout_of(made)));
  EXPECT_EQ(c.family, "ldm");
  EXPECT_EQ(c.unet.num_head_channels, 64);
  EXPECT_EQ(c.text.heads, 16);
  EXPECT_FALSE(c.text.quick_gelu);
}

TEST(DetectConfig, ContextAsWideAsTheChannels) {
  ModelConfig made = base_config();
  made.unet.model_channels = 192;  // the middle has 768 channels, like the context
  EXPECT_EQ(detect_config(FakeCheckpoint(layout_of(made))).unet.context_dim, 768);
}

TEST(DetectConfig, ResidualBlocksThatResampleAndShift) {
  Shapes shapes = manifest_shapes("sd1");
  const std::string unet = "model.diffusion_model.";
  for (const auto& [from, to, width] : {std::tuple("input_blocks.3.0.op.", "input_blocks.3.0.", 320),
                                        {"input_blocks.6.0.op.", "input_blocks.6.0.", 640},
                                        {"input_blocks.9.0.op.", "input_blocks.9.0.", 1280},
                                        {"output_blocks.2.1.conv.", "output_blocks.2.1.", 1280},
                                        {"output_blocks.5.2.conv.", "output_blocks.5.2.", 1280},
                                        {"output_blocks.8.2.conv.", "output_blocks.8.2.", 640}}) {
    shapes.erase(unet + from + "weight");
    shapes.erase(unet + from + "bias");
    shapes[unet + to + "in_layers.0.weight"] = {width};
    shapes[unet + to + "out_layers.3.weight"] = {width, width, 3, 3};
  }
  shapes[unet + "input_blocks.1.0.emb_layers.1.weight"] = {640, 1280};
  const ModelConfig c = detect_config(FakeCheckpoint(shapes));
  EXPECT_TRUE(c.unet.resblock_updown);
  EXPECT_TRUE(c.unet.use_scale_shift_norm);
  EXPECT_THAT(c.unet.channel_mult, ElementsAre(1, 2, 4, 4));
  EXPECT_THAT(c.unet.num_res_blocks, ElementsAre(2));
}

TEST(DetectConfig, ManagesWithoutTextAndAutoencoder) {
  Shapes shapes;
  for (const auto& [name, shape] : manifest_shapes("sd1")) {
    if (name.starts_with("model.diffusion_model.")) shapes[name] = shape;
  }
  const ModelConfig c = detect_config(FakeCheckpoint(shapes));
  EXPECT_EQ(c.family, "sd1");
  EXPECT_EQ(c.autoencoder.ch, 128);
}

TEST(DetectConfig, NamesOtherKinds) {
  Shapes sdxl = manifest_shapes("sd1");
  sdxl["conditioner.embedders.1.model.ln_final.weight"] = {1280};
  EXPECT_THAT(error_of(sdxl), HasSubstr("a Stable Diffusion XL checkpoint"));
  Shapes sd2 = manifest_shapes("sd1");
  sd2["cond_stage_model.model.transformer.resblocks.0.ln_1.weight"] = {1024};
  EXPECT_THAT(error_of(sd2), HasSubstr("a Stable Diffusion 2.x checkpoint"));
  Shapes labels = manifest_shapes("sd1");
  labels["model.diffusion_model.label_emb.0.0.weight"] = {1280, 2816};
  EXPECT_THAT(error_of(labels), HasSubstr("labels"));
  EXPECT_THAT(error_of({{"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", {1, 1}}}),
              HasSubstr("Stable Diffusion 3"));
  EXPECT_THAT(error_of({{"double_blocks.0.img_attn.qkv.weight", {1, 1}}}), HasSubstr("Flux"));
  EXPECT_THAT(error_of({{"lora_unet_down_blocks_0.lora_up.weight", {1, 1}}}), HasSubstr("a LoRA"));
  EXPECT_THAT(error_of({{"down_blocks.0.resnets.0.norm1.weight", {320}}}), HasSubstr("give the whole folder"));
  EXPECT_THAT(error_of({{"encoder.down.0.block.0.norm1.weight", {128}}}), HasSubstr("an autoencoder alone"));
  Shapes with_control = manifest_shapes("sd1");
  with_control["control_model.input_hint_block.0.weight"] = {16, 3, 3, 3};
  EXPECT_EQ(detect_config(FakeCheckpoint(with_control)).family, "sd1");
}

TEST(DetectConfig, SaysWhatAFileBeginsWith) {
  EXPECT_THAT(error_of({{"layer.0.weight\n\x1b", {1}}, {"layer.1.weight", {1}}}),
              AllOf(HasSubstr("not a Stable Diffusion checkpoint"), HasSubstr("first tensors are layer.0.weight")));
  EXPECT_THAT(error_of({}), HasSubstr("none at all"));
}

TEST(DetectConfig, SurvivesHostileShapes) {
  const std::string unet = "model.diffusion_model.";
  const Shapes sd1 = manifest_shapes("sd1");
  for (const char* name : {"input_blocks.0.0.weight", "out.2.weight", "input_blocks.1.0.out_layers.3.weight",
                           "input_blocks.1.0.emb_layers.1.weight", "input_blocks.4.0.out_layers.3.weight",
                           "middle_block.1.transformer_blocks.0.attn2.to_k.weight"}) {
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{0, 0}, Shape{0, 0, 0, 0}, Shape{-1, -1, -1, -1}, Shape{1, 1},
                               Shape{1, 1, 1, 1, 1}, Shape{int64_t{1} << 62, 1, 1, 1}, Shape{33, 33, 3, 3},
                               Shape{INT64_MIN, INT64_MIN}, Shape{INT64_MAX, INT64_MAX}}) {
      Shapes shapes = sd1;
      shapes[unet + name] = shape;
      const std::string error = error_of(shapes);
      EXPECT_TRUE(error != "no error" || name == std::string("input_blocks.1.0.emb_layers.1.weight"))
          << name << shape.str();
    }
  }
  for (const auto& [name, shape] : sd1) {  // any one left out: a configuration or a one-line error
    if (name.find(".0.weight") == std::string::npos && name.find("embedding") == std::string::npos) continue;
    Shapes shapes = sd1;
    shapes.erase(name);
    error_of(shapes);
  }
  Shapes no_levels = sd1;
  no_levels.erase(unet + "output_blocks.5.2.conv.weight");
  EXPECT_THAT(error_of(no_levels), HasSubstr("do not determine the levels"));
  Shapes vq = sd1;
  vq["first_stage_model.quantize.embedding.weight"] = {8192, 4};
  EXPECT_THAT(error_of(vq), HasSubstr("VQ autoencoder"));
  Shapes wide_text = sd1;
  wide_text[kTokens] = {int64_t{1} << 40, 768};
  EXPECT_THAT(error_of(wide_text), HasSubstr("vocab_size"));
}

}  // namespace
}  // namespace sumi::models
