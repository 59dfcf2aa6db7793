// Checkpoints as people have them: each draws the picture of the plain one, or is refused by a sentence that says what
// is missing and how to give it.
#include "io/safetensors.h"
#include "models/loading/averages.h"
#include "tests/cli/cli_fixture.h"
#include "tests/support/torch_file.h"

namespace sumi::test {
namespace {

using testing::HasSubstr;
using Tensors = std::vector<std::pair<std::string, Tensor>>;

constexpr std::string_view kUNet = "model.diffusion_model.", kVae = "first_stage_model.",
                           kText = "cond_stage_model.transformer.text_model.";

class CheckpointFiles : public CliTest {
 protected:
  CheckpointFiles() {
    const auto file = io::open_checkpoint(synthetic_model());
    for (const io::TensorInfo& info : file->tensors())
      tensors_.emplace_back(info.name, file->tensor(info.name).clone());
  }

  // The model's tensors under the names that `name` gives; empty: left out.
  template <class Name> Tensors under(const Name& name) const {
    Tensors out;
    for (const auto& [own, tensor] : tensors_) {
      const std::string other = name(own);
      if (!other.empty()) out.emplace_back(other, tensor);
    }
    return out;
  }
  Tensors without(std::string_view prefix) const {
    return under([&](const std::string& name) { return name.starts_with(prefix) ? std::string() : name; });
  }
  Tensors only(std::string_view prefix) const {
    return under([&](const std::string& name) { return name.starts_with(prefix) ? name : std::string(); });
  }

  fs::path write(const Tensors& tensors, const std::string& name = "model.safetensors") const {
    io::write_safetensors(here() / name, tensors);
    return here() / name;
  }

  Outcome draw(const fs::path& checkpoint, const Words& more = {}) const {
    std::error_code ignored;
    fs::remove(here() / "x.png", ignored);
    return sumi(Words{"a red apple", "-o", "x.png", "--seed", "3", "--threads", "2"} + small() + model_at(checkpoint) +
                more);
  }
  std::string pixels() const {
    const image::Image picture = image::read_png(here() / "x.png").image;
    return {picture.pixels.begin(), picture.pixels.end()};
  }
  const std::string& plain() {
    if (plain_.empty()) {
      const Outcome outcome = draw(synthetic_model());
      EXPECT_EQ(outcome.code, 0) << outcome.err;
      plain_ = pixels();
    }
    return plain_;
  }
  // Draws the plain model's picture; returns what it said.
  std::string expect_same(const fs::path& checkpoint, const Words& more = {}) {
    const std::string& want = plain();
    const Outcome outcome = draw(checkpoint, more);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(outcome.code != 0 || pixels() == want) << checkpoint;
    return outcome.err;
  }
  void expect_error(const Outcome& outcome, const std::string& part) const {
    EXPECT_EQ(outcome.code, 65) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(part));
    EXPECT_FALSE(fs::exists(here() / "x.png"));
  }

