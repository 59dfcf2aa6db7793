#include "text/prompt_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "base/check.h"
#include "base/count.h"
#include "base/log.h"
#include "tests/support/cpu_seconds.h"
#include "tests/support/made_up_tokenizer.h"

namespace sumi::text {
namespace {

using testing::HasSubstr;

// "text*weight|text*weight", weights of 1 left out, a BREAK as "##".
std::string shown(std::string_view prompt) {
  std::string result;
  for (const WeightedText& span : parse_weighted_prompt(prompt)) {
    if (!result.empty()) result += '|';
    result += span.is_break ? "##" : span.weight == 1.0f ? span.text : fmt::format("{}*{:.4g}", span.text, span.weight);
  }
  return result;
}

std::string refusal(std::string_view prompt) {
  try {
    parse_weighted_prompt(prompt);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "it was taken";
}

TEST(PromptWeights, BracketsWeighTheirText) {
  EXPECT_EQ(shown("normal text"), "normal text");
  EXPECT_EQ(shown("an (important) word"), "an |important*1.1| word");
  EXPECT_EQ(shown("((very)) much"), "very*1.21| much");
  EXPECT_EQ(shown("[less]"), "less*0.9091");
  EXPECT_EQ(shown("(word:1.5) [a]"), "word*1.5| |a*0.9091");
  EXPECT_EQ(shown("(word : -.5 )"), "word *-0.5");
  EXPECT_EQ(shown("(a (b:2) c:0.5)"), "a *0.5|b| c*0.5");
  EXPECT_EQ(shown("a (((house:1.3)) [on] a (hill:0.5), sun, (((sky)))."),
            "a |house*1.573| *1.1|on| a *1.1|hill*0.55|, sun, *1.1|sky*1.464|.*1.1");
}

TEST(PromptWeights, UnbalancedBracketsWeighToTheEnd) {
  EXPECT_EQ(shown("(unbalanced"), "unbalanced*1.1");
  EXPECT_EQ(shown("a [b (c"), "a |b *0.9091|c");
  EXPECT_EQ(shown("a) b] c"), "a) b] c");
  EXPECT_EQ(shown("a:1.2) b"), "a:1.2) b");
  EXPECT_EQ(shown("(a:b)"), "a:b*1.1");
  EXPECT_EQ(shown("(a:.)"), "a:.*1.1");
  EXPECT_EQ(shown("a:1.5"), "a:1.5");
  EXPECT_EQ(shown(""), "");
  EXPECT_EQ(shown("()"), "");
  EXPECT_EQ(shown("([)]x"), "x");
}

TEST(PromptWeights, EscapesStandForTheCharacter) {
  EXPECT_EQ(shown(R"(\(literal\] \\ \[x\))"), R"((literal] \ [x))");
  EXPECT_EQ(shown(R"(a\b\)"), "ab");
  EXPECT_EQ(shown(R"((a \(b\):1.5))"), "a (b)*1.5");
}

TEST(PromptWeights, BreakIsAWordOfItsOwn) {
  EXPECT_EQ(shown("a cat BREAK a dog"), "a cat|##|a dog");
  EXPECT_EQ(shown("BREAK"), "##");
  EXPECT_EQ(shown("aBREAK BREAKb BREAK_ break \xC3\xA9"
                  "BREAK"),
            "aBREAK BREAKb BREAK_ break \xC3\xA9"
            "BREAK");
  EXPECT_EQ(shown("(a BREAK b:1.5)"), "a*1.5|##|b*1.5");
}

TEST(PromptWeights, WeightsOutOfReasonAreRefused) {  // bad-input item 131
  for (const std::string weight : {"1e309", "1E5", "nan", "NaN", "-inf", "1001", "-1000.5", "1.2.3"}) {
    EXPECT_THAT(refusal("(a:" + weight + ")"), HasSubstr("not a plain number")) << weight;
  }
  EXPECT_EQ(shown("(a:+-3)"), "a:+-3*1.1");
  EXPECT_THAT(refusal("(a:" + std::string(400, '9') + ")"), HasSubstr("not a plain number"));
  EXPECT_THAT(refusal("((a:1000):1000)"), HasSubstr("beyond"));
  EXPECT_EQ(shown("(a:1000) (b:-1000)"), "a*1000| |b*-1000");
  EXPECT_EQ(shown("(naan:infinite)"), "naan:infinite*1.1");
}

TEST(PromptWeights, DeepNestingIsRefusedAtOnce) {  // bad-input item 130
  EXPECT_THAT(refusal(std::string(100'000, '(')), HasSubstr("at most"));
  EXPECT_THAT(refusal(std::string(60'000, '(')), HasSubstr("nested more than 64"));
  EXPECT_THAT(refusal(std::string(33, '(') + std::string(33, '[')), HasSubstr("nested more than 64"));
  EXPECT_EQ(shown(std::string(60, '(') + "a" + std::string(60, ')')), "a*304.5");
  const double begin = test::cpu_seconds();
  for (const std::string piece : {"(a)", ":", "a(", "(a:1 ", ": ", "BREAK ", "\\", "()"}) {
    std::string prompt;
    while (prompt.size() + piece.size() <= 65536) prompt += piece;
    try {
      parse_weighted_prompt(prompt);
    } catch (const Error&) {
    }
  }
  EXPECT_LT(test::cpu_seconds() - begin, 2.0);
}

TEST(PromptWeights, BadBytesAndNetworkTagsAreRefused) {  // bad-input items 125, 127, 128, 132
  EXPECT_THAT(refusal("caf\xE9"), HasSubstr("not UTF-8"));
  EXPECT_THAT(refusal(std::string_view("a\0", 2)), HasSubstr("NUL"));
  EXPECT_THAT(refusal("a <lora:../../x:1>"), HasSubstr("\"../../x\" is a path"));
  EXPECT_THAT(refusal("a <lora:..\\x:1>"), HasSubstr("is a path"));
  EXPECT_THAT(refusal("a <lora:/etc/passwd>"), HasSubstr("is a path"));
  EXPECT_THAT(refusal("a <lora:style:0.8> b"), HasSubstr("the lora \"style\" cannot be named here"));
  EXPECT_THAT(refusal("<hypernet:x\x1B[2J:1>"), HasSubstr("\"x[2J\""));
  EXPECT_EQ(shown("a <lora b> <lora:open"), "a <lora b> <lora:open");
}

TEST(LoraTags, AreTakenOutWithTheirWeights) {
  const TaggedPrompt tagged = take_lora_tags("a <lora:style:0.8>fox <lora:ink> <lora:grain:-1e-1> b <lora:open");
  EXPECT_EQ(tagged.prompt, "a fox   b <lora:open");
  EXPECT_THAT(tagged.loras, testing::ElementsAre(LoraTag{"style", 0.8}, LoraTag{"ink", 1.0}, LoraTag{"grain", -0.1}));
  EXPECT_EQ(take_lora_tags("no tags").prompt, "no tags");
  for (const char* bad : {"<lora::1>", "<lora:a:>", "<lora:a:x>", "<lora:a:1:2:3>", "<lora:a:dyn=3>", "<lora:a:te=x>",
                          "<lora:a:nan>", "<lora:a:1e9>", "<lora:../a>", "<hypernet:a>", "<lora:\xFF:1>"})
    EXPECT_THROW(take_lora_tags(bad), Error) << bad;
}

// A1111's order is the text encoder's weight, then the UNet's.
TEST(LoraTags, MayHaveAWeightForEachPart) {
  EXPECT_THAT(take_lora_tags("<lora:a:0.5:0.8><lyco:b><lora:c:unet=0.25:te=2>").loras,
              testing::ElementsAre(LoraTag{.name = "a", .weight = 0.5, .unet = 0.8}, LoraTag{.name = "b"},
                                   LoraTag{.name = "c", .unet = 0.25, .text = 2.0}));
}

// The UNet's weight is the text encoder's where only that is named, as in A1111.
TEST(LoraTags, AWeightByNameGoesForBothParts) {
  EXPECT_THAT(take_lora_tags("<lora:a:te=0.5><lora:b:unet=0.5>").loras,
              testing::ElementsAre(LoraTag{.name = "a", .unet = 0.5, .text = 0.5}, LoraTag{.name = "b", .unet = 0.5}));
  for (const char* twice : {"<lora:a:te=1:te=0.2>", "<lora:a:unet=1:te=1:unet=1>"})
    EXPECT_THAT([&] { take_lora_tags(twice); }, testing::ThrowsMessage<Error>(HasSubstr("twice"))) << twice;
  const CollectWarnings warnings;
  EXPECT_THAT(take_lora_tags("<lora:a:0.8:te=0.5><lora:b:unet=0.3:0.5:0.8>").loras,
              testing::ElementsAre(LoraTag{.name = "a", .weight = 0.8, .unet = 0.5, .text = 0.5},
                                   LoraTag{.name = "b", .weight = 0.5, .unet = 0.3}));
  ASSERT_EQ(warnings.messages().size(), 2u);
  EXPECT_THAT(warnings.messages()[0], HasSubstr("\"a\" has a weight twice"));
}

TEST(LoraTags, AreFoundInOnePass) {
  std::string tags, opened(32768, '<');
  while (tags.size() < 65536) tags += "<lora:a>";
  const std::string before = tags.substr(0, 32768);
  const auto timed = [](const std::string& prompt) {
    const double begin = test::cpu_seconds();
    const TaggedPrompt tagged = take_lora_tags(prompt);
    EXPECT_LT(test::cpu_seconds() - begin, 0.5);
    return tagged;
  };
  EXPECT_EQ(timed(tags).prompt, "");
  EXPECT_EQ(timed(tags).loras.size(), 8192u);
  EXPECT_EQ(timed(before + opened).prompt, opened);
  EXPECT_EQ(timed(opened + before).loras.size(), 4096u);
}

TEST(LoraTags, ThePromptIsCheckedFirst) {
  std::string long_one;
  while (long_one.size() <= 65536) long_one += "<lora:a>";
  EXPECT_THAT([&] { take_lora_tags(long_one); },
              testing::ThrowsMessage<Error>(HasSubstr("the prompt has 65544 bytes; at most 65536 are taken")));
  EXPECT_THAT([&] { take_lora_tags("caf\xE9 <lora:a>"); },
              testing::ThrowsMessage<Error>(HasSubstr("the prompt is not UTF-8 at byte 3")));
}

TEST(LoraTags, OnlyWholeOnesCount) {
  EXPECT_EQ(take_lora_tags("<<lora:a>>").prompt, "<>");
  EXPECT_EQ(take_lora_tags("<lora <loras:a> <lora").prompt, "<lora <loras:a> <lora");
  EXPECT_THAT(take_lora_tags("<b <lora:a:2>").loras, testing::ElementsAre(LoraTag{"a", 2.0}));
  EXPECT_THAT([] { take_lora_tags("<lora:a> <hypernet:b>"); },
              testing::ThrowsMessage<Error>(HasSubstr("asks for the hypernet \"b\"")));
}

class ChunkTest : public testing::Test {
 protected:
  ChunkTest() {
    test::write_made_up_tokenizer(folder_.path());
    tokenizer_ = ClipTokenizer::load(folder_.path());
  }
  WeightedChunks chunk(std::string_view prompt) const { return chunk_weighted_prompt(*tokenizer_, prompt); }

  test::TempFolder folder_;
  std::optional<ClipTokenizer> tokenizer_;
};

std::string repeat(std::string_view text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

TEST_F(ChunkTest, AShortPromptIsOneRow) {
  const WeightedChunks empty = chunk("");
  ASSERT_EQ(empty.ids.size(), 1u);
  EXPECT_EQ(empty.ids[0], tokenizer_->encode_padded(""));
  EXPECT_TRUE(empty.plain());
  const WeightedChunks plain = chunk("cat dog");
  EXPECT_EQ(plain.ids[0], tokenizer_->encode_padded("cat dog"));
  EXPECT_TRUE(plain.plain());
  const WeightedChunks weighted = chunk("cat (dog:1.5) cat");
  EXPECT_EQ(weighted.ids[0], tokenizer_->encode_padded("cat dog cat"));
  EXPECT_FALSE(weighted.plain());
  std::vector<float> weights(77, 1.0f);
  weights[2] = 1.5f;
  EXPECT_EQ(weighted.weights[0], weights);
}

TEST_F(ChunkTest, LongPromptsGoOnInFurtherRows) {
  const WeightedChunks exact = chunk(repeat("cat ", 75));
  ASSERT_EQ(exact.ids.size(), 1u);
  EXPECT_EQ(exact.ids[0].back(), test::kMadeUpEnd);
  const WeightedChunks two = chunk(repeat("cat ", 76) + "(dog)");
  ASSERT_EQ(two.ids.size(), 2u);
  EXPECT_FALSE(two.plain());
  EXPECT_EQ(two.ids[1], tokenizer_->encode_padded("cat dog"));
  EXPECT_EQ(two.weights[1][2], 1.1f);
  for (const auto& row : two.ids) EXPECT_EQ(row.size(), 77u);
}

TEST_F(ChunkTest, ARowEndsAtACommaNearItsEnd) {
  // 60 words and a comma, then words without one: the row's last 14 words move on together.
  const WeightedChunks near = chunk(repeat("cat ", 60) + "," + repeat(" (dog:2)", 20));
  ASSERT_EQ(near.ids.size(), 2u);
  EXPECT_EQ(near.ids[0], tokenizer_->encode_padded(repeat("cat ", 60) + ","));
  EXPECT_EQ(near.ids[1], tokenizer_->encode_padded(repeat("dog ", 20)));
  EXPECT_EQ(near.weights[0][62], 1.0f);
  EXPECT_EQ(near.weights[1][1], 2.0f);
  EXPECT_EQ(near.weights[1][20], 2.0f);
  EXPECT_EQ(near.weights[1][21], 1.0f);
  // The comma is the 55th of the row: 20 words after it are one too many.
  const WeightedChunks far = chunk(repeat("cat ", 54) + "," + repeat(" dog", 30));
  EXPECT_EQ(far.ids[0], tokenizer_->encode_padded(repeat("cat ", 54) + "," + repeat(" dog", 20)));
  const WeightedChunks edge = chunk(repeat("cat ", 55) + "," + repeat(" dog", 30));
  EXPECT_EQ(edge.ids[0], tokenizer_->encode_padded(repeat("cat ", 55) + ","));
}

TEST_F(ChunkTest, BreakBeginsARow) {
  const WeightedChunks chunks = chunk("cat BREAK dog");
  ASSERT_EQ(chunks.ids.size(), 2u);
  EXPECT_EQ(chunks.ids[0], tokenizer_->encode_padded("cat"));
  EXPECT_EQ(chunks.ids[1], tokenizer_->encode_padded("dog"));
  EXPECT_EQ(chunk("cat BREAK").ids.size(), 1u);
}

TEST_F(ChunkTest, EveryTextIsCountedOnce) {
  const CountScope counts;
  chunk("a (cat:1.2), BREAK a [dog], a cat");  // in six parts
  EXPECT_EQ(counts["tokenize"], 1);
  EXPECT_EQ(counts["parse_prompt"], 1);
  tokenizer_->encode("a cat");
  tokenizer_->encode_padded("a dog");
  EXPECT_EQ(counts["tokenize"], 3);
  EXPECT_EQ(counts["parse_tags"], 0);
  take_lora_tags("<lora:ink> a <lora:grain> cat");
  EXPECT_EQ(counts["parse_tags"], 1);
  EXPECT_EQ(counts["parse_prompt"], 1);
}

}  // namespace
}  // namespace sumi::text
