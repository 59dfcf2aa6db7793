// Prompts of every kind through the whole program. Bad-input items 124 to 133.
#include "tests/cli/cli_fixture.h"

namespace sumi::test {
namespace {

using testing::HasSubstr;

class PromptTest : public CliTest {
 protected:
  Outcome draw(const std::string& prompt, const Words& more = {}) const {
    return sumi(
        Words{"txt2img", "--prompt", prompt, "--n_iter", "1", "--n_samples", "1", "--skip_grid", "--outdir", "o"} +
        more + small() + model());
  }
  image::Image picture(const std::string& name) const { return image::read_png(here() / "o/samples" / name).image; }
};

TEST_F(PromptTest, EmptyRuns) {  // item 124
  const Outcome outcome = draw("");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(PromptTest, TooLongForAnyone) {  // item 125; an argument may have 128 KiB
  expect_refused({"txt2img", "--prompt", std::string(100'000, 'a'), "--ckpt", "/absent.ckpt"}, 64, "at most 65536");
  write_file(here() / "p.txt", std::string(1'000'000, 'a'));
  const Outcome outcome = sumi({"txt2img", "--from-file", "p.txt", "--ckpt", "/absent.ckpt"});
  EXPECT_EQ(outcome.code, 64);
  EXPECT_THAT(outcome.err, HasSubstr("at most 65536"));
}

TEST_F(PromptTest, OverSeventySevenTokensIsCutOrChunked) {  // item 126
  std::string prompt, beginning;
  for (int i = 0; i < 120; ++i) prompt += "a ";
  for (int i = 0; i < 75; ++i) beginning += "a ";
  const Outcome exact = draw(prompt);
  ASSERT_EQ(exact.code, 0) << exact.err;
  EXPECT_THAT(exact.err, HasSubstr("the last 45 of 120 tokens"));
  const Outcome cut = draw(beginning);
  EXPECT_EQ(cut.err.find("tokens do not fit"), std::string::npos);
  EXPECT_EQ(picture("00000.png"), picture("00001.png"));
  const Outcome chunks = draw(prompt, {"--prompt-syntax", "weighted"});
  ASSERT_EQ(chunks.code, 0) << chunks.err;
  EXPECT_EQ(chunks.err.find("tokens do not fit"), std::string::npos);
  EXPECT_NE(picture("00000.png"), picture("00002.png"));
}

TEST_F(PromptTest, APlainPromptIsTheSameInBothSyntaxes) {
  ASSERT_EQ(draw("a cat, a dog").code, 0);
  ASSERT_EQ(draw("a cat, a dog", {"--prompt-syntax", "weighted"}).code, 0);
  ASSERT_EQ(draw("a cat, (a dog:1.4)", {"--prompt-syntax", "weighted"}).code, 0);
  EXPECT_EQ(picture("00000.png"), picture("00001.png"));
  EXPECT_NE(picture("00000.png"), picture("00002.png"));
}

TEST_F(PromptTest, WhatIsNoTextIsRefused) {  // items 127, 128
  expect_refused({"txt2img", "--prompt", "caf\xe9", "--ckpt", "/absent.ckpt"}, 64, "UTF-8");
  write_file(here() / "p.txt", std::string("a\0b", 3));
  EXPECT_EQ(sumi({"txt2img", "--from-file", "p.txt", "--ckpt", "/absent.ckpt"}).code, 64);
}

TEST_F(PromptTest, AFileOfPromptsMayBeginWithAByteOrderMark) {
  write_file(here() / "marked.txt",
             "\xEF\xBB\xBF"
             "a cat\r\n");
  ASSERT_EQ(draw("a cat").code, 0);
  const Outcome outcome =
      sumi(Words{"txt2img", "--from-file", "marked.txt", "--n_iter", "1", "--skip_grid", "--outdir", "o"} + small() +
           model());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(picture("00000.png"), picture("00001.png"));
  write_file(here() / "latin1.txt", "a cat\ncaf\xe9\n");
  const Outcome refused = sumi({"txt2img", "--from-file", "latin1.txt", "--ckpt", "/absent.ckpt"});
  EXPECT_EQ(refused.code, 65);
  EXPECT_THAT(refused.err, HasSubstr("latin1.txt, line 2: is not UTF-8"));
}

TEST_F(PromptTest, EveryScriptRuns) {  // item 129
  const Outcome outcome = draw("\xf0\x9f\x90\xb1 \xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d e\xcc\x81");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(PromptTest, HostileSyntaxIsRefused) {  // items 130 to 132
  const Words weighted{"--ckpt", "/absent.ckpt", "--prompt-syntax", "weighted"};
  expect_refused(Words{"txt2img", "--prompt", std::string(60'000, '(')} + weighted, 64, "nested");
  expect_refused(Words{"txt2img", "--prompt", "(a:1e309)"} + weighted, 64, "weight");
  expect_refused(Words{"txt2img", "--prompt", "(a:nan)"} + weighted, 64, "weight");
  expect_refused(Words{"txt2img", "--prompt", "a <lora:../../x:1>", "--ckpt", "/absent.ckpt"}, 64, "lora");
  expect_refused(Words{"<lora:../../x:1>", "--ckpt", "/absent.ckpt"}, 64, "lora");
}

TEST_F(PromptTest, ControlCharactersStayOutOfLogsAndMetadata) {  // item 133
  std::string prompt = "a \x1b[31mred\x07 cat";
  for (int i = 0; i < 100; ++i) prompt += " a";
  const Outcome outcome = draw(prompt);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err.find('\x1b'), std::string::npos);
  for (const auto& [key, text] : image::read_png(here() / "o/samples/00000.png").texts) {
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_THAT(text, HasSubstr("red cat"));
  }
}

TEST_F(PromptTest, ControlCharactersStayOutOfErrors) {
  expect_refused({"txt2img", "--ckpt", "/absent.ckpt", "--sampler", "x\x1b[0m"}, 64, "x[0m");
}

TEST_F(PromptTest, AbsentPromptsFile) { expect_refused({"txt2img", "--from-file", "absent.txt"}, 66, "absent.txt"); }

}  // namespace
}  // namespace sumi::test
