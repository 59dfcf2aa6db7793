#include "app/cli/words.h"

#include <gtest/gtest.h>

#include "app/cli/arguments.h"
#include "app/cli/command.h"

namespace sumi::app {
namespace {

// The long options that a command of the program declares.
std::set<std::string> options_of(const std::string& name) {
  for (const Command* command : commands()) {
    if (command->name != name) continue;
    CLI::App app;
    command->declare(app);
    const std::vector<std::string> options = long_names(app);
    return {options.begin(), options.end()};
  }
  ADD_FAILURE() << "no command " << name;
  return {};
}

TEST(Words, AFieldBecomesTheOptionOfItsName) {
  const std::set<std::string> options{"--steps", "--lr-shape"};
  EXPECT_EQ(in_options("`steps` must be from 1 to 10000, not 0", options), "--steps must be from 1 to 10000, not 0");
  EXPECT_EQ(in_options("set `steps`", options), "set --steps");
  EXPECT_EQ(in_options("`lr_shape` and `steps`: `lr_shape` wins", options), "--lr-shape and --steps: --lr-shape wins");
}

TEST(Words, OtherTextsStay) {
  const std::set<std::string> options{"--steps", "--tokenizer"};
  for (const char* sentence : {"", "no field", "`", "``", "steps", "`steps", "steps`", "`eta` is unknown", "`Steps`",
                               "fetch it with `git lfs pull`", "`sumi pull tokenizer` fetches one"}) {
    EXPECT_EQ(in_options(sentence, options), sentence);
  }
  EXPECT_EQ(in_options("`sumi pull` and `steps`", options), "`sumi pull` and --steps");
  EXPECT_EQ(in_options("a ` alone, then `steps`", options), "a ` alone, then --steps");
}

TEST(Words, FieldsWithAnotherNameFollowTheCommand) {
  const std::set<std::string> txt2img = options_of("txt2img"), train = options_of("train ldm"),
                              eval = options_of("eval"), inspect = options_of("inspect");
  const auto expect = [](const char* field, const std::set<std::string>& options, const std::string& shown) {
    EXPECT_EQ(in_options(std::string("`") + field + "`", options), shown);
  };
  expect("batch", txt2img, "--n-samples");
  expect("batch", train, "--batch");
  expect("batch", eval, "--batch");
  expect("batch", inspect, "`batch`");
  expect("copies", txt2img, "--n-samples");
  expect("iterations", txt2img, "--n-iter");
  expect("prompts", txt2img, "--prompt");
  expect("tiled_decode", txt2img, "--vae-tiling");
  expect("tiled_decode", options_of(""), "--vae-tiling");
  expect("fixed_noise", txt2img, "--fixed-code");
  expect("syntax", txt2img, "--prompt-syntax");
  expect("loras", txt2img, "--lora");
  expect("controls", txt2img, "--control");
  expect("lora_folder", txt2img, "--lora-dir");
  expect("path", txt2img, "--ckpt");
  expect("checkpoint", train, "--ckpt");
  expect("width", txt2img, "--width");
  expect("config", inspect, "--config");
}

TEST(Words, HintsBelongToAKindAndAField) {
  const std::string sentence = "no vocabulary in /a; name its folder with `tokenizer`";
  EXPECT_EQ(hint_for(ErrorKind::kNoInput, sentence), "; `sumi pull tokenizer` fetches one");
  EXPECT_EQ(hint_for(ErrorKind::kUsage, sentence), "");
  EXPECT_EQ(hint_for(ErrorKind::kNoInput, "there is no tokenizer"), "");
  EXPECT_NE(hint_for(ErrorKind::kUsage, "unknown `backend` \"abacus\"").find("`sumi list backends`"),
            std::string::npos);
}

}  // namespace
}  // namespace sumi::app
