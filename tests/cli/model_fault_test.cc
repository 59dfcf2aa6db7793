// Files that are not models, do not fit, or are broken. Bad-input items 97, 102, 147; faults F8, F9, F22.
#include "tests/cli/cli_fixture.h"

#include <sys/stat.h>
#include <nlohmann/json.hpp>

#include "io/safetensors.h"

namespace sumi::test {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

class ModelFaultTest : public CliTest {
 protected:
  Outcome draw(const Words& model, const Words& more = small(), RunOptions options = {}) const {
    return sumi(Words{"a cat", "-o", (here() / "a.png").string()} + more + model, std::move(options));
  }
  // Run by a copy of the program outside the source tree, which has no bundled model.
  Outcome draw_elsewhere(const Words& more, RunOptions options = {}) const {
    const fs::path program = here() / "prefix/bin/sumi";
    fs::create_directories(program.parent_path());
    fs::copy_file(SUMI_BINARY, program, fs::copy_options::skip_existing);
    return run_program(Words{program.string(), "a cat", "-o", (here() / "a.png").string()} + small() + more,
                       isolated(std::move(options)));
  }
  static Words tiny() {
    return {"--config", std::string(SUMI_TEST_DATA) + "/tiny.yaml", "--tokenizer", byte_tokenizer().string()};
  }
  void expect_rejected(const Outcome& outcome, int code, const std::string& part) const {
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_FALSE(outcome.killed);
    EXPECT_THAT(outcome.err, HasSubstr(part));
    EXPECT_FALSE(fs::exists(here() / "a.png"));
  }
};

TEST_F(ModelFaultTest, WhatIsNoModel) {  // item 147
  ASSERT_EQ(mkfifo((here() / "pipe").c_str(), 0600), 0);
  fs::create_directory(here() / "folder");
  write_file(here() / "page.ckpt", "<!DOCTYPE html><html></html>");
  for (const char* name : {"pipe", "/dev/zero", "folder", "page.ckpt"}) {
    const Outcome outcome = draw({"--ckpt", name, "--tokenizer", byte_tokenizer().string()});
    EXPECT_THAT(outcome.code, AnyOf(65, 66)) << name << ": " << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(name));
    EXPECT_LT(outcome.cpu_seconds, 5.0);
    EXPECT_FALSE(fs::exists(here() / "a.png"));
    const Outcome inspected = sumi({"inspect", name});
    EXPECT_THAT(inspected.code, AnyOf(65, 66)) << name << ": " << inspected.err;
  }
}

TEST_F(ModelFaultTest, NoModelAtAllSaysHowToGetOne) {
  expect_rejected(draw_elsewhere({}), 66, "sumi pull");
  expect_rejected(draw({"--ckpt", "absent.ckpt"}), 66, "absent.ckpt");
  expect_rejected(draw({"--ckpt", synthetic_model().string(), "--config", std::string(SUMI_TEST_DATA) + "/tiny.yaml"}),
                  66, "sumi pull tokenizer");
}

TEST_F(ModelFaultTest, TheModelOfTheEnvironmentIsUsed) {
  EXPECT_EQ(draw_elsewhere(tiny()).code, 66);
  const Outcome found = draw_elsewhere(tiny(), {.environment = {{"SUMI_MODEL", synthetic_model().string()}}});
  EXPECT_EQ(found.code, 0) << found.err;
}

TEST_F(ModelFaultTest, TheModelInstalledBesideTheProgramIsUsed) {
  fs::create_directories(here() / "prefix/share/sumi/models");
  fs::copy(synthetic_model(), here() / "prefix/share/sumi/models/one.safetensors");
  const Outcome found = draw_elsewhere(tiny());
  EXPECT_EQ(found.code, 0) << found.err;
}

TEST_F(ModelFaultTest, AnotherModelsConfiguration) {  // item 97
  const Outcome outcome = draw({"--ckpt", synthetic_model().string(), "--config",
                                std::string(SUMI_TEST_DATA) + "/sd1.yaml", "--tokenizer", byte_tokenizer().string()});
  expect_rejected(outcome, 65, "token_embedding.weight is [49408, 64] and should be [49408, 768]");
}

// The model with one tensor's first value replaced.
fs::path model_with_nan(const fs::path& folder) {
  const auto checkpoint = io::open_checkpoint(synthetic_model());
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& info : checkpoint->tensors()) {
    Tensor tensor = checkpoint->tensor(info.name);
    if (info.name == "model.diffusion_model.out.2.bias") {
      tensor = tensor.clone();
      tensor.host_edit<float>()[0] = std::numeric_limits<float>::quiet_NaN();
    }
    tensors.emplace_back(info.name, tensor);
  }
  io::write_safetensors(folder / "nan.safetensors", tensors);
  return folder / "nan.safetensors";
}

TEST_F(ModelFaultTest, ALatentThatIsNoNumberIsAnError) {  // F22
  expect_rejected(draw(model_at(model_with_nan(here()))), 70, "is not finite after step 1");
}

TEST_F(ModelFaultTest, TooLargeAPictureIsRefusedBeforeItIsBegun) {  // F9
  const Outcome outcome = draw(model(), {"--width", "16384", "--height", "16384"});
  expect_rejected(outcome, 69, "choose a smaller picture");
  EXPECT_THAT(outcome.err, HasSubstr("needs about"));
  EXPECT_LT(outcome.cpu_seconds, 5.0);
}

TEST_F(ModelFaultTest, LittleAddressSpaceIsACleanError) {  // F8
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers reserve more address space than any limit";
#endif
  for (const rlim_t megabytes : {150, 250, 400}) {
    const Outcome outcome =
        draw(model(), {"--width", "768", "--height", "768", "--steps", "1"}, {.address_space = megabytes << 20});
    EXPECT_THAT(outcome.code, AnyOf(69, 66, 65)) << megabytes << ": " << outcome.err;
    EXPECT_FALSE(outcome.killed) << outcome.err;
    EXPECT_FALSE(fs::exists(here() / "a.png"));
  }
}

TEST_F(ModelFaultTest, InspectShowsWhatAFileIs) {
  const Outcome text =
      sumi({"inspect", synthetic_model().string(), "--config", std::string(SUMI_TEST_DATA) + "/tiny.yaml"});
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("format       safetensors"));
  EXPECT_THAT(text.out, HasSubstr("unet         32 channels times 1, 2, 4, 4; 8 heads; context 64"));
  EXPECT_THAT(text.out, HasSubstr("--all lists them"));
  const auto json = nlohmann::json::parse(sumi({"inspect", synthetic_model().string(), "--json"}).out);
  EXPECT_GT(json["tensors"].size(), 600u);
  const Outcome all = sumi({"inspect", synthetic_model({.format = tools::CheckpointFormat::kTorch}).string(), "--all"});
  EXPECT_THAT(all.out, HasSubstr("first_stage_model.decoder.conv_in.weight"));
  EXPECT_THAT(all.out, HasSubstr("f32    [32, 4, 3, 3]        model.diffusion_model.input_blocks.0.0.weight"));
}

}  // namespace
}  // namespace sumi::test
