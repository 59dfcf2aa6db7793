#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>

#include "base/check.h"
#include "base/log.h"
#include "models/config.h"
#include "tests/support/cpu_seconds.h"
#include "tests/support/fake_checkpoint.h"
#include "tests/support/temp_folder.h"

namespace sumi::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The layout of the published v1-inference.yaml.
constexpr const char* kOfficial = R"(
model:
  base_learning_rate: 1.0e-04
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    linear_start: 0.00085
    linear_end: 0.0120
    num_timesteps_cond: 1
    log_every_t: 200
    timesteps: 1000
    first_stage_key: "jpg"
    cond_stage_key: "txt"
    image_size: 64
    channels: 4
    cond_stage_trainable: false   # Note: different from the one we trained before
    conditioning_key: crossattn
    monitor: val/loss_simple_ema
    scale_factor: 0.18215
    use_ema: False

    scheduler_config: # 10000 warmup steps
      target: ldm.lr_scheduler.LambdaLinearScheduler
      params:
        warm_up_steps: [ 10000 ]
        cycle_lengths: [ 10000000000000 ]

    unet_config:
      target: ldm.modules.diffusionmodules.openaimodel.UNetModel
      params:
        image_size: 32 # unused
        in_channels: 4
        out_channels: 4
        model_channels: 320
        attention_resolutions: [ 4, 2, 1 ]
        num_res_blocks: 2
        channel_mult: [ 1, 2, 4, 4 ]
        num_heads: 8
        use_spatial_transformer: True
        transformer_depth: 1
        context_dim: 768
        use_checkpoint: True
        legacy: False

    first_stage_config:
      target: ldm.models.autoencoder.AutoencoderKL
      params:
        embed_dim: 4
        monitor: val/rec_loss
        ddconfig:
          double_z: true
          z_channels: 4
          resolution: 256
          in_channels: 3
          out_ch: 3
          ch: 128
          ch_mult:
          - 1
          - 2
          - 4
          - 4
          num_res_blocks: 2
          attn_resolutions: []
          dropout: 0.0
        lossconfig:
          target: torch.nn.Identity

    cond_stage_config:
      target: ldm.modules.encoders.modules.FrozenCLIPEmbedder
)";

class YamlConfig : public testing::Test {
 protected:
  ModelConfig read(const std::string& content) {
    test::write_file(folder_ / "x.yaml", content);
    return config_from_yaml(folder_ / "x.yaml");
  }
  // The official file with the first `from` replaced.
  static std::string changed(const std::string& from, const std::string& to) {
    std::string text = kOfficial;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }
  std::string error_of(const std::string& content) {
    try {
      CollectWarnings quiet;
      read(content);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kData);
      EXPECT_THAT(e.what(), HasSubstr("x.yaml: "));
      EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
      return e.what();
    }
    return "no error";
  }
  test::TempFolder folder_;
  CollectWarnings warnings_;
};

TEST_F(YamlConfig, ReadsTheOfficialLayoutWithoutAWord) {
  const ModelConfig c = read(kOfficial);
  EXPECT_EQ(c.family, "sd1");
  EXPECT_EQ(c.unet.model_channels, 320);
  EXPECT_EQ(c.unet.num_heads, 8);
  EXPECT_EQ(c.unet.num_head_channels, -1);
  EXPECT_EQ(c.unet.context_dim, 768);
  EXPECT_THAT(c.unet.channel_mult, ElementsAre(1, 2, 4, 4));
  EXPECT_THAT(c.unet.transformer_depth, ElementsAre(1, 1, 1, 0));
  EXPECT_EQ(c.unet.middle_depth, 1);
  EXPECT_THAT(c.unet.num_res_blocks, ElementsAre(2));
  EXPECT_TRUE(c.unet.use_spatial_transformer);
  EXPECT_FALSE(c.unet.legacy);
  EXPECT_EQ(c.autoencoder.ch, 128);
  EXPECT_THAT(c.autoencoder.ch_mult, ElementsAre(1, 2, 4, 4));
  EXPECT_THAT(c.autoencoder.attn_resolutions, IsEmpty());
  EXPECT_EQ(c.autoencoder.scale_factor, 0.18215);
  EXPECT_EQ(c.text.hidden_size, 768);
  EXPECT_EQ(c.text.layers, 12);
  EXPECT_EQ(c.beta_schedule, "linear");
  EXPECT_EQ(c.timesteps, 1000);
  EXPECT_EQ(c.linear_start, 0.00085);
  EXPECT_EQ(c.linear_end, 0.012);
  EXPECT_EQ(c.prediction, diffusion::Prediction::kEpsilon);
  EXPECT_EQ(c.default_size, 512);
  EXPECT_THAT(warnings_.messages(), IsEmpty());
}

