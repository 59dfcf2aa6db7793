#include "text/clip_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/check.h"
#include "base/log.h"
#include "tests/support/clip_vocabulary.h"
#include "tests/support/cpu_seconds.h"
#include "tests/support/made_up_tokenizer.h"
#include "text/prompt_weights.h"

namespace sumi::text {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ClipVocabulary, IdsEqualTheOriginals) {
  const auto folder = test::clip_vocabulary();
  if (!folder) GTEST_SKIP() << test::kNoClipVocabulary;
  const ClipTokenizer tokenizer = ClipTokenizer::load(*folder);
  EXPECT_EQ(tokenizer.vocab_size(), 49408);
  EXPECT_EQ(tokenizer.start_id(), 49406);
  EXPECT_EQ(tokenizer.end_id(), 49407);
  std::ifstream file(SUMI_TEST_DATA "/clip_tokens.json");
  const nlohmann::json cases = nlohmann::json::parse(file);
  ASSERT_EQ(cases.size(), 32u);
  for (const auto& entry : cases) {
    const auto prompt = entry["prompt"].get<std::string>();
    EXPECT_EQ(tokenizer.encode(prompt), entry["ids"].get<std::vector<int64_t>>()) << prompt;
    EXPECT_EQ(tokenizer.encode_padded(prompt), entry["padded"].get<std::vector<int64_t>>()) << prompt;
  }
}

class ClipTokenizerTest : public testing::Test {
 protected:
  void SetUp() override { test::write_made_up_tokenizer(folder_.path()); }
  ClipTokenizer load() const { return ClipTokenizer::load(folder_.path()); }
  std::string spelled(std::string_view prompt) const {  // the bytes of the tokens, words ending in '/'
    static const nlohmann::json vocabulary = test::made_up_vocabulary();
    std::map<int64_t, std::string> tokens;
    for (const auto& [token, id] : vocabulary.items()) tokens[id] = token;
    std::string result;
    for (const int64_t id : load().encode(prompt)) result += tokens.at(id);
    for (size_t end; (end = result.find("</w>")) != std::string::npos;) result.erase(end, 3)[end] = '/';
    return result;
  }

  test::TempFolder folder_;
};

TEST_F(ClipTokenizerTest, SplitsIntoWords) {
  EXPECT_EQ(spelled("Cat, DOG!"), "cat/,/dog/!/");
  EXPECT_EQ(spelled("it's they'll don't o'clock"), "it/'s/they/'ll/don/'t/o/'/clock/");
  EXPECT_EQ(spelled("a1b22"), "a/1/b/2/2/");
  EXPECT_EQ(spelled(" \t\r\n cat \xE3\x80\x80\xC2\x85 dog  "), "cat/dog/");
  EXPECT_EQ(spelled("wow!?...no"), "wow/!?.../no/");
  EXPECT_EQ(spelled(""), "");
  EXPECT_EQ(spelled("   "), "");
}

TEST_F(ClipTokenizerTest, ComposesAndLowersAsUnicodeDoes) {
  const ClipTokenizer tokenizer = load();
  EXPECT_EQ(tokenizer.encode("e\xCC\x81"), tokenizer.encode("\xC3\xA9"));  // e + acute is é
  EXPECT_EQ(tokenizer.encode("\xC3\x89"), tokenizer.encode("\xC3\xA9"));   // É
  EXPECT_EQ(tokenizer.encode("\xC4\xB0"), tokenizer.encode("i\xCC\x87"));  // İ
  EXPECT_EQ(tokenizer.encode("\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB"),
            tokenizer.encode("\xED\x95\x9C"));  // 한 of its jamo
  // Marks in either order give the same ids: dot below (class 220) goes before dot above (230).
  EXPECT_EQ(tokenizer.encode("q\xCC\x87\xCC\xA3"), tokenizer.encode("q\xCC\xA3\xCC\x87"));
}

TEST_F(ClipTokenizerTest, MarksInAPromptAreTokens) {
  const ClipTokenizer tokenizer = load();
  const int64_t start = test::kMadeUpStart, end = test::kMadeUpEnd;
  EXPECT_THAT(tokenizer.encode("<|startoftext|>cat<|endoftext|>"), ElementsAre(start, 514, end));
  EXPECT_THAT(tokenizer.encode("!<|ENDOFTEXT|>"), ElementsAre(256 + '!', end));
  EXPECT_THAT(tokenizer.encode("<|cat"), ElementsAre('<', 256 + '|', 514));
}

