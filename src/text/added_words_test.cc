#include "text/added_words.h"

#include <gtest/gtest.h>

#include "tests/support/cpu_seconds.h"

namespace sumi::text {
namespace {

std::string found(const AddedWords& words, std::string_view text) {
  std::string all;
  for (AddedWords::Found at = words.find(text, 0); at.word != nullptr; at = words.find(text, at.end))
    all += std::to_string(at.begin) + ":" + at.word->word + " ";
  return all;
}

TEST(AddedWords, TheLongestIsFound) {
  AddedWords words;
  words.add({.word = "<cat>"});
  words.add({.word = "<cat>s"});
  words.add({.word = "dog"});
  EXPECT_EQ(found(words, "a <cat>s, <cat> and hotdog"), "2:<cat>s 10:<cat> 23:dog ");
  EXPECT_EQ(found(words, ""), "");
  EXPECT_EQ(found(words, "<CAT>"), "");
}

TEST(AddedWords, WholeWordsInAnyCase) {
  AddedWords words;
  words.add({.word = "my_cat", .whole = true, .any_case = true});
  EXPECT_EQ(found(words, "My_Cat, (my_cat:1.2) my_cat2 xmy_cat MY_CAT"), "0:my_cat 9:my_cat 37:my_cat ");
  EXPECT_EQ(found(words, "my_caté"), "");
}

TEST(AddedWords, TakeLinearTime) {
  AddedWords words;
  for (int i = 0; i < 500; ++i) words.add({.word = "a" + std::string(static_cast<size_t>(i), 'a') + "b"});
  const std::string text(65536, 'c');
  const double begin = test::cpu_seconds();
  EXPECT_EQ(found(words, text), "");
  EXPECT_LT(test::cpu_seconds() - begin, 1.0);
}

}  // namespace
}  // namespace sumi::text
