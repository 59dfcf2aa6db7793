// sumi train autoencoder, from the outside.
#include "io/checkpoint.h"
#include "models/config.h"
#include "tests/cli/cli_fixture.h"

namespace sumi::test {
namespace {

class TrainAutoencoder : public testing::Test {
 protected:
  TrainAutoencoder() {
    write_pictures(data(), 6, 48, 40);
    write_file(data() / "broken.png", "\x89PNG and nothing after");
    write_file(folder_ / "small.yaml", small_autoencoder_yaml(4, "[]"));
  }

  fs::path data() const { return folder_ / "data"; }
  Words command(const std::string& out, const Words& more = {}) const {
    return Words{SUMI_BINARY, "train", "autoencoder", "--data", data().string(), "--out", (folder_ / out).string(),
                 "--batch",   "2"} +
           more;
  }
  Words fresh() const { return {"--config", (folder_ / "small.yaml").string(), "--crop", "32", "--flip"}; }

  TempFolder folder_;
};

TEST_F(TrainAutoencoder, GoesOnAfterAKillToTheSameBytes) {
  const Outcome whole =
      run_program(command("whole", fresh() + Words{"--steps", "9", "--sample-every", "3", "--ema", "0.9"}));
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_NE(whole.err.find("1 pictures could not be read"), std::string::npos) << whole.err;
  const image::Image sheet = image::read_png(folder_ / "whole" / "samples" / "00000009.png").image;
  EXPECT_EQ(sheet.width, 2 * 32 + 3 * 2);
  EXPECT_EQ(sheet.height, sheet.width);  // pictures above their reconstructions
  const std::string report = read_bytes(folder_ / "whole" / "report.html");
  for (const char* curve : {"reconstruction", "kl", "discriminator"})
    EXPECT_NE(report.find(std::string("<h2>") + curve), std::string::npos) << curve;

  const Words again =
      command("killed", fresh() + Words{"--steps", "9", "--save-every", "2", "--ema", "0.9", "--resume"});
  for (const char* checkpoint : {"checkpoint-00000002.safetensors", "checkpoint-00000006.safetensors"}) {
    Child child(again, {});
    EXPECT_TRUE(child.wait_until([&] { return fs::exists(folder_ / "killed" / checkpoint); })) << checkpoint;
    child.send(SIGKILL);
    EXPECT_TRUE(child.wait().killed);
  }
  const Outcome last = run_program(again);
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(read_bytes(folder_ / "whole" / "autoencoder.safetensors"),
            read_bytes(folder_ / "killed" / "autoencoder.safetensors"));
}

TEST_F(TrainAutoencoder, GoesOnFromAModelsAutoencoder) {
  const Words from{"--ckpt", synthetic_model().string(), "--config", std::string(SUMI_TEST_DATA) + "/tiny.yaml"};
  const Outcome run = run_program(
      command("tuned", from + Words{"--size", "64", "--steps", "2", "--lr", "1e-9", "--disc-weight", "0", "--json"}));
  ASSERT_EQ(run.code, 0) << run.err;
  const auto model = io::open_checkpoint(synthetic_model()),
             tuned = io::open_checkpoint(folder_ / "tuned" / "autoencoder.safetensors");
  for (const io::TensorInfo& info : tuned->tensors()) {
    ASSERT_TRUE(info.name.starts_with("first_stage_model.")) << info.name;
    const Tensor before = model->tensor(info.name), after = tuned->tensor(info.name);
    ASSERT_EQ(before.shape(), after.shape()) << info.name;
    EXPECT_NEAR(before.host<float>()[0], after.host<float>()[0], 1e-6) << info.name;
  }
  const Outcome plan = run_program(command("none", from + Words{"--size", "64", "--dry-run", "--json"}));
  ASSERT_EQ(plan.code, 0) << plan.err;
  EXPECT_NE(plan.out.find("\"trained_values\":"), std::string::npos) << plan.out;
  EXPECT_FALSE(fs::exists(folder_ / "none"));
}

// From a folder of pictures to a complete model: vocabulary, autoencoder, diffusion.
TEST_F(TrainAutoencoder, AWholeModelFromNothing) {
  const std::string yaml = (folder_ / "whole.yaml").string(), out = (folder_ / "model").string();
  write_file(yaml, R"(
model:
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    image_size: 16
    scale_by_std: true
    unet_config:
      target: ldm.modules.diffusionmodules.openaimodel.UNetModel
      params: {in_channels: 4, out_channels: 4, model_channels: 32, attention_resolutions: [1, 2], num_res_blocks: 1,
               channel_mult: [1, 2], num_heads: 4, use_spatial_transformer: true, context_dim: 32, legacy: false}
    first_stage_config:
      target: ldm.models.autoencoder.AutoencoderKL
      params:
        embed_dim: 4
        ddconfig: {double_z: true, z_channels: 4, resolution: 32, in_channels: 3, out_ch: 3, ch: 32, ch_mult: [1, 2],
                   num_res_blocks: 1, attn_resolutions: []}
    cond_stage_config:
      target: ldm.modules.encoders.modules.FrozenCLIPEmbedder
      params: {vocab_size: 530, max_position_embeddings: 16, hidden_size: 32, num_hidden_layers: 1,
               num_attention_heads: 2, intermediate_size: 64}
sampling: {sampler: ddim, steps: 3, scale: 2}
)");
  for (int i = 0; i < 6; ++i)
    write_file(data() / (std::to_string(i) + ".txt"), i % 2 == 0 ? "a red stripe" : "a blue stripe");
  const Outcome vocabulary = run_program({SUMI_BINARY, "train", "tokenizer", "--data", data().string(), "--out",
                                          (folder_ / "words").string(), "--size", "530"});
  ASSERT_EQ(vocabulary.code, 0) << vocabulary.err;
  const Outcome first = run_program(command("ae", {"--config", yaml, "--steps", "3", "--disc-weight", "0"}));
  ASSERT_EQ(first.code, 0) << first.err;
  const Outcome second =
      run_program({SUMI_BINARY, "train", "ldm", "--ckpt", (folder_ / "ae" / "autoencoder.safetensors").string(),
                   "--config", yaml, "--tokenizer", (folder_ / "words").string(), "--data", data().string(), "--out",
                   out, "--from-scratch", "--train-text", "--steps", "3", "--batch", "2"});
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_NE(second.err.find("scale factor"), std::string::npos) << second.err;
  // The file holds everything: sizes, scale, vocabulary, drawing defaults.
  const std::string model = out + "/model.safetensors";
  const auto file = io::open_checkpoint(model);
  const models::ModelConfig config = models::config_for(*file, {});
  EXPECT_FALSE(config.scale_by_std);
  EXPECT_NE(config.autoencoder.scale_factor, 1.0);
  EXPECT_EQ(config.default_size, 32);
  const Outcome drawn = run_program(
      {SUMI_BINARY, "a red stripe", "--ckpt", model, "-o", (folder_ / "drawn.png").string(), "--json", "--quiet"});
  ASSERT_EQ(drawn.code, 0) << drawn.err;
  const image::Png drawing = image::read_png(folder_ / "drawn.png");
  EXPECT_EQ(drawing.image.width, 32);
  ASSERT_FALSE(drawing.texts.empty());
  EXPECT_NE(drawing.texts[0].second.find("Steps: 3, Sampler: DDIM, Schedule type: Uniform, CFG scale: 2"),
            std::string::npos)
      << drawing.texts[0].second;
  // And it can be trained further.
  const Outcome tuned = run_program({SUMI_BINARY, "train", "ldm", "--ckpt", model, "--data", data().string(), "--out",
                                     (folder_ / "tuned").string(), "--steps", "1", "--batch", "2"});
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  EXPECT_TRUE(io::open_checkpoint(folder_ / "tuned" / "model.safetensors")->metadata().contains(models::kMergesKey));
}

TEST_F(TrainAutoencoder, RefusesWhatMakesNoSense) {
  const std::vector<std::tuple<Words, int, const char*>> cases{
      {{}, 64, "--config"},
      {fresh() + Words{"--crop", "0", "--size", "33"}, 64, "given twice"},
      {Words{"--config", (folder_ / "small.yaml").string(), "--size", "33"}, 64, "multiple of 2"},
      {Words{"--config", (folder_ / "small.yaml").string(), "--size", "32", "--crop", "64"}, 64, "--crop"},
      {fresh() + Words{"--vgg", "x.pth"}, 64, "given together"},
      {fresh() + Words{"--kl-weight", "-1"}, 64, "--kl-weight"},
      {fresh() + Words{"--disc-layers", "4"}, 64, "too small for the discriminator"},
      {Words{"--config", (folder_ / "nowhere.yaml").string()}, 66, "no such file"},
      {fresh() + Words{"--vgg", synthetic_model().string(), "--lpips", synthetic_model().string()}, 65, "features.0"},
  };
  for (const auto& [more, code, text] : cases) {
    const Outcome outcome = run_program(command("run", more));
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(text), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(folder_ / "run" / "metrics.csv")) << text;
  }
}

}  // namespace
}  // namespace sumi::test