TEST_F(YamlConfig, ReadsTheStandIns) {
  const ModelConfig tiny = config_from_yaml(std::string(SUMI_TEST_DATA) + "/tiny.yaml");
  EXPECT_EQ(tiny.family, "ldm");
  EXPECT_EQ(tiny.unet.model_channels, 32);
  EXPECT_EQ(tiny.unet.context_dim, 64);
  EXPECT_EQ(tiny.autoencoder.ch, 32);
  EXPECT_EQ(tiny.text.hidden_size, 64);
  EXPECT_EQ(tiny.text.layers, 3);
  EXPECT_EQ(tiny.text.heads, 4);
  EXPECT_EQ(tiny.text.intermediate_size, 256);
  EXPECT_EQ(tiny.text.vocab_size, 49408);
  EXPECT_EQ(tiny.default_size, 512);
  const ModelConfig sd1 = config_from_yaml(std::string(SUMI_TEST_DATA) + "/sd1.yaml");
  EXPECT_EQ(sd1.family, "sd1");
  EXPECT_EQ(sd1.default_size, 512);
  EXPECT_THAT(warnings_.messages(), IsEmpty());
}

TEST_F(YamlConfig, TakesTheOriginalsDefaultsForWhatIsNotSaid) {
  std::string text = changed("        channel_mult: [ 1, 2, 4, 4 ]\n", "");
  const auto drop = [&](const std::string& line) { text = text.replace(text.find(line), line.size(), ""); };
  drop("        use_spatial_transformer: True\n");
  drop("        transformer_depth: 1\n");
  drop("        context_dim: 768\n");
  drop("        legacy: False\n");
  drop("    scale_factor: 0.18215\n");
  drop("    linear_start: 0.00085\n");
  drop("    linear_end: 0.0120\n");
  drop("    image_size: 64\n");
  const ModelConfig c = read(text);
  EXPECT_THAT(c.unet.channel_mult, ElementsAre(1, 2, 4, 8));
  EXPECT_FALSE(c.unet.use_spatial_transformer);
  EXPECT_EQ(c.unet.context_dim, 0);
  EXPECT_TRUE(c.unet.legacy);
  EXPECT_EQ(c.autoencoder.scale_factor, 1.0);
  EXPECT_EQ(c.linear_start, 1e-4);
  EXPECT_EQ(c.linear_end, 2e-2);
  EXPECT_EQ(c.default_size, 512);
}

