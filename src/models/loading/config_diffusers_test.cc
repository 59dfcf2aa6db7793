#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/log.h"
#include "models/config.h"
#include "models/loading/open.h"
#include "tests/support/fake_checkpoint.h"
#include "tests/support/synthetic_models.h"
#include "tests/support/temp_folder.h"

namespace sumi::models {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The configurations of a published Stable Diffusion 1 folder, which tests change and write.
struct Folder {
  json index = {{"_class_name", "StableDiffusionPipeline"},
                {"_diffusers_version", "0.6.0"},
                {"safety_checker", {"stable_diffusion", "StableDiffusionSafetyChecker"}},
                {"text_encoder", {"transformers", "CLIPTextModel"}},
                {"unet", {"diffusers", "UNet2DConditionModel"}}};
  json unet = {
      {"_class_name", "UNet2DConditionModel"},
      {"act_fn", "silu"},
      {"attention_head_dim", 8},
      {"block_out_channels", {320, 640, 1280, 1280}},
      {"center_input_sample", false},
      {"cross_attention_dim", 768},
      {"down_block_types", {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"}},
      {"downsample_padding", 1},
      {"flip_sin_to_cos", true},
      {"freq_shift", 0},
      {"in_channels", 4},
      {"layers_per_block", 2},
      {"mid_block_scale_factor", 1},
      {"norm_eps", 1e-05},
      {"norm_num_groups", 32},
      {"out_channels", 4},
      {"sample_size", 64},
      {"up_block_types", {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"}}};
  json vae = {
      {"_class_name", "AutoencoderKL"},
      {"act_fn", "silu"},
      {"block_out_channels", {128, 256, 512, 512}},
      {"down_block_types", {"DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"}},
      {"in_channels", 3},
      {"latent_channels", 4},
      {"layers_per_block", 2},
      {"norm_num_groups", 32},
      {"out_channels", 3},
      {"sample_size", 512},
      {"up_block_types", {"UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"}}};
  json text = {{"architectures", {"CLIPTextModel"}},
               {"hidden_act", "quick_gelu"},
               {"hidden_size", 768},
               {"intermediate_size", 3072},
               {"layer_norm_eps", 1e-05},
               {"max_position_embeddings", 77},
               {"model_type", "clip_text_model"},
               {"num_attention_heads", 12},
               {"num_hidden_layers", 12},
               {"vocab_size", 49408}};
  json scheduler = {{"_class_name", "PNDMScheduler"}, {"beta_end", 0.012},           {"beta_schedule", "scaled_linear"},
                    {"beta_start", 0.00085},          {"num_train_timesteps", 1000}, {"set_alpha_to_one", false},
                    {"skip_prk_steps", true},         {"steps_offset", 1},           {"trained_betas", nullptr}};

  json tokenizer;  // written where it is set

  std::vector<std::pair<const char*, const json*>> files() const {
    return {{"model_index.json", &index},
            {"unet/config.json", &unet},
            {"vae/config.json", &vae},
            {"text_encoder/config.json", &text},
            {"scheduler/scheduler_config.json", &scheduler},
            {"tokenizer/tokenizer_config.json", &tokenizer}};
  }
  void write(const std::filesystem::path& folder) const {
    for (const auto& [name, value] : files()) {
      if (!value->is_null()) test::write_file(folder / name, value->dump());
    }
  }
};

ModelConfig read(const Folder& folder) {
  const test::TempFolder temp;
  folder.write(temp.path());
  return config_from_diffusers(temp.path());
}

template <class Change> ModelConfig changed(Change change) {
  Folder folder;
  change(folder);
  return read(folder);
}

// The one-line error that the folder causes.
std::string error_at(const std::filesystem::path& folder) {
  try {
    config_from_diffusers(folder);
  } catch (const Error& e) {
    EXPECT_TRUE(e.kind() == ErrorKind::kData || e.kind() == ErrorKind::kNoInput);
    EXPECT_THAT(e.what(), HasSubstr("sumi_test_"));
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
    return e.what();
  }
  return "no error";
}

// The same, for a valid folder with a change.
template <class Change> std::string error_of(Change change) {
  Folder folder;
  change(folder);
  const test::TempFolder temp;
  folder.write(temp.path());
  return error_at(temp.path());
}

TEST(DiffusersConfig, StableDiffusion1) {
  const CollectWarnings warnings;
  const ModelConfig c = read({});
  EXPECT_EQ(c.family, "sd1");
  EXPECT_EQ(c.unet.model_channels, 320);
  EXPECT_EQ(c.unet.num_heads, 8);
  EXPECT_EQ(c.unet.num_head_channels, -1);
  EXPECT_THAT(c.unet.channel_mult, ElementsAre(1, 2, 4, 4));
  EXPECT_THAT(c.unet.num_res_blocks, ElementsAre(2));
  EXPECT_THAT(c.unet.transformer_depth, ElementsAre(1, 1, 1, 0));
  EXPECT_EQ(c.unet.middle_depth, 1);
  EXPECT_EQ(c.unet.context_dim, 768);
  EXPECT_FALSE(c.unet.use_linear_in_transformer);
  EXPECT_EQ(c.autoencoder.ch, 128);
  EXPECT_THAT(c.autoencoder.ch_mult, ElementsAre(1, 2, 4, 4));
  EXPECT_EQ(c.autoencoder.scale_factor, 0.18215);
  EXPECT_EQ(c.autoencoder.num_res_blocks, 2);
  EXPECT_EQ(c.text.hidden_size, 768);
  EXPECT_EQ(c.text.heads, 12);
  EXPECT_TRUE(c.text.quick_gelu);
  EXPECT_EQ(c.beta_schedule, "linear");
  EXPECT_EQ(c.linear_start, 0.00085);
  EXPECT_EQ(c.linear_end, 0.012);
  EXPECT_EQ(c.timesteps, 1000);
  EXPECT_EQ(c.prediction, diffusion::Prediction::kEpsilon);
  EXPECT_EQ(c.default_size, 512);
  EXPECT_THAT(warnings.messages(), IsEmpty());
}

TEST(DiffusersConfig, HeadsByLevelAreHeadsOfOneWidth) {
  const ModelConfig c = changed([](Folder& f) {
    f.unet["attention_head_dim"] = {5, 10, 20, 20};
    f.unet["use_linear_projection"] = true;
    f.unet["cross_attention_dim"] = 1024;
    f.unet["sample_size"] = 96;
    f.text["hidden_size"] = 1024;
    f.text["num_attention_heads"] = 16;
    f.text["hidden_act"] = "gelu";
    f.tokenizer = {{"pad_token", "<|endoftext|>"}};
    f.scheduler["prediction_type"] = "v_prediction";
  });
  EXPECT_EQ(c.family, "ldm");
  EXPECT_EQ(c.unet.num_heads, -1);
  EXPECT_EQ(c.unet.num_head_channels, 64);
  EXPECT_TRUE(c.unet.use_linear_in_transformer);
  EXPECT_FALSE(c.text.quick_gelu);
  EXPECT_EQ(c.prediction, diffusion::Prediction::kVelocity);
  EXPECT_EQ(c.default_size, 768);
}

// Its text encoder takes ids that are filled up with zeros, which is not done here.
TEST(DiffusersConfig, StableDiffusion2IsRefused) {
  const auto exact = [](Folder& f) { f.text["hidden_act"] = "gelu"; };
  EXPECT_THAT(error_of(exact), HasSubstr("Stable Diffusion 2.x"));
  for (const json& pad : {json("!"), json({{"content", "!"}})})
    EXPECT_THAT(error_of([&](Folder& f) { f.tokenizer = {{"pad_token", pad}}; }), HasSubstr("filled up with \"!\""));
}

TEST(DiffusersConfig, PredictionOfTheSignal) {
  const ModelConfig c = changed([](Folder& f) { f.scheduler["prediction_type"] = "sample"; });
  EXPECT_EQ(c.prediction, diffusion::Prediction::kSample);
}

TEST(DiffusersConfig, OtherSizes) {
  EXPECT_EQ(changed([](Folder& f) { f.unet["num_attention_heads"] = 4; }).unet.num_heads, 4);
  EXPECT_THAT(changed([](Folder& f) {
                f.unet["layers_per_block"] = {1, 2, 2, 1};
              }).unet.num_res_blocks,
              ElementsAre(1, 2, 2, 1));
  EXPECT_TRUE(changed([](Folder& f) { f.unet["resnet_time_scale_shift"] = "scale_shift"; }).unet.use_scale_shift_norm);
  EXPECT_EQ(changed([](Folder& f) { f.unet["in_channels"] = 9; }).unet.in_channels, 9);
  EXPECT_EQ(changed([](Folder& f) { f.vae["scaling_factor"] = 0.5; }).autoencoder.scale_factor, 0.5);
  EXPECT_EQ(changed([](Folder& f) { f.scheduler["beta_schedule"] = "linear"; }).beta_schedule, "linear_betas");
  EXPECT_EQ(changed([](Folder& f) { f.scheduler["beta_schedule"] = "squaredcos_cap_v2"; }).beta_schedule, "cosine");
  const ModelConfig attends = changed([](Folder& f) {
    f.vae["down_block_types"][1] = "AttnDownEncoderBlock2D";
    f.vae["up_block_types"][2] = "AttnUpDecoderBlock2D";
  });
  EXPECT_THAT(attends.autoencoder.attn_resolutions, ElementsAre(attends.autoencoder.resolution / 2));
}

TEST(DiffusersConfig, TransformersOfADepthForEachLevel) {
  const auto unet = [](const json& depth, const json& reversed = nullptr) {
    return [=](Folder& f) {
      f.unet["transformer_layers_per_block"] = depth;
      f.unet["reverse_transformer_layers_per_block"] = reversed;
    };
  };
  EXPECT_THAT(changed(unet(2)).unet.transformer_depth, ElementsAre(2, 2, 2, 0));
  const UNetConfig each = changed(unet({1, 2, 10, 3})).unet;
  EXPECT_THAT(each.transformer_depth, ElementsAre(1, 2, 10, 0));
  EXPECT_EQ(each.middle_depth, 3);
  EXPECT_EQ(changed(unet({1, 2, 10, 3}, {7, 10, 2, 1})).unet, each);  // the coarsest level does not attend
  EXPECT_THAT(error_of(unet({1, 2, 10, 3}, {3, 10, 4, 1})),
              HasSubstr("level 1 has 2 transformer blocks on its way down and 4 on its way up"));
  EXPECT_THAT(error_of(unet({1, 2, 10}, nullptr)), HasSubstr("has 3 entries for 4 levels"));
  EXPECT_THAT(error_of(unet({1, 2, 10, 3}, {1, 2})), HasSubstr("has 2 entries for 4 levels"));
  EXPECT_THAT(error_of(unet({1, 0, 10, 3})), HasSubstr("transformer_layers_per_block holds 0 for level 1"));
  EXPECT_THAT(error_of(unet({1, 2, 10, 0})), HasSubstr("the middle block's transformer depth is 0"));
  EXPECT_THAT(error_of(unet({1, 2, json::array({3, 4}), 1})), HasSubstr("not a whole number"));
}

TEST(DiffusersConfig, MissingComponents) {
  EXPECT_THAT(error_of([](Folder& f) { f.unet = nullptr; }), HasSubstr("unet/config.json: no such file"));
  EXPECT_EQ(changed([](Folder& f) { f.text = nullptr; }).text.hidden_size, 768);
  const CollectWarnings warnings;
  EXPECT_EQ(changed([](Folder& f) { f.scheduler = nullptr; }).beta_schedule, "linear");
  EXPECT_THAT(warnings.messages(), ElementsAre(HasSubstr("no scheduler/scheduler_config.json")));
}

TEST(DiffusersConfig, Item92BlockOutChannels) {
  for (const int64_t width : {int64_t{0}, int64_t{-320}, int64_t{1000000000}, INT64_MIN}) {
    EXPECT_THAT(error_of([&](Folder& f) { f.unet["block_out_channels"][0] = width; }),
                AllOf(HasSubstr("unet/config.json"), HasSubstr("widths are 1 to 65536")));
    EXPECT_THAT(error_of([&](Folder& f) { f.unet["block_out_channels"][2] = width; }),
                HasSubstr("widths are 1 to 65536"));
    EXPECT_THAT(error_of([&](Folder& f) { f.vae["block_out_channels"][1] = width; }),
                AllOf(HasSubstr("vae/config.json"), HasSubstr("widths")));
  }
  EXPECT_THAT(error_of([](Folder& f) { f.unet["block_out_channels"] = json::array(); }),
              HasSubstr("block_out_channels is empty"));
  EXPECT_THAT(error_of([](Folder& f) { f.unet["block_out_channels"] = json::parse("[18446744073709551615]"); }),
              HasSubstr("not a whole number"));
  EXPECT_THAT(error_of([](Folder& f) { f.unet["block_out_channels"] = "wide"; }), HasSubstr("not a whole number"));
  EXPECT_THAT(error_of([](Folder& f) {
                f.unet["block_out_channels"] = {320, 500, 1280, 1280};
              }),
              HasSubstr("not a multiple of the first level's 320"));
  EXPECT_THAT(error_of([](Folder& f) { f.unet["block_out_channels"] = json(std::vector<int>(1000, 320)); }),
              HasSubstr("1000 entries"));
  EXPECT_THAT(error_of([](Folder& f) {
                f.unet["block_out_channels"] = {320, 640};
              }),
              HasSubstr("2 levels of block_out_channels, 4 down_block_types"));
}

TEST(DiffusersConfig, Item93Heads) {
  EXPECT_THAT(error_of([](Folder& f) { f.unet["attention_head_dim"] = 7; }),
              HasSubstr("7 attention heads do not divide the UNet's 320 channels"));
  EXPECT_THAT(error_of([](Folder& f) { f.unet["attention_head_dim"] = 0; }), HasSubstr("attention_head_dim holds 0"));
  EXPECT_THAT(error_of([](Folder& f) {
                f.unet["attention_head_dim"] = {5, 7, 20, 20};
              }),
              HasSubstr("7 attention heads do not divide the 640"));
  EXPECT_THAT(error_of([](Folder& f) {
                f.unet["attention_head_dim"] = {5, 20, 20, 20};
              }),
              HasSubstr("one width is supported"));
  EXPECT_THAT(error_of([](Folder& f) { f.unet["attention_head_dim"] = {5, 10}; }), HasSubstr("2 entries for 4 levels"));
  EXPECT_THAT(error_of([](Folder& f) { f.text["num_attention_heads"] = 7; }),
              HasSubstr("7 attention heads do not divide the text encoder's 768"));
}

TEST(DiffusersConfig, Item94UnknownScheduler) {
  EXPECT_THAT(error_of([](Folder& f) { f.scheduler["_class_name"] = "MyScheduler"; }),
              HasSubstr("\"MyScheduler\", which is not supported"));
  EXPECT_THAT(error_of([](Folder& f) { f.scheduler["_class_name"] = "FlowMatchEulerDiscreteScheduler"; }),
              HasSubstr("flow-matching"));
  EXPECT_THAT(error_of([](Folder& f) { f.scheduler["beta_schedule"] = "sigmoid"; }),
              HasSubstr("beta_schedule is \"sigmoid\""));
  EXPECT_THAT(error_of([](Folder& f) { f.scheduler["prediction_type"] = "flow"; }),
              HasSubstr("prediction_type is \"flow\"; epsilon, v_prediction and sample are supported"));
  EXPECT_THAT(error_of([](Folder& f) { f.scheduler["trained_betas"] = {0.1, 0.2}; }), HasSubstr("trained_betas"));
  EXPECT_THAT(error_of([](Folder& f) { f.scheduler["rescale_betas_zero_snr"] = true; }),
              HasSubstr("rescale_betas_zero_snr is true; only false"));
}

TEST(DiffusersConfig, Item95TrainTimesteps) {
  for (const int64_t n : {int64_t{0}, int64_t{-1}, int64_t{1000000000}, INT64_MAX}) {
    EXPECT_THAT(error_of([&](Folder& f) { f.scheduler["num_train_timesteps"] = n; }),
                AllOf(HasSubstr("scheduler_config.json"), HasSubstr("must be 1 to 100000")));
  }
  EXPECT_THAT(error_of([](Folder& f) { f.scheduler["num_train_timesteps"] = 1000.5; }),
              HasSubstr("not a whole number"));
}

TEST(DiffusersConfig, Item96Betas) {
  for (const json& beta : {json(1.0), json(0), json(-0.1), json(1e300)}) {
    EXPECT_THAT(error_of([&](Folder& f) { f.scheduler["beta_end"] = beta; }), HasSubstr("betas lie between 0 and 1"));
    EXPECT_THAT(error_of([&](Folder& f) { f.scheduler["beta_start"] = beta; }), HasSubstr("betas lie between 0 and 1"));
  }
  EXPECT_THAT(error_of([](Folder& f) { f.scheduler["beta_end"] = "nan"; }), HasSubstr("not a number"));
  // As diffusers writes what it does not clip.
  const test::TempFolder clipped;
  Folder().write(clipped.path());
  test::write_file(clipped / "scheduler/scheduler_config.json",
                   R"({"_class_name": "DDIMScheduler", "lambda_min_clipped": -Infinity})");
  EXPECT_NO_THROW(config_from_diffusers(clipped.path()));
  const test::TempFolder temp;  // NaN as Python would write it
  Folder().write(temp.path());
  test::write_file(temp / "scheduler/scheduler_config.json", R"({"_class_name": "DDIMScheduler", "beta_end": NaN})");
  EXPECT_THROW(config_from_diffusers(temp.path()), Error);
}

TEST(DiffusersConfig, Item98CustomCodeIsIgnoredWithAWarning) {
  const CollectWarnings warnings;
  changed([](Folder& f) {
    f.index["_class_name"] = {"pipeline", "MyPipeline"};
    f.index["unet"] = {"my_unet", "MyUNet"};
    f.unet["auto_map"] = {{"AutoModel", "evil.py--Model"}};
    f.text["trust_remote_code"] = true;
  });
  EXPECT_THAT(
      warnings.messages(),
      ElementsAre(HasSubstr("refers to a custom pipeline"), HasSubstr("the unet refers to custom code (\"my_unet\")"),
                  HasSubstr("unet/config.json: refers to custom code (auto_map"), HasSubstr("trust_remote_code")));
}

TEST(DiffusersConfig, RefusesOtherKinds) {
  EXPECT_THAT(error_of([](Folder& f) { f.index["_class_name"] = "StableDiffusionXLPipeline"; }),
              HasSubstr("StableDiffusionXLPipeline"));
  EXPECT_THAT(error_of([](Folder& f) { f.unet["_class_name"] = "UNet2DModel"; }), HasSubstr("UNet2DConditionModel is"));
  EXPECT_THAT(error_of([](Folder& f) { f.unet["addition_embed_type"] = "text_time"; }),
              HasSubstr("addition_embed_type is \"text_time\"; only a model without it"));
  EXPECT_THAT(error_of([](Folder& f) { f.unet["time_cond_proj_dim"] = 256; }), HasSubstr("time_cond_proj_dim"));
  EXPECT_THAT(error_of([](Folder& f) { f.unet["down_block_types"][0] = "SimpleCrossAttnDownBlock2D"; }),
              HasSubstr("down_block_types holds"));
  EXPECT_THAT(error_of([](Folder& f) { f.unet["up_block_types"][0] = "CrossAttnUpBlock2D"; }),
              HasSubstr("must mirror"));
  EXPECT_THAT(error_of([](Folder& f) { f.unet["norm_num_groups"] = 7; }), HasSubstr("must be a multiple of 7"));
  EXPECT_THAT(error_of([](Folder& f) { f.vae["_class_name"] = "AutoencoderTiny"; }), HasSubstr("AutoencoderKL is"));
  EXPECT_THAT(error_of([](Folder& f) { f.vae["use_quant_conv"] = false; }), HasSubstr("use_quant_conv"));
  EXPECT_THAT(error_of([](Folder& f) { f.text["architectures"] = {"T5EncoderModel"}; }), HasSubstr("T5EncoderModel"));
  EXPECT_THAT(error_of([](Folder& f) { f.text["hidden_act"] = "relu"; }), HasSubstr("hidden_act"));
  EXPECT_THAT(error_of([](Folder& f) { f.unet = json::array({1}); }), HasSubstr("not a JSON object"));
}

// Any value of the wrong kind in any place: a configuration or a one-line error, never anything else.
TEST(DiffusersConfig, SurvivesEveryWrongValue) {
  const CollectWarnings quiet;
  const test::TempFolder temp;
  const Folder plain;
  plain.write(temp.path());
  int refused = 0;
  for (const auto& [name, file] : plain.files()) {
    for (const auto& [key, unused] : file->items()) {
      for (const char* value : {"null", "true", "-1", "0", "1e300", "9223372036854775807", "18446744073709551615",
                                "\"x\"", "[]", "{}", "[[]]", "[null]", "[0,-1]"}) {
        json changed_file = *file;
        changed_file[key] = json::parse(value);
        test::write_file(temp / name, changed_file.dump());
        refused += error_at(temp.path()) != "no error";
      }
    }
    test::write_file(temp / name, file->dump());
  }
  EXPECT_GT(refused, 300);
  EXPECT_EQ(error_at(temp.path()), "no error");
}

TEST(DiffusersConfig, SizeOfTheStandIn) {
  EXPECT_EQ(changed([](Folder& f) { f.unet["sample_size"] = 32; }).default_size, 256);
  EXPECT_EQ(changed([](Folder& f) { f.unet["sample_size"] = {96, 64}; }).default_size, 768);
  EXPECT_THAT(error_of([](Folder& f) { f.unet["sample_size"] = INT64_MAX; }), HasSubstr("sample_size"));
}

TEST(ConfigFor, AsksTheFolderItself) {
  const test::TempFolder temp;
  Folder().write(temp.path());
  EXPECT_EQ(config_for(test::FakeCheckpoint({}, "diffusers folder", temp.path()), {}).family, "sd1");
}

TEST(ConfigFor, ReadsTheSyntheticFolder) {
  const CollectWarnings warnings;
  const auto checkpoint = open_model_files(test::synthetic_model({.format = tools::CheckpointFormat::kDiffusers}));
  const ModelConfig c = config_for(*checkpoint, {});
  EXPECT_EQ(c.family, "ldm");
  EXPECT_EQ(c.unet.model_channels, 32);
  EXPECT_EQ(c.unet.num_heads, 8);
  EXPECT_EQ(c.unet.context_dim, 64);
  EXPECT_EQ(c.autoencoder.ch, 32);
  EXPECT_EQ(c.text.layers, 3);
  EXPECT_EQ(c.text.heads, 4);
  EXPECT_EQ(c.default_size, 512);
  EXPECT_THAT(warnings.messages(), IsEmpty());
}

}  // namespace
}  // namespace sumi::models