  Tensors tensors_;
  std::string plain_;
};

TEST_F(CheckpointFiles, TensorsThatNobodyNeedsAreNamedOnce) {
  Tensors more = tensors_;
  for (const char* name : {"cond_stage_model.logit_scale", "cond_stage_model.transformer.text_projection.weight",
                           "model.diffusion_model.extra.weight", "first_stage_model.extra", "something_else.weight"})
    more.emplace_back(name, Tensor::full({2}, 1.0f));
  more.emplace_back("model_ema.decay", Tensor::full({}, 1.0f));
  const std::string said = expect_same(write(more));
  EXPECT_THAT(said, HasSubstr("5 tensors that no network here has are left out"));
  EXPECT_THAT(said, HasSubstr("model.diffusion_model.extra.weight"));
  EXPECT_THAT(said, testing::Not(HasSubstr("betas")));
  // What would change a layer, or is one more block, still stops it.
  for (const char* name : {"model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.bias",
                           "cond_stage_model.transformer.text_model.encoder.layers.3.mlp.fc1.weight"}) {
    Tensors other = tensors_;
    other.emplace_back(name, Tensor::full({32}, 1.0f));
    expect_error(draw(write(other)), std::string("1 unexpected: ") + name);
  }
}

TEST_F(CheckpointFiles, NamesOfWrappersAndOfOtherVersions) {
  const auto replaced = [&](std::string_view from, const std::string& to) {
    return under(
        [&](const std::string& name) { return name.starts_with(from) ? to + name.substr(from.size()) : name; });
  };
  EXPECT_THAT(expect_same(write(replaced(kText, "cond_stage_model.transformer."))), testing::Not(HasSubstr("warning")));
  expect_same(write(replaced(kUNet, "model._orig_mod.diffusion_model.")));
  expect_same(write(replaced(kUNet, "model.diffusion_model._orig_mod.")));
  expect_same(write(replaced(kVae, "first_stage_model.module.")));
  expect_same(write(replaced(kUNet, "model.module.diffusion_model.")));
  expect_same(write(under([](const std::string& name) { return "module." + name; })));
  expect_same(write(under([](const std::string& name) { return "_orig_mod." + name; })));
  // The same tensor under both names: the standard one counts.
  Tensors both = tensors_;
  for (const auto& [name, tensor] : only(kText))
    both.emplace_back("cond_stage_model.transformer." + name.substr(kText.size()), Tensor::zeros(tensor.shape()));
  EXPECT_THAT(expect_same(write(both)), HasSubstr("a second time in other names"));
}

// A UNet that is there only as running averages is drawn from, planned, converted and trained from.
TEST_F(CheckpointFiles, AveragesAlone) {
  const auto averaged = [](const std::string& name) {
    return name.starts_with(kUNet) ? models::average_name(name) : name;
  };
  const fs::path file = write(under(averaged));
  const std::string said = expect_same(file), plain_said = expect_same(synthetic_model());
  const auto needs = [](const std::string& text) {
    const size_t at = text.find("needs about");
    return text.substr(at, text.find("; ", at) - at);
  };
  EXPECT_EQ(needs(said), needs(plain_said));
  EXPECT_NE(needs(said), "");
  const Outcome converted = sumi({"convert", "--ckpt", file.string(), "--out", "converted.safetensors"});
  EXPECT_EQ(converted.code, 0) << converted.err;
  EXPECT_TRUE(io::open_checkpoint(here() / "converted.safetensors")->has(std::string(kUNet) + "out.2.bias"));
  write_pictures(here() / "data", 2, 64, 64);
  Words train = train_ldm(here() / "data", here() / "out") + Words{"--lora", "2", "--steps", "1", "--batch", "1"};
  std::replace(train.begin(), train.end(), synthetic_model().string(), file.string());
  const Outcome trained = run_program(train, isolated({}));
  EXPECT_EQ(trained.code, 0) << trained.err;
}

TEST_F(CheckpointFiles, MissingPartsAreNamedWithTheWayOut) {
  expect_error(draw(write(without(kVae))), "has no autoencoder; give one with --vae");
  expect_error(draw(write(without(kText))), "has no text encoder; give a whole checkpoint");
  expect_error(draw(write(without("first_stage_model.decoder."))), "no decoder");
  // Drawing does not need an encoder; encoding does.
  const fs::path decoder = write(under([](const std::string& name) {
    const bool encoder = name.starts_with("first_stage_model.encoder.") || name.starts_with("first_stage_model.quant_");
    return encoder ? std::string() : name;
  }));
  expect_same(decoder);
  io::write_safetensors(here() / "in.safetensors", {{"image", Tensor::zeros({1, 3, 64, 64})}});
  const Outcome encoding =
      sumi(Words{"probe", "vae-encode", "--in", "in.safetensors", "--out", "out.safetensors", "--ckpt",
                 decoder.string(), "--config", std::string(SUMI_TEST_DATA) + "/tiny.yaml"});
  EXPECT_EQ(encoding.code, 65);
  EXPECT_THAT(encoding.err, HasSubstr("no encoder"));
}

// The autoencoder of the model itself, given in each form that people have, draws the same picture.
TEST_F(CheckpointFiles, AnotherAutoencoder) {
  const fs::path rest = write(without(kVae), "rest.safetensors");
  const auto bare = [](const std::string& name) {
    return name.starts_with(kVae) ? name.substr(kVae.size()) : std::string();
  };
  expect_same(rest, {"--vae", synthetic_model().string()});
  expect_same(rest, {"--vae", write(only(kVae), "prefixed.safetensors").string()});
  expect_same(rest, {"--vae", write(under(bare), "bare.safetensors").string()});
  Tensors with_loss = under(bare);
  with_loss.emplace_back("loss.logvar", Tensor::full({}, 0.0f));
  with_loss.emplace_back("model_ema.decay", Tensor::full({}, 0.0f));
  expect_same(rest, {"--vae", write(with_loss, "loss.safetensors").string()});
  const fs::path folder = here() / "folder";
  tools::write_synthetic(folder, {.size = "tiny", .dtype = DType::kF32, .format = tools::CheckpointFormat::kDiffusers});
  expect_same(rest, {"--vae", folder.string()});
  expect_same(rest, {"--vae", (folder / "vae").string()});
  expect_same(rest, {"--vae", (folder / "vae/diffusion_pytorch_model.safetensors").string()});
  // Another one draws another picture.
  Tensors other = under(bare);
  for (auto& [name, tensor] : other)
    if (name == "decoder.conv_out.bias") tensor = Tensor::full(tensor.shape(), 0.3f);
  const fs::path changed = write(other, "changed.safetensors");
  EXPECT_EQ(draw(synthetic_model(), {"--vae", changed.string()}).code, 0);
  EXPECT_FALSE(pixels() == plain());
  // The web UI's file beside the checkpoint.
  fs::copy_file(synthetic_model(), here() / "beside.safetensors");
  fs::copy_file(changed, here() / "beside.vae.safetensors");
  const Outcome beside = draw(here() / "beside.safetensors");
  EXPECT_EQ(beside.code, 0) << beside.err;
  EXPECT_THAT(beside.err, HasSubstr("beside.vae.safetensors"));
  EXPECT_FALSE(pixels() == plain());
  expect_same(here() / "beside.safetensors", {"--vae", "own"});
  expect_error(draw(rest, {"--vae", write(only(kText), "text.safetensors").string()}), "holds no autoencoder");
}

}  // namespace
}  // namespace sumi::test
