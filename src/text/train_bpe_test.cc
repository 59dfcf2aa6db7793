#include "text/train_bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "tests/support/temp_folder.h"
#include "text/clip_tokenizer.h"

namespace sumi::text {
namespace {

using testing::ElementsAre;

TEST(TrainBpe, JoinsTheMostFrequentPairFirst) {
  // "low" three times and "lot" once: l-o is the most frequent pair, lo-w</w> the next.
  const TokenizerText text = train_bpe({"low low", "Low lot"}, 600);
  EXPECT_EQ(text.merges, "#version: 0.2\nl o\nlo w</w>\n");
  const ClipTokenizer tokenizer = ClipTokenizer::parse(text);
  EXPECT_EQ(tokenizer.vocab_size(), 512 + 2 + 2) << "pairs that occur once are not joined";
  EXPECT_THAT(tokenizer.encode("low"), ElementsAre(513));
  EXPECT_THAT(tokenizer.encode("lot"), testing::SizeIs(2));
  EXPECT_EQ(tokenizer.start_id(), 514);
  EXPECT_EQ(tokenizer.end_id(), 515);
}

TEST(TrainBpe, EveryTextIsSpelledAndTheSizeIsKept) {
  std::vector<std::string> texts;
  for (int i = 0; i < 50; ++i)
    texts.push_back("word" + std::string(static_cast<size_t>(i % 7), 'a') + " \xC3\xA9t\xC3\xA9 aaaa");
  const TokenizerText text = train_bpe(texts, 520);
  const ClipTokenizer tokenizer = ClipTokenizer::parse(text);
  EXPECT_LE(tokenizer.vocab_size(), 520);
  EXPECT_EQ(train_bpe(texts, 520).merges, text.merges);
  EXPECT_FALSE(tokenizer.encode("anything \xF0\x9F\x8D\x8E else").empty());
  const test::TempFolder folder;
  write_tokenizer(folder / "new", text);
  EXPECT_EQ(ClipTokenizer::load(folder / "new").encode("words"), tokenizer.encode("words"));
}

TEST(TrainBpe, RefusesSizesThatHoldNoBytes) {
  EXPECT_THROW(train_bpe({"a"}, 514), Error);
  EXPECT_THROW(train_bpe({"a"}, (1 << 20) + 1), Error);
  EXPECT_THROW(train_bpe({std::string("\xFF")}, 600), Error);
}

// Nothing occurs twice, so there is no merge; merges.txt needs one.
TEST(TrainBpe, RefusesTextsWithNothingToLearn) { EXPECT_THROW(train_bpe({"ab"}, 600), Error); }

}  // namespace
}  // namespace sumi::text