TEST_F(YamlConfig, OtherNetworks) {
  ModelConfig c =
      read(changed("num_heads: 8",
                   "num_head_channels: 64\n        use_linear_in_transformer: True\n        resblock_updown: true\n"
                   "        use_scale_shift_norm: true\n        conv_resample: false"));
  EXPECT_EQ(c.unet.num_heads, -1);
  EXPECT_EQ(c.unet.num_head_channels, 64);
  EXPECT_TRUE(c.unet.use_linear_in_transformer);
  EXPECT_TRUE(c.unet.resblock_updown);
  EXPECT_TRUE(c.unet.use_scale_shift_norm);
  EXPECT_FALSE(c.unet.conv_resample);
  EXPECT_THAT(read(changed("num_res_blocks: 2", "num_res_blocks: [1, 2, 3, 4]")).unet.num_res_blocks,
              ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(read(changed("timesteps: 1000", "timesteps: 1000\n    parameterization: v")).prediction,
            diffusion::Prediction::kVelocity);
  EXPECT_EQ(read(changed("timesteps: 1000", "timesteps: 1000\n    parameterization: x0")).prediction,
            diffusion::Prediction::kSample);
  EXPECT_EQ(read(changed("context_dim: 768", "context_dim: [768]")).unet.context_dim, 768);
  EXPECT_EQ(read(changed("timesteps: 1000", "timesteps: 1000\n    beta_schedule: sqrt_linear")).beta_schedule,
            "linear_betas");
  EXPECT_EQ(read(changed("timesteps: 1000", "timesteps: 1000\n    beta_schedule: cosine")).beta_schedule, "cosine");
  EXPECT_EQ(read(changed("in_channels: 4", "in_channels: 9")).unet.in_channels, 9);
  EXPECT_EQ(read(changed("          - 4\n          num", "          num")).default_size, 256);
  EXPECT_EQ(read(changed("context_dim: 768", "context_dim: null")).unet.context_dim, 0);
  EXPECT_THAT(warnings_.messages(), IsEmpty());
}

// As the published configuration of Stable Diffusion XL has it: the number of a level without attention is ignored.
TEST_F(YamlConfig, TransformersOfADepthForEachLevel) {
  const auto unet = [&](const std::string& depth, const std::string& factors = "[ 4, 2, 1 ]") {
    std::string text = changed("transformer_depth: 1", "transformer_depth: " + depth);
    return text.replace(text.find("[ 4, 2, 1 ]"), 11, factors);
  };
  UNetConfig c = read(unet("[1, 2, 10, 3]", "[4, 2]")).unet;
  EXPECT_THAT(c.transformer_depth, ElementsAre(0, 2, 10, 0));
  EXPECT_EQ(c.middle_depth, 3);
  c = read(unet("2", "[8, 3, 1]")).unet;  // no level is 3 times coarser
  EXPECT_THAT(c.transformer_depth, ElementsAre(2, 0, 0, 2));
  EXPECT_EQ(c.middle_depth, 2);
  c = read(unet("[1, 2, 10, 0]\n        transformer_depth_middle: 10", "[4, 2]")).unet;
  EXPECT_EQ(c.middle_depth, 10);
  EXPECT_THAT(warnings_.messages(), IsEmpty());
  EXPECT_THAT(error_of(unet("[1, 2]")), HasSubstr("transformer_depth has 2 entries; one, or one for each of the 4"));
  EXPECT_THAT(error_of(unet("[1, 0, 1, 1]")), HasSubstr("transformer_depth is 0 for level 1"));
  EXPECT_THAT(error_of(unet("[1, 1, 1, 0]")), HasSubstr("the middle block's transformer depth is 0"));
  EXPECT_THAT(error_of(unet("-1")), HasSubstr("transformer_depth is -1"));
}

TEST_F(YamlConfig, WarnsOfKeysThatAreNotKnown) {
  read(changed("legacy: False", "legacy: False\n        flux_capacitor: 88"));
  ASSERT_EQ(warnings_.messages().size(), 1u);
  EXPECT_THAT(warnings_.messages()[0],
              HasSubstr("model.params.unet_config.params.flux_capacitor is unknown and ignored"));
}

TEST_F(YamlConfig, RefusesWhatIsNotSupported) {
  EXPECT_THAT(error_of(changed("autoencoder.AutoencoderKL", "autoencoder.VQModelInterface")),
              HasSubstr("a VQ autoencoder"));
  EXPECT_THAT(error_of(changed("modules.FrozenCLIPEmbedder", "modules.FrozenOpenCLIPEmbedder")),
              HasSubstr("as in Stable Diffusion 2"));
  EXPECT_THAT(error_of(changed("modules.FrozenCLIPEmbedder", "modules.BERTEmbedder")), HasSubstr("BERT"));
  EXPECT_THAT(error_of(changed("ddpm.LatentDiffusion", "ddpm.DiffusionEngine")), HasSubstr("Stable Diffusion XL"));
  EXPECT_THAT(error_of(changed("openaimodel.UNetModel", "openaimodel.Nonsense")),
              HasSubstr("\"Nonsense\", which is not supported; UNetModel is"));
  EXPECT_THAT(error_of(changed("legacy: False", "num_classes: 1001")),
              HasSubstr("num_classes asks for a kind of network"));
  EXPECT_THAT(error_of(changed("legacy: False", "dims: 3")), HasSubstr("dims"));
  EXPECT_THAT(error_of(changed("timesteps: 1000", "timesteps: 1000\n    parameterization: mu")),
              HasSubstr("eps, v and x0 are supported"));
  EXPECT_THAT(error_of(changed("timesteps: 1000", "timesteps: 1000\n    beta_schedule: sqrt")),
              HasSubstr("beta_schedule"));
  EXPECT_THAT(error_of(changed("conditioning_key: crossattn", "conditioning_key: concat")),
              HasSubstr("crossattn and hybrid"));
  EXPECT_THAT(error_of(changed("double_z: true", "double_z: false")), HasSubstr("double_z"));
}

TEST_F(YamlConfig, NamesTheKeyThatIsWrong) {
  EXPECT_THAT(error_of(changed("model_channels: 320", "model_channels: wide")),
              HasSubstr("unet_config.params.model_channels is \"wide\", not a whole number"));
  EXPECT_THAT(error_of(changed("model_channels: 320", "model_channels: 3.5")), HasSubstr("not a whole number"));
  EXPECT_THAT(error_of(changed("model_channels: 320", "model_channels: 99999999999999999999")),
              HasSubstr("not a whole number"));
  EXPECT_THAT(error_of(changed("model_channels: 320", "model_channels: {a: 1}")), HasSubstr("a structure"));
  EXPECT_THAT(error_of(changed("        model_channels: 320\n", "")), HasSubstr("model_channels is missing"));
  EXPECT_THAT(error_of(changed("use_spatial_transformer: True", "use_spatial_transformer: 7")),
              HasSubstr("true or false"));
  EXPECT_THAT(error_of(changed("image_size: 64", "image_size: []")), HasSubstr("image_size"));
  EXPECT_THAT(error_of(changed("image_size: 64", "image_size: 4611686018427387904")), HasSubstr("image_size"));
  EXPECT_THAT(error_of(changed("channel_mult: [ 1, 2, 4, 4 ]", "channel_mult: []")), HasSubstr("0 levels"));
  EXPECT_THAT(error_of("model: 3\n"), HasSubstr("model is missing or not a mapping"));
  EXPECT_THAT(error_of("- 1\n"), HasSubstr("the document is missing or not a mapping"));
  EXPECT_THAT(error_of(""), HasSubstr("not a mapping"));
}

TEST_F(YamlConfig, RefusesATextThatNobodySees) {
  EXPECT_THAT(error_of(changed("use_spatial_transformer: True", "use_spatial_transformer: False")),
              HasSubstr("no layer of the UNet would see the text"));
  EXPECT_THAT(error_of(changed("context_dim: 768", "context_dim: 64")),
              HasSubstr("context_dim is 64 and the text encoder's hidden_size 768"));
}

TEST_F(YamlConfig, RefusesAnotherOffsetOfTheCosine) {
  const std::string other = changed("linear_start: 0.00085", "beta_schedule: cosine\n    cosine_s: 0.3");
  EXPECT_THAT(error_of(other), HasSubstr("cosine_s is 0.3"));
  EXPECT_THAT(error_of(changed("linear_start: 0.00085", "beta_schedule: cosine\n    cosine_s: 8.0e-3")), "no error");
}

// LDM keeps the factor that it computed from the first latents as a buffer.
TEST_F(YamlConfig, TakesTheScaleFactorThatTheCheckpointKeeps) {
  class WithFactor : public test::FakeCheckpoint {
   public:
    using FakeCheckpoint::FakeCheckpoint;
    Tensor tensor(std::string_view) const override { return Tensor::full({}, 0.25f); }
  };
  test::write_file(folder_ / "x.yaml", changed("scale_factor: 0.18215", "scale_by_std: true"));
  const ModelConfig kept = config_for(WithFactor(test::Shapes{{"scale_factor", Shape{}}}), folder_ / "x.yaml");
  EXPECT_EQ(kept.autoencoder.scale_factor, 0.25);
  EXPECT_FALSE(kept.scale_by_std);
  const ModelConfig not_yet = config_for(WithFactor(test::Shapes{}), folder_ / "x.yaml");
  EXPECT_EQ(not_yet.autoencoder.scale_factor, 1.0);
  EXPECT_TRUE(not_yet.scale_by_std);
}

TEST_F(YamlConfig, Items92To96) {
  for (const char* width : {"0", "-320", "1000000000"})
    EXPECT_THAT(error_of(changed("model_channels: 320", fmt::format("model_channels: {}", width))),
                HasSubstr("must be 1 to 65536"));
  EXPECT_THAT(error_of(changed("num_heads: 8", "num_heads: 7")), HasSubstr("7 attention heads do not divide"));
  for (const char* n : {"0", "-1", "1000000000"})
    EXPECT_THAT(error_of(changed("timesteps: 1000", fmt::format("timesteps: {}", n))), HasSubstr("timesteps"));
  for (const char* beta : {".nan", "1.0", ".inf", "-1", "0"})
    EXPECT_THAT(error_of(changed("linear_end: 0.0120", fmt::format("linear_end: {}", beta))), HasSubstr("beta"));
}

// No file takes long to read: bombs of aliases, of depth and of size.
TEST_F(YamlConfig, SurvivesBombs) {
  const double begin = test::cpu_seconds();
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 40; ++i)
    laughs += fmt::format("a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i, i - 1);
  EXPECT_THAT(error_of(laughs + "model: *a39\n"), HasSubstr("not a mapping"));
  EXPECT_THAT(error_of("model: &m\n  target: LatentDiffusion\n  params: *m\n"), HasSubstr("unet_config is missing"));
  error_of(std::string(100000, '['));
  error_of(std::string(100000, '{'));
  std::string nested;
  for (int i = 0; i < 1000; ++i) nested += std::string(static_cast<size_t>(i), ' ') + "a:\n";
  EXPECT_THAT(error_of(nested), HasSubstr("x.yaml"));
  EXPECT_THAT(error_of(std::string((256 << 10) + 1, 'a')), HasSubstr("at most 262144"));
  EXPECT_THAT(error_of("a: \xFF\n"), HasSubstr("not UTF-8 at byte 3"));
  EXPECT_THAT(error_of("a: [1\nb: }\n"), HasSubstr("not valid YAML at line"));
  EXPECT_LT(test::cpu_seconds() - begin, 20.0);  // under a sanitizer; a second in a release build
}

TEST_F(YamlConfig, RefusesWhatIsNoFile) {
  for (const auto& path : {folder_.path(), folder_ / "absent.yaml", std::filesystem::path("/dev/zero")}) {
    try {
      config_from_yaml(path);
      ADD_FAILURE() << path;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kNoInput);
    }
  }
}

