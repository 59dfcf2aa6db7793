// sumi train ldm, from the outside: runs that are stopped, killed and resumed, and rejected inputs.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "image/png.h"
#include "io/checkpoint.h"
#include "io/safetensors.h"
#include "tests/cli/cli_fixture.h"
#include "tests/support/relative_l2.h"
#include "tests/support/run_program.h"
#include "tests/support/synthetic_models.h"
#include "tests/support/temp_folder.h"

namespace sumi::test {
namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class TrainLdm : public testing::Test {
 protected:
  TrainLdm() {
    write_pictures(data(), 6, 40, 48);
    write_file(data() / "broken.png", "\x89PNG and nothing after");
  }

  fs::path data() const { return folder_ / "data"; }

  std::vector<std::string> command(const std::string& out, const std::vector<std::string>& more = {}) const {
    return train_ldm(data(), folder_ / out) + Words{"--batch", "2", "--flip"} + more;
  }

  // The same with another checkpoint.
  static std::vector<std::string> with_model(const fs::path& file, std::vector<std::string> words) {
    *(std::find(words.begin(), words.end(), "--ckpt") + 1) = file.string();
    return words;
  }

  std::string losses(const std::string& out) const {
    std::istringstream lines(content(folder_ / out / "metrics.csv"));
    std::string all, line;
    while (std::getline(lines, line)) all += line.substr(0, line.rfind(',')) + "\n";  // without the seconds
    return all;
  }

  TempFolder folder_;
};

TEST_F(TrainLdm, GoesOnAfterKillsToTheSameBytes) {
  // Sample sheets change nothing.
  const Outcome whole = run_program(command("whole", {"--steps", "14", "--save-every", "100", "--sample-every", "7",
                                                      "--sample-prompt", "picture 1", "--sample-prompt", "picture 2"}));
  ASSERT_EQ(whole.code, 0) << whole.err;
  for (const char* name : {"00000007.png", "00000014.png"})
    EXPECT_EQ(image::read_png(folder_ / "whole" / "samples" / name).image.width, 2 * 64 + 3 * 2);
  const std::string report = content(folder_ / "whole" / "report.html");
  EXPECT_NE(report.find("samples/00000014.png"), std::string::npos);
  EXPECT_NE(report.find("<polyline points=\"0.0,"), std::string::npos);
  EXPECT_NE(whole.err.find("1 pictures could not be read"), std::string::npos) << whole.err;
  const std::vector<std::string> again = command("killed", {"--steps", "14", "--save-every", "2", "--resume"});
  for (int i = 0; i < 4; ++i) {
    Child child(again, {});
    // At some point in the i-th part of the run.
    const std::string checkpoint = "checkpoint-0000000" + std::to_string(2 * i) + ".safetensors";
    if (i > 0) {
      EXPECT_TRUE(child.wait_until([&] { return fs::exists(folder_ / "killed" / checkpoint); })) << checkpoint;
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(150));
    }
    child.send(SIGKILL);
    EXPECT_TRUE(child.wait().killed);
  }
  const Outcome last = run_program(again);
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(content(folder_ / "whole" / "model.safetensors"), content(folder_ / "killed" / "model.safetensors"));
  EXPECT_EQ(losses("whole"), losses("killed"));
  for (const auto& entry : fs::directory_iterator(folder_ / "killed")) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(name == ".lock" || !name.starts_with(".")) << name << " was left behind";
  }
}

TEST_F(TrainLdm, SavesAndStopsWhenInterrupted) {
  Child child(command("run", {"--steps", "100000"}), {});
  ASSERT_TRUE(child.wait_until([&] { return losses("run").find("\n3,") != std::string::npos; }));
  child.send(SIGINT);
  const Outcome outcome = child.wait();
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  EXPECT_NE(outcome.err.find("--resume"), std::string::npos) << outcome.err;
  int checkpoints = 0;
  for (const auto& entry : fs::directory_iterator(folder_ / "run"))
    checkpoints += entry.path().filename().string().starts_with("checkpoint-") ? 1 : 0;
  EXPECT_EQ(checkpoints, 1);
  EXPECT_FALSE(fs::exists(folder_ / "run" / "model.safetensors"));
}

