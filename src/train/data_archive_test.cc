// Tar archives of pictures as people have them.
#include "train/data_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/check.h"
#include "tests/support/tar_file.h"
#include "tests/support/temp_folder.h"
#include "train/dataset.h"

namespace sumi::train {
namespace {

using test::tar_entry;
using test::write_file;
using testing::HasSubstr;

class DataArchive : public testing::Test {
 protected:
  // Names of the pictures in an archive of `entries`, with their captions. What was left out is in `left_out_`.
  std::map<std::string, std::string> found(const std::string& entries) {
    write_file(folder_ / "s.tar", entries + test::tar_end());
    LeftOut left_out;
    std::map<std::string, std::string> out;
    const std::string front = (folder_ / "s.tar").string() + ", ";
    for (const Example& example : find_examples(folder_.path(), &left_out)) {
      EXPECT_TRUE(example.name.starts_with(front)) << example.name;
      out[example.name.substr(front.size())] = example.caption;
    }
    left_out_ = left_out.str();
    return out;
  }
  std::string refusal(const std::string& entries) {
    try {
      found(entries);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
      return error.what();
    }
    return "nothing was refused";
  }

  using Found = std::map<std::string, std::string>;
  test::TempFolder folder_;
  std::string left_out_;
};

TEST_F(DataArchive, WhatIsLeftOutIsTold) {
  write_file(folder_ / "inner/t.tar", tar_entry("z.png", "") + test::tar_end());
  const Found want{{"./x/a.png", "ay"}, {"b.png", ""}};
  EXPECT_EQ(found(tar_entry("./x/a.png", "1") + tar_entry("./x/a.txt", "ay") + tar_entry("b.png", "1") +
                  tar_entry("b.jpg", "2") + tar_entry("c.txt", "see") + tar_entry("d.cls", "4") +
                  tar_entry("e.tif", "5") + tar_entry("._a.png", "6") + tar_entry(".git/a.png", "7") +
                  tar_entry("b.png", "later") + tar_entry("b.negative.txt", "8")),
            want);
  for (const char* part :
       {"1 second pictures of one key", "b.jpg", "1 captions without a picture", "c.txt", "1 samples without a picture",
        "s.tar, d", "1 pictures of kinds that are not read", "e.tif", "2 hidden files and folders", "._a.png",
        "1 entries that a later one of the same name replaces", "1 texts under other names than KEY.txt",
        "1 archives in folders further down", "t.tar"})
    EXPECT_THAT(left_out_, HasSubstr(part));
  EXPECT_EQ(found(tar_entry("a.png", "1") + tar_entry("a.txt", "ay")), (Found{{"a.png", "ay"}}));
  EXPECT_EQ(left_out_.find("samples"), std::string::npos);
}

TEST_F(DataArchive, CaptionsAreReadAsThoseInFolders) {
  EXPECT_EQ(found(tar_entry("a.png", "1") + tar_entry("a.TXT", "\xEF\xBB\xBF ay\r\n") + tar_entry("b.png", "1") +
                  tar_entry("b.caption", "bee") + tar_entry("c.png", "1") +
                  tar_entry("c.json", R"({"caption": "a cat", "text": " "})") + tar_entry("d.png", "1") +
                  tar_entry("d.txt", "\n") + tar_entry("d.json", R"({"caption": "a cat", "text": " a dog\n"})")),
            (Found{{"a.png", "ay"}, {"b.png", "bee"}, {"c.png", "a cat"}, {"d.png", "a dog"}}));
  EXPECT_EQ(left_out_, "");
  EXPECT_EQ(found(tar_entry("a.png", "1") + tar_entry("a.txt", "ay") + tar_entry("a.caption", "other")),
            (Found{{"a.png", "ay"}}));
  EXPECT_THAT(left_out_, HasSubstr("1 captions of pictures that have another"));
}

TEST_F(DataArchive, CaptionsThatCannotBeReadAreRefused) {
  const std::string a = tar_entry("a.png", "1");
  EXPECT_THAT(refusal(a + tar_entry("a.txt", "gr\xFCn")), HasSubstr("s.tar, a.txt is not UTF-8, from byte 2"));
  EXPECT_THAT(refusal(a + tar_entry("a.txt", std::string("\xFF\xFE"
                                                         "a\0",
                                                         4))),
              HasSubstr("s.tar, a.txt is UTF-16"));
  EXPECT_THAT(refusal(a + tar_entry("a.txt", std::string(70000, 'x'))), HasSubstr("longer than 64 KiB"));
  EXPECT_THAT(refusal(a + tar_entry("a.json", "{\"text\": \"gr\xFCn\"}")), HasSubstr("s.tar, a.json: not UTF-8"));
  EXPECT_THAT(refusal(a + tar_entry("a.json", std::string(1 << 20, '['))), HasSubstr("s.tar, a.json: "));
}

}  // namespace
}  // namespace sumi::train