TEST(ConfigToYaml, ReadsBackAsItWas) {
  ModelConfig c = config_from_yaml_text(kOfficial, "official.yaml");
  EXPECT_EQ(config_from_yaml_text(config_to_yaml(c), "again"), c);
  c.unet = {.in_channels = 9,
            .model_channels = 64,
            .num_res_blocks = {1, 2, 3},
            .channel_mult = {1, 2, 3},
            .transformer_depth = {2, 2, 0},
            .middle_depth = 2,
            .num_head_channels = 32,
            .context_dim = 96,
            .use_linear_in_transformer = true,
            .legacy = false,
            .norm_groups = 16};
  c.autoencoder = {.ch = 32,
                   .resolution = 128,
                   .ch_mult = {1, 2, 3, 4},
                   .num_res_blocks = 1,
                   .attn_resolutions = {16},
                   .norm_groups = 8,
                   .scale_factor = 1.0 / 3.0};
  c.text = {.vocab_size = 2048,
            .max_positions = 32,
            .hidden_size = 96,
            .layers = 3,
            .heads = 4,
            .intermediate_size = 200,
            .quick_gelu = false,
            .layer_norm_eps = 1e-6};
  c.beta_schedule = "linear_betas";
  c.timesteps = 500;
  c.linear_start = 0.0001;
  c.prediction = diffusion::Prediction::kVelocity;
  c.default_size = 128;
  c.scale_by_std = true;
  c.sampling = {.sampler = "dpmpp_2m", .steps = 20, .scale = 3.5};
  c.family = "ldm";
  EXPECT_THAT(config_to_yaml(c), HasSubstr("transformer_depth: 2\n"));
  EXPECT_EQ(config_from_yaml_text(config_to_yaml(c), "again"), c);
  c.prediction = diffusion::Prediction::kSample;
  EXPECT_EQ(config_from_yaml_text(config_to_yaml(c), "again"), c);
  for (const std::vector<int64_t>& depth : {std::vector<int64_t>{0, 2, 10}, {0, 0, 0}, {3, 0, 1}, {1, 1, 1}}) {
    for (const int64_t middle : {1, 10}) {
      c.unet.transformer_depth = depth;
      c.unet.middle_depth = middle;
      EXPECT_EQ(config_from_yaml_text(config_to_yaml(c), "again"), c) << depth[0] << depth[1] << depth[2] << middle;
    }
  }
}