TEST_F(TrainLdm, SavesAndStopsWhenTheTerminalIsClosed) {
  Child child(command("run", {"--steps", "100000"}), {});
  ASSERT_TRUE(child.wait_until([&] { return losses("run").find("\n3,") != std::string::npos; }));
  for (int i = 0; i < 3; ++i) child.send(SIGHUP);  // shell and kernel both send one
  const Outcome outcome = child.wait();
  EXPECT_EQ(outcome.code, 129) << outcome.err;
  int checkpoints = 0;
  for (const auto& entry : fs::directory_iterator(folder_ / "run"))
    checkpoints += entry.path().filename().string().starts_with("checkpoint-") ? 1 : 0;
  EXPECT_EQ(checkpoints, 1);
}

TEST_F(TrainLdm, RefusesASecondTrainerAndARunThatIsThere) {
  Child child(command("run", {"--steps", "100000"}), {});
  ASSERT_TRUE(child.wait_until([&] { return losses("run").find("\n1,") != std::string::npos; }));
  const Outcome second = run_program(command("run", {"--steps", "5", "--resume"}));
  EXPECT_EQ(second.code, 69);
  EXPECT_NE(second.err.find("another trainer"), std::string::npos) << second.err;
  child.send(SIGINT);
  child.wait();
  const Outcome again = run_program(command("run", {"--steps", "5"}));
  EXPECT_EQ(again.code, 64);
  EXPECT_NE(again.err.find("--resume"), std::string::npos) << again.err;
  const Outcome other = run_program(command("run", {"--steps", "100000", "--resume", "--accumulate", "2"}));
  EXPECT_EQ(other.code, 64);
  EXPECT_NE(other.err.find("accumulate"), std::string::npos) << other.err;
}

TEST_F(TrainLdm, NoNumberIsNeverSaved) {
  const Outcome outcome =
      run_program(command("run", {"--steps", "60", "--save-every", "1", "--clip", "0", "--lr", "1"}));
  // A learning rate of 1 may make the loss overflow; whatever is saved must be finite.
  for (const auto& entry : fs::directory_iterator(folder_ / "run")) {
    if (!entry.path().filename().string().starts_with("checkpoint-")) continue;
    const auto file = io::open_checkpoint(entry.path());
    for (const io::TensorInfo& info : file->tensors()) {
      const Tensor values = file->tensor(info.name);
      for (const float value : values.host<float>()) ASSERT_TRUE(std::isfinite(value)) << info.name;
    }
  }
  EXPECT_TRUE(outcome.code == 0 || outcome.err.find("is not finite") != std::string::npos ||
              outcome.err.find("has not been finite") != std::string::npos)
      << outcome.err;
}

