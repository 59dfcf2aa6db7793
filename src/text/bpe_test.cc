#include "text/bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "tests/support/cpu_seconds.h"
#include "tests/support/made_up_tokenizer.h"

namespace sumi::text {
namespace {

using test::write_file;
using testing::ElementsAre;
using testing::HasSubstr;

class BpeTest : public testing::Test {
 protected:
  void SetUp() override { test::write_made_up_tokenizer(folder_.path()); }
  Bpe load() const { return Bpe::parse(read_tokenizer(folder_.path())); }

  // The one line that loading fails with.
  std::string refusal() const {
    try {
      load();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      return error.what();
    }
    return "it loaded";
  }
  std::string refusal_of_vocabulary(std::string_view content) const {
    write_file(folder_ / "vocab.json", content);
    return refusal();
  }
  std::string refusal_of_merges(std::string_view content) const {
    write_file(folder_ / "merges.txt", content);
    return refusal();
  }

  test::TempFolder folder_;
};

std::vector<int64_t> encode(const Bpe& bpe, std::string_view word) {
  std::vector<int64_t> ids;
  bpe.append(word, ids);
  return ids;
}

TEST_F(BpeTest, EarlierMergesAreMadeFirst) {
  const Bpe bpe = load();
  EXPECT_EQ(bpe.size(), 523);
  EXPECT_THAT(encode(bpe, "cat"), ElementsAre(514));
  EXPECT_THAT(encode(bpe, "cats"), ElementsAre(515));  // t and s join before ca and t could
  EXPECT_THAT(encode(bpe, "catx"), ElementsAre(512, 't', 256 + 'x'));
  EXPECT_THAT(encode(bpe, "dog"), ElementsAre(517));
  EXPECT_THAT(encode(bpe, "x"), ElementsAre(256 + 'x'));
  EXPECT_THAT(encode(bpe, ""), ElementsAre());
  EXPECT_THAT(encode(bpe, "\xC3\xA9"), ElementsAre(0xC3, 256 + 0xA9));
}

TEST_F(BpeTest, OfEqualPairsTheLeftmostJoins) {
  const Bpe bpe = load();
  EXPECT_THAT(encode(bpe, "aab"), ElementsAre(518, 256 + 'b'));
  EXPECT_THAT(encode(bpe, "aaab"), ElementsAre(518, 'a', 256 + 'b'));
  EXPECT_THAT(encode(bpe, "aaaaab"), ElementsAre(519, 'a', 256 + 'b'));
  EXPECT_THAT(encode(bpe, "aaa"), ElementsAre(520));
}

TEST_F(BpeTest, AWordOf64KiBTakesNoTime) {
  const Bpe bpe = load();
  const double begin = test::cpu_seconds();
  // 65,535 letters and the one that ends the word: 16,383 fours, a pair, a single and the end.
  EXPECT_EQ(encode(bpe, std::string(65536, 'a')).size(), 16386u);
  EXPECT_LT(test::cpu_seconds() - begin, 1.0);
}

TEST_F(BpeTest, CrlfAndByteOrderMarkLoad) {  // bad-input item 101
  write_file(folder_ / "merges.txt", "\xEF\xBB\xBF" + test::made_up_merges("\r\n") + "\r\n");
  write_file(folder_ / "vocab.json", "\xEF\xBB\xBF" + test::made_up_vocabulary().dump(1));
  EXPECT_THAT(encode(load(), "cats"), ElementsAre(515));
}

TEST_F(BpeTest, BrokenVocabulariesAreRefused) {  // bad-input items 99 and 103
  nlohmann::json vocabulary = test::made_up_vocabulary();
  vocabulary["cat</w>"] = 3;
  EXPECT_THAT(refusal_of_vocabulary(vocabulary.dump()), HasSubstr("id 3 is given twice"));
  vocabulary["cat</w>"] = -1;
  EXPECT_THAT(refusal_of_vocabulary(vocabulary.dump()), HasSubstr("\"cat</w>\" has the negative id -1"));
  vocabulary["cat</w>"] = 523;
  EXPECT_THAT(refusal_of_vocabulary(vocabulary.dump()), HasSubstr("must be 0 to 522"));
  vocabulary["cat</w>"] = UINT64_MAX;
  EXPECT_THAT(refusal_of_vocabulary(vocabulary.dump()), HasSubstr("over the limit"));
  for (const char* bad : {"1.5", "null", "true", "\"3\"", "[3]", "{\"a\": 3}", "1e2"}) {
    EXPECT_THAT(refusal_of_vocabulary("{\"cat\": " + std::string(bad) + "}"), HasSubstr("flat object")) << bad;
  }
  EXPECT_THAT(refusal_of_vocabulary("{\"a\": 0, \"a\": 1}"), HasSubstr("\"a\" is listed twice"));
  EXPECT_THAT(refusal_of_vocabulary("{\"a\": 0}"), HasSubstr("no token for byte"));
  for (const char* bad : {"[1]", "3", "\"a\""}) EXPECT_THAT(refusal_of_vocabulary(bad), HasSubstr("flat object"));
  for (const char* bad :
       {"", "{", "{\"a\": 0", "{\"a\": 0} x", "{\"a\" 0}", "{\"\\ud800\": 0}", "{\"\xFF\": 0}", "<!DOCTYPE html>"}) {
    EXPECT_THAT(refusal_of_vocabulary(bad), HasSubstr("not valid JSON")) << bad;
  }
  EXPECT_THAT(refusal_of_vocabulary(std::string(100'000, '[')), HasSubstr("flat object"));
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += "{\"a\":";
  EXPECT_THAT(refusal_of_vocabulary(nested), HasSubstr("flat object"));
  EXPECT_THAT(refusal_of_vocabulary(std::string_view("\xFF\xFE{\0}\0", 6)), HasSubstr("UTF-16"));
  EXPECT_THAT(refusal_of_vocabulary(std::string((16 << 20) + 1, ' ')), HasSubstr("at most"));
}

TEST_F(BpeTest, BrokenMergesAreRefused) {  // bad-input items 100 and 101
  for (const char* line : {"c", "c a t", "c  a", " c a", "c a ", "#version c a", " "}) {
    EXPECT_THAT(refusal_of_merges("#version: 0.2\nc a\n" + std::string(line) + "\nd o\n"),
                HasSubstr("merges.txt, line 3: a merge is two tokens"))
        << line;
  }
  EXPECT_THAT(refusal_of_merges("#version: 0.2\nc a\nx\xFF y\n"), HasSubstr("line 3: not UTF-8"));
  EXPECT_THAT(refusal_of_merges("q q\n"), HasSubstr("merge 1 (\"q q\") is not made of tokens of vocab.json"));
  EXPECT_THAT(refusal_of_merges("c a\nzz c\n"), HasSubstr("merge 2"));
  EXPECT_THAT(refusal_of_merges(""), HasSubstr("holds no merges"));
  EXPECT_THAT(refusal_of_merges("#version: 0.2\n"), HasSubstr("holds no merges"));
}

TEST_F(BpeTest, MissingAndOddFilesAreRefused) {
  std::filesystem::remove(folder_ / "merges.txt");
  EXPECT_THROW(load(), Error);
  std::filesystem::create_directory(folder_ / "merges.txt");
  try {
    load();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNoInput);
    EXPECT_THAT(error.what(), HasSubstr("not a regular file"));
  }
}

}  // namespace
}  // namespace sumi::text