TEST(AutoencoderFromYaml, ReadsAnAutoencodersOwnFileAndItsLoss) {
  const test::TempFolder folder;
  const auto file = folder / "ae.yaml";
  std::ofstream(file) << R"(
model:
  base_learning_rate: 4.5e-6
  target: ldm.models.autoencoder.AutoencoderKL
  params:
    monitor: "val/rec_loss"
    embed_dim: 4
    lossconfig:
      target: ldm.modules.losses.LPIPSWithDiscriminator
      params: {disc_start: 50001, kl_weight: 0.000001, disc_weight: 0.5, disc_factor: 0.5}
    ddconfig: {double_z: True, z_channels: 4, resolution: 256, in_channels: 3, out_ch: 3, ch: 128, ch_mult: [1, 2, 4, 4],
               num_res_blocks: 2, attn_resolutions: [], dropout: 0.0}
)";
  const AutoencoderTraining training = autoencoder_from_yaml(file);
  EXPECT_EQ(training.model, AutoencoderConfig());
  EXPECT_EQ(training.loss.disc_start, 50001);
  EXPECT_DOUBLE_EQ(training.loss.kl_weight, 1e-6);
  EXPECT_DOUBLE_EQ(training.loss.disc_weight, 0.25);
  std::ofstream(file) << kOfficial;
  EXPECT_EQ(autoencoder_from_yaml(file).model, config_from_yaml(file).autoencoder) << "except for the scale factor";
  std::ofstream(file) << "model: {target: x.AutoencoderKL, params: {embed_dim: 4, lossconfig: {target: x.Vgg}}}";
  EXPECT_THROW(autoencoder_from_yaml(file), Error);
}

}  // namespace
}  // namespace sumi::models