TEST_F(TrainLdm, CheckpointingChangesNothingButMemory) {
  for (const char* out : {"kept", "again"}) {
    std::vector<std::string> more{"--steps", "2", "--ema", "0"};
    if (std::string(out) == "again") more.push_back("--checkpointing");
    const Outcome outcome = run_program(command(out, more));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  const auto kept = io::open_checkpoint(folder_ / "kept" / "model.safetensors"),
             again = io::open_checkpoint(folder_ / "again" / "model.safetensors");
  for (const io::TensorInfo& info : kept->tensors()) {
    // AdamW divides by the gradient's size: rounding error of a zero gradient may become a full step.
    const bool vanishes = info.name.find("in_layers.2.bias") != std::string::npos ||
                          info.name.find("emb_layers.1.bias") != std::string::npos;
    const Tensor got = again->tensor(info.name), want = kept->tensor(info.name);
    if (want.dtype() != DType::kF32) {
      EXPECT_TRUE(same_bytes(got, want)) << info.name;
      continue;
    }
    EXPECT_LE(relative_l2(got, want), vanishes ? 1e-2 : 1e-4) << info.name;
  }
}

TEST_F(TrainLdm, ALoraChangesThePictureByItsWeight) {
  const Outcome trained = run_program(command(
      "lora", {"--steps", "6", "--lora", "4", "--lr", "1e-2", "--train-text", "--ema", "0", "--checkpointing"}));
  ASSERT_EQ(trained.code, 0) << trained.err;
  const std::string lora = (folder_ / "lora" / "lora.safetensors").string();
  const auto picture = [&](const std::vector<std::string>& more, const std::string& prompt = "a picture") {
    std::vector<std::string> words{SUMI_BINARY, prompt, "-o", (folder_ / "out.png").string()};
    for (const std::string& word :
         {std::string("--ckpt"), synthetic_model().string(), std::string("--config"),
          std::string(SUMI_TEST_DATA) + "/tiny.yaml", std::string("--tokenizer"), byte_tokenizer().string(),
          std::string("--width"), std::string("64"), std::string("--height"), std::string("64"), std::string("--steps"),
          std::string("3"), std::string("--seed"), std::string("7")})
      words.push_back(word);
    words.insert(words.end(), more.begin(), more.end());
    const Outcome drawn = run_program(words);
    EXPECT_EQ(drawn.code, 0) << drawn.err;
    return image::read_png(folder_ / "out.png").image;
  };
  const image::Image plain = picture({});
  EXPECT_EQ(picture({"--lora", lora + ":0"}), plain);
  // As in other programs: convolutions for convolutions of the model, matrices for the rest.
  const auto stored = io::open_checkpoint(lora);
  for (const io::TensorInfo& info : stored->tensors()) {
    if (info.name.ends_with(".alpha")) continue;
    const bool is_convolution =
        info.name.find("_proj_in.") != std::string::npos ||
        (info.name.find("_proj_out.") != std::string::npos && info.name.starts_with("lora_unet"));
    EXPECT_EQ(info.shape.rank(), is_convolution ? 4 : 2) << info.name;
  }
  EXPECT_NE(picture({"--lora", lora}), plain);
  // The same by name, in the prompt.
  const fs::path dir = folder_ / "lora";
  EXPECT_EQ(picture({"--lora-dir", dir.string()}, "a <lora:lora:1>picture"), picture({"--lora", lora}));
  const Outcome none = run_program({SUMI_BINARY, "a <lora:nowhere:1>", "--ckpt", synthetic_model().string(), "--config",
                                    std::string(SUMI_TEST_DATA) + "/tiny.yaml", "--lora-dir", dir.string()});
  EXPECT_EQ(none.code, 66) << none.err;
  EXPECT_NE(none.err.find("no nowhere.safetensors in " + dir.string()), std::string::npos) << none.err;
  EXPECT_EQ(picture({"--lora", lora + ":0.5", "--lora", lora + ":0.5"}).pixels.size(), plain.pixels.size());
}

// The weights that are trained become f32, and the quantised rest f16, which safetensors can hold.
TEST_F(TrainLdm, AQuantisedFileIsTrainedToOneThatLoads) {
  const fs::path blocks = folder_ / "blocks.gguf";
  const Outcome converted = run_program(
      {SUMI_BINARY, "convert", "--ckpt", synthetic_model().string(), "--dtype", "q8_0", "--out", blocks.string()});
  ASSERT_EQ(converted.code, 0) << converted.err;
  const Outcome trained = run_program(with_model(blocks, command("run", {"--steps", "1"})));
  ASSERT_EQ(trained.code, 0) << trained.err;
  const auto file = io::open_checkpoint(folder_ / "run" / "model.safetensors");
  const auto before = io::open_checkpoint(blocks);
  int64_t halves = 0;
  for (const io::TensorInfo& info : before->tensors()) {
    const io::TensorInfo* after = file->find(info.name);
    ASSERT_NE(after, nullptr) << info.name;
    EXPECT_FALSE(is_quantized(after->dtype)) << info.name;
    halves += is_quantized(info.dtype) && after->dtype == DType::kF16 ? 1 : 0;
  }
  EXPECT_GT(halves, 20);  // of the text encoder and the autoencoder
}

TEST_F(TrainLdm, ADryRunTellsTheCostAndLeavesNothing) {
  const Outcome outcome = run_program(command("run", {"--dry-run", "--json", "--steps", "100"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto plan = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(plan["pictures"], 7);
  int64_t values = 0;
  const auto file = io::open_checkpoint(synthetic_model());
  for (const io::TensorInfo& info : file->tensors())
    values += info.name.starts_with("model.diffusion_model.") ? info.shape.numel() : 0;
  EXPECT_EQ(plan["trained_values"], values);
  // Parameters, gradients, two means and the averages, in float32, and some activations.
  EXPECT_GT(plan["memory_bytes"], 5 * 4 * values);
  EXPECT_GT(plan["seconds_per_step"], 0.0);
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(TrainLdm, BadInputIsOneSentence) {
  const auto refused = [&](std::vector<std::string> more, int code, const char* what) {
    const Outcome outcome = run_program(command("run", more));
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(what), std::string::npos) << outcome.err;
  };
  refused({"--steps", "0"}, 64, "--steps");
  refused({"--caption-dropout", "2"}, 64, "--caption-dropout");
  refused({"--lr-shape", "round"}, 64, "constant or cosine");
  refused({"--clip", "-1"}, 64, "--clip");
  for (const auto& entry : fs::directory_iterator(data())) {  // captions stand in metadata.jsonl from here on
    if (entry.path().extension() == ".txt") fs::remove(entry.path());
  }
  write_file(data() / "metadata.jsonl", "{\"file_name\": \"../secret.png\"}\n");
  refused({}, 65, "leads out of the folder");
  write_file(data() / "metadata.jsonl", "not json\n");
  refused({}, 65, "line 1");
  write_file(data() / "metadata.jsonl", "{\"file_name\": \"broken.png\", \"text\": \"a\"}\n");
  refused({}, 65, "1 of 1 pictures could not be read");
  write_file(data() / "metadata.jsonl", "{\"file_name\": \"0.png\"}\n");
  refused({}, 66, "none of the 1 pictures has a caption");
  write_file(data() / "metadata.jsonl", "{\"file_name\": \"0.png\", \"text\": \"a\\u0000b\"}\n");
  refused({}, 65, "0.png: the prompt has a NUL");
  refused({"--dtype", "q8_0"}, 64, "--lora");
  refused({"--lora-alpha", "2"}, 64, "--lora-alpha");
  refused({"--text-lr-scale", "0.5"}, 64, "--train-text");
  refused({"--warmup", "-1"}, 64, "--warmup must be 0 or more");
  refused({"--seed", "-1"}, 64, "--seed N");
  const Outcome inside = run_program(command((data() / "run").string()));
  EXPECT_EQ(inside.code, 64);
  EXPECT_NE(inside.err.find("lies in --data"), std::string::npos) << inside.err;
  // A relative path that does not exist yet.
  Words words = command("run");
  *(std::find(words.begin(), words.end(), "--data") + 1) = ".";
  *(std::find(words.begin(), words.end(), "--out") + 1) = "run";
  const Outcome relative = run_program(words, {.folder = data()});
  EXPECT_EQ(relative.code, 64);
  EXPECT_NE(relative.err.find("lies in --data"), std::string::npos) << relative.err;
}

TEST_F(TrainLdm, AnAutoencoderAloneIsToldFromAModel) {
  const auto whole = io::open_checkpoint(synthetic_model());
  std::vector<std::pair<std::string, Tensor>> part;
  for (const io::TensorInfo& info : whole->tensors()) {
    if (info.name.starts_with("first_stage_model.")) part.emplace_back(info.name, whole->tensor(info.name));
  }
  const fs::path file = folder_ / "autoencoder.safetensors";
  io::write_safetensors(file, part);
  const auto refused = [&](const Words& more, const char* what) {
    const Outcome outcome = run_program(with_model(file, command("run", more)));
    EXPECT_EQ(outcome.code, 65) << outcome.err;
    EXPECT_NE(outcome.err.find(what), std::string::npos) << outcome.err;
  };
  refused({}, "has no UNet: --from-scratch");
  refused({"--from-scratch"}, "has no text encoder: --from-scratch --train-text");
}

TEST_F(TrainLdm, GoesBackWhereTheLastCheckpointIsDamaged) {
  const Outcome begun = run_program(command("run", {"--steps", "4", "--save-every", "2"}));
  ASSERT_EQ(begun.code, 0) << begun.err;
  const std::string model = content(folder_ / "run" / "model.safetensors");
  const fs::path last = folder_ / "run" / "checkpoint-00000004.safetensors";
  std::string bytes = content(last);
  bytes[bytes.size() - 1000] ^= 1;  // in an average
  write_file(last, bytes);
  const Outcome flipped = run_program(command("run", {"--steps", "4", "--save-every", "2", "--resume"}));
  ASSERT_EQ(flipped.code, 0) << flipped.err;
  EXPECT_NE(flipped.err.find("is damaged"), std::string::npos) << flipped.err;
  EXPECT_NE(flipped.err.find("resuming after step 2"), std::string::npos) << flipped.err;
  EXPECT_EQ(content(folder_ / "run" / "model.safetensors"), model);
  write_file(last, bytes.substr(0, bytes.size() / 2));
  const Outcome cut = run_program(command("run", {"--steps", "4", "--save-every", "2", "--resume"}));
  ASSERT_EQ(cut.code, 0) << cut.err;
  EXPECT_NE(cut.err.find("resuming after step 2"), std::string::npos) << cut.err;
  EXPECT_EQ(content(folder_ / "run" / "model.safetensors"), model);
}

TEST_F(TrainLdm, DamagedNotesAreDamageToo) {
  const Outcome begun = run_program(command("run", {"--steps", "4", "--save-every", "2"}));
  ASSERT_EQ(begun.code, 0) << begun.err;
  const fs::path last = folder_ / "run" / "checkpoint-00000004.safetensors";
  std::string bytes = content(last);
  const size_t at = bytes.find("\"optimizer_steps\":\"4\"");
  ASSERT_NE(at, std::string::npos);
  bytes[at + 19] = '0';
  write_file(last, bytes);
  const Outcome gone_on = run_program(command("run", {"--steps", "3", "--save-every", "1", "--resume"}));
  ASSERT_EQ(gone_on.code, 0) << gone_on.err;
  EXPECT_NE(gone_on.err.find("is damaged"), std::string::npos) << gone_on.err;
  EXPECT_NE(gone_on.err.find("resuming after step 2"), std::string::npos) << gone_on.err;
  // The damaged file is gone: the last two are those of this run.
  EXPECT_FALSE(fs::exists(last));
  for (const char* kept : {"checkpoint-00000002.safetensors", "checkpoint-00000003.safetensors"})
    EXPECT_TRUE(fs::exists(folder_ / "run" / kept)) << kept;
}

TEST_F(TrainLdm, TheFolderOfPicturesMayBeNamedWithASlash) {
  const Outcome begun = run_program(command("run", {"--steps", "1"}));
  ASSERT_EQ(begun.code, 0) << begun.err;
  Words words = command("run", {"--steps", "2", "--resume"});
  *(std::find(words.begin(), words.end(), "--data") + 1) += "/";
  const Outcome outcome = run_program(words);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(TrainLdm, ASheetThatFailsCostsNoTraining) {
  fs::create_directories(folder_ / "run");
  write_file(folder_ / "run" / "samples", "a file where a folder should be");
  const Outcome outcome =
      run_program(command("run", {"--steps", "2", "--sample-every", "1", "--sample-prompt", "a picture"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("no sample sheet of step 1"), std::string::npos) << outcome.err;
  EXPECT_TRUE(fs::exists(folder_ / "run" / "model.safetensors"));
}

TEST_F(TrainLdm, FromScratchLeavesNothingOfTheNetworksItReplaces) {
  // A smaller UNet than the checkpoint's, whose tensors would be left over.
  std::string yaml = content(fs::path(SUMI_TEST_DATA) / "tiny.yaml");
  const size_t at = yaml.find("num_res_blocks: 2");
  ASSERT_NE(at, std::string::npos);
  yaml.replace(at, 17, "num_res_blocks: 1");
  write_file(folder_ / "smaller.yaml", yaml);
  Words words = command("run", {"--steps", "1", "--from-scratch", "--train-text"});
  *(std::find(words.begin(), words.end(), "--config") + 1) = (folder_ / "smaller.yaml").string();
  const Outcome trained = run_program(words);
  ASSERT_EQ(trained.code, 0) << trained.err;
  const Outcome drawn = run_program({SUMI_BINARY, "a picture", "-o", (folder_ / "out.png").string(), "--ckpt",
                                     (folder_ / "run" / "model.safetensors").string(), "--width", "64", "--height",
                                     "64", "--steps", "2"});
  EXPECT_EQ(drawn.code, 0) << drawn.err;
}

TEST_F(TrainLdm, ToldOfEveryDifferenceToTheRunThatWasBegun) {
  const Outcome begun = run_program(command("run", {"--steps", "1"}));
  ASSERT_EQ(begun.code, 0) << begun.err;
  write_file(data() / "0.txt", "another caption");
  const Outcome outcome = run_program(command("run", {"--steps", "2", "--resume", "--train-text", "--ema", "0"}));
  EXPECT_EQ(outcome.code, 64) << outcome.err;
  for (const char* key : {"data ", "train_text 0, not 1", "ema 0.9999, not 0"})
    EXPECT_NE(outcome.err.find(key), std::string::npos) << outcome.err;
}

TEST_F(TrainLdm, LatentsAreMadeAgainForAnotherEncoder) {
  const Outcome begun = run_program(command("run", {"--steps", "1"}));
  ASSERT_EQ(begun.code, 0) << begun.err;
  const std::string latents = content(folder_ / "run" / "latents.safetensors");
  const auto file = io::open_checkpoint(synthetic_model());
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const io::TensorInfo& info : file->tensors()) {
    Tensor value = file->tensor(info.name);
    if (info.name == "first_stage_model.encoder.conv_out.bias") {
      value = value.clone();
      value.host_edit<float>()[0] += 1.0f;
    }
    tensors.emplace_back(info.name, value);
  }
  const fs::path other = folder_ / synthetic_model().filename();  // under the same name
  io::write_safetensors(other, tensors);
  const Words words = with_model(other, command("run", {"--steps", "2", "--resume"}));
  const Outcome gone_on = run_program(words);
  EXPECT_EQ(gone_on.code, 64);
  EXPECT_NE(gone_on.err.find("weights that are not trained"), std::string::npos) << gone_on.err;
  EXPECT_EQ(content(folder_ / "run" / "latents.safetensors"), latents);
  fs::remove(folder_ / "run" / "checkpoint-00000001.safetensors");
  const Outcome again = run_program(words);
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_NE(content(folder_ / "run" / "latents.safetensors"), latents);
}

TEST_F(TrainLdm, ALoraGoesOnWithTheTypeAndTheVocabularyItBeganWith) {
  const Outcome begun = run_program(command("run", {"--steps", "1", "--lora", "2"}));
  ASSERT_EQ(begun.code, 0) << begun.err;
  const Outcome rounded = run_program(command("run", {"--steps", "2", "--lora", "2", "--resume", "--dtype", "q4_0"}));
  EXPECT_EQ(rounded.code, 64) << rounded.err;
  EXPECT_NE(rounded.err.find("weights that are not trained"), std::string::npos) << rounded.err;
  // Other bytes with the same meaning count as another vocabulary.
  const fs::path other = folder_ / "tokenizer";
  fs::copy(byte_tokenizer(), other);
  write_file(other / "vocab.json", content(other / "vocab.json") + "\n");
  Words words = command("run", {"--steps", "2", "--lora", "2", "--resume"});
  *(std::find(words.begin(), words.end(), "--tokenizer") + 1) = other.string();
  const Outcome spelled = run_program(words);
  EXPECT_EQ(spelled.code, 64) << spelled.err;
  EXPECT_NE(spelled.err.find("vocabulary"), std::string::npos) << spelled.err;
  const Outcome same = run_program(command("run", {"--steps", "2", "--lora", "2", "--resume"}));
  EXPECT_EQ(same.code, 0) << same.err;
}

}  // namespace
}  // namespace sumi::test