TEST_F(ClipTokenizerTest, PadsAndCuts) {
  const ClipTokenizer tokenizer = load();
  int64_t cut = -1;
  EXPECT_THAT(tokenizer.encode_padded("cat dog", 6, &cut), ElementsAre(521, 514, 517, 522, 522, 522));
  EXPECT_EQ(cut, 0);
  EXPECT_THAT(tokenizer.encode_padded("cat dog cats", 4, &cut), ElementsAre(521, 514, 517, 522));
  EXPECT_EQ(cut, 1);
  EXPECT_EQ(tokenizer.encode_padded("").size(), 77u);  // bad-input item 124
  EXPECT_THROW(tokenizer.encode_padded("cat", 1), Error);
}

TEST_F(ClipTokenizerTest, BadPromptsAreRefused) {  // bad-input items 125, 127, 128
  const ClipTokenizer tokenizer = load();
  const auto refusal = [&](std::string_view prompt) -> std::string {
    try {
      tokenizer.encode(prompt);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "it was taken";
  };
  EXPECT_THAT(refusal(std::string(1 << 20, 'a')), HasSubstr("at most 65536"));
  EXPECT_THAT(refusal("caf\xE9 noir"), HasSubstr("not UTF-8 at byte 3"));
  EXPECT_THAT(refusal(std::string_view("a\0b", 3)), HasSubstr("NUL character at byte 1"));
}

TEST_F(ClipTokenizerTest, LongPromptsOfAnyKindTakeNoTime) {
  const ClipTokenizer tokenizer = load();
  std::string marks = "a";  // classes 230 and 220 apart, the worst case of a bubble sort
  while (marks.size() < 32768) marks += "\xCC\x81";
  while (marks.size() < 65535) marks += "\xCC\xA3";
  std::string words;
  while (words.size() < 65532) words += "1 a'";
  std::string near_marks;
  while (near_marks.size() < 65534) near_marks += "<|";
  for (const std::string& prompt :
       {std::string(65536, 'a'), std::string(65536, '!'), std::string(65536, ' '), marks, words, near_marks}) {
    const double begin = test::cpu_seconds();
    tokenizer.encode(prompt);
    EXPECT_LT(test::cpu_seconds() - begin, 1.0) << prompt.substr(0, 8);
  }
}

TEST_F(ClipTokenizerTest, AVocabularyWithoutTheMarksIsRefused) {
  nlohmann::json vocabulary = test::made_up_vocabulary();
  vocabulary.erase("<|endoftext|>");
  test::write_file(folder_ / "vocab.json", vocabulary.dump());
  EXPECT_THROW(load(), Error);
}

// The vocabulary as the newer tokenizer.json has it, alone, gives the same ids; merges are texts or pairs.
TEST(AddedTokens, ATokenizerJsonAlone) {
  const test::TempFolder folder;
  test::write_made_up_tokenizer(folder / "two");
  const ClipTokenizer two = ClipTokenizer::load(folder / "two");
  for (const bool pairs : {false, true}) {
    nlohmann::json merges = nlohmann::json::array();
    for (const auto& [left, right] : test::kMadeUpMerges) {
      if (pairs) {
        merges.push_back({left, right});
      } else {
        merges.push_back(std::string(left) + " " + right);
      }
    }
    const nlohmann::json json{
        {"model", {{"type", "BPE"}, {"vocab", test::made_up_vocabulary()}, {"merges", merges}}},
        {"added_tokens",
         {{{"id", test::kMadeUpEnd}, {"content", "<|endoftext|>"}}, {{"id", 523}, {"content", "<cat-toy>"}}}}};
    test::write_file(folder / "one/tokenizer.json", json.dump());
    const ClipTokenizer one = ClipTokenizer::load(folder / "one");
    EXPECT_EQ(one.encode("cats and dog"), two.encode("cats and dog"));
    EXPECT_EQ(one.end_id(), test::kMadeUpEnd);
    EXPECT_EQ(one.vocab_size(), 524);
    EXPECT_EQ(one.encode("<cat-toy>"), std::vector<int64_t>{523});
  }
  for (const char* wrong : {"{}", "[]", "{\"model\": {\"vocab\": [], \"merges\": []}}", "{\"model\": 1}", "nothing"}) {
    test::write_file(folder / "wrong/tokenizer.json", wrong);
    EXPECT_THROW(ClipTokenizer::load(folder / "wrong"), Error) << wrong;
  }
}

TEST(AddedTokens, OfAddedTokensJson) {
  const test::TempFolder folder;
  test::write_made_up_tokenizer(folder.path());
  const ClipTokenizer plain = ClipTokenizer::load(folder.path());
  test::write_file(folder / "added_tokens.json", R"({"<cat-toy>": 523, "<cat-toy>_1": 524})");
  const ClipTokenizer added = ClipTokenizer::load(folder.path());
  EXPECT_EQ(added.vocab_size(), 525);
  std::vector<int64_t> want = plain.encode("a cat");
  want.push_back(523);
  for (const int64_t id : plain.encode(", dog")) want.push_back(id);
  EXPECT_EQ(added.encode("a cat <cat-toy>, dog"), want);
  EXPECT_EQ(added.encode("<cat-toy>_1"), std::vector<int64_t>{524});
  EXPECT_EQ(plain.encode("a cat"), added.encode("a cat"));
  for (const char* wrong : {"[]", R"({"a": -1})", R"({"a": 523, "b": 523})", R"({"cat</w>": 523})", R"({"a": "b"})"}) {
    test::write_file(folder / "added_tokens.json", wrong);
    EXPECT_THROW(ClipTokenizer::load(folder.path()), Error) << wrong;
  }
}

// Beside the two files a tokenizer.json only adds tokens, and need not be whole.
TEST(AddedTokens, OfATokenizerJsonBesideTheFiles) {
  const test::TempFolder folder;
  test::write_made_up_tokenizer(folder.path());
  const ClipTokenizer plain = ClipTokenizer::load(folder.path());
  const auto token = [](int id, const char* content) { return nlohmann::json{{"id", id}, {"content", content}}; };
  // "!" is id 33 of the vocabulary without being a word's end, so it would be another id inside a text.
  test::write_file(folder / "tokenizer.json",
                   nlohmann::json{{"added_tokens", {token('!', "!"), token(523, "<cat-toy>")}}}.dump());
  {
    const CollectWarnings warnings;
    const ClipTokenizer added = ClipTokenizer::load(folder.path());
    EXPECT_EQ(added.encode("cat!"), plain.encode("cat!"));
    EXPECT_EQ(added.encode("<cat-toy>"), std::vector<int64_t>{523});
    EXPECT_TRUE(warnings.messages().empty());
  }
  for (const std::string& broken :
       {std::string("version https://git-lfs.github.com/spec/v1\n"), std::string((16 << 20) + 1, ' '),
        nlohmann::json{{"added_tokens", nlohmann::json::array({token(523, "a"), token(523, "b")})}}.dump(),
        nlohmann::json{{"added_tokens", nlohmann::json::array({token(600, "cat</w>")})}}.dump()}) {
    test::write_file(folder / "tokenizer.json", broken);
    const CollectWarnings warnings;
    EXPECT_EQ(ClipTokenizer::load(folder.path()).encode("a cat!"), plain.encode("a cat!"));
    ASSERT_EQ(warnings.messages().size(), 1u) << broken.substr(0, 60);
    EXPECT_THAT(warnings.messages()[0], HasSubstr("tokenizer.json"));
  }
}

// The vectors of an embedding are not divided between two rows of a long prompt.
TEST(AddedTokens, TheIdsOfAWordStayTogether) {
  const test::TempFolder folder;
  test::write_made_up_tokenizer(folder.path());
  AddedWords words;
  words.add({.word = "style", .first = 1000, .count = 4});
  const ClipTokenizer tokenizer = ClipTokenizer::load(folder.path()).with(words);
  EXPECT_EQ(tokenizer.encode("style"), (std::vector<int64_t>{1000, 1001, 1002, 1003}));
  const WeightedChunks chunks = chunk_weighted_prompt(tokenizer, "cat cat cat (style:1.5)", 6);
  ASSERT_EQ(chunks.ids.size(), 2u);
  EXPECT_EQ(chunks.ids[0][4], tokenizer.end_id());
  EXPECT_EQ(chunks.ids[1][1], 1000);
  EXPECT_EQ(chunks.ids[1][4], 1003);
  EXPECT_EQ(chunks.weights[1][4], 1.5f);
}

}  // namespace
}  // namespace sumi::text
