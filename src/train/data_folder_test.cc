// Folders of pictures as people have them.
#include "train/data_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/check.h"
#include "image/png.h"
#include "tests/support/temp_folder.h"
#include "train/dataset.h"

namespace sumi::train {
namespace {

namespace fs = std::filesystem;
using test::write_file;
using testing::HasSubstr;

class DataFolder : public testing::Test {
 protected:
  void picture(const std::string& name) const {
    const std::vector<std::byte> bytes = image::encode_png(image::Image(16, 16));
    write_file(data() / name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  void text(const std::string& name, const std::string& content) const { write_file(data() / name, content); }
  fs::path data() const { return folder_ / "data"; }

  // Names from the folder on, with their captions. What was left out is in `left_out_`.
  std::map<std::string, std::string> found() {
    LeftOut left_out;
    std::map<std::string, std::string> out;
    for (const Example& example : find_examples(data(), &left_out)) {
      const std::string name = example.picture.path.lexically_relative(data()).string();
      EXPECT_TRUE(out.emplace(name, example.caption).second) << name;
    }
    left_out_ = left_out.str();
    return out;
  }
  std::string refusal() {
    try {
      found();
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

TEST_F(DataFolder, NamesThatDifferInCaseKeepTheirCaptions) {
  picture("Cat.png");
  text("Cat.txt", "large");
  picture("cat.png");
  text("cat.txt", "small");
  picture("Dog.png");
  text("Dog.TXT", "large dog");
  picture("dog.png");
  EXPECT_EQ(found(), (Found{{"Cat.png", "large"}, {"Dog.png", "large dog"}, {"cat.png", "small"}, {"dog.png", ""}}));
  EXPECT_EQ(left_out_, "");
  fs::remove(data() / "cat.png");
  found();
  EXPECT_THAT(left_out_, HasSubstr("1 captions without a picture"));
  EXPECT_THAT(left_out_, HasSubstr("cat.txt"));
}

TEST_F(DataFolder, ASecondCaptionOfAPictureIsTold) {
  picture("a.png");
  text("a.txt", "ay");
  text("a.caption", "another");
  picture("b.png");
  text("b.txt", " \n");
  text("b.caption", "bee");
  EXPECT_EQ(found(), (Found{{"a.png", "ay"}, {"b.png", "bee"}}));
  EXPECT_THAT(left_out_, HasSubstr("1 captions of pictures that have another"));
}

TEST_F(DataFolder, EveryFolderIsEnteredOnce) {
  picture("all/1.png");
  text("all/1.txt", "one");
  fs::create_directory_symlink("all", data() / "above_all");  // sorts before it
  fs::create_directory_symlink("all", data() / "best");
  fs::create_directory_symlink("..", data() / "all" / "up");
  EXPECT_EQ(found(), (Found{{"all/1.png", "one"}}));
  EXPECT_THAT(left_out_, HasSubstr("3 folders that links lead to a second time"));
}

// Thirty folders, each with two links to the next: 2^30 ways.
TEST_F(DataFolder, ChainsOfLinksDoNotMultiply) {
  for (int i = 0; i < 30; ++i) {
    const fs::path at = folder_ / ("chain" + std::to_string(i));
    fs::create_directories(at);
    for (const char* link : {"a", "b"}) fs::create_directory_symlink("../chain" + std::to_string(i + 1), at / link);
  }
  write_file(folder_ / "chain30/x.txt", "");
  picture("a.png");
  fs::create_directory_symlink("../chain0", data() / "chain");
  EXPECT_EQ(found().size(), 1u);
  EXPECT_THAT(left_out_, HasSubstr("30 folders that links lead to a second time"));
}

TEST_F(DataFolder, LinkedFilesAreUsed) {
  picture("all/1.png");
  fs::create_symlink("all/1.png", data() / "1.png");
  EXPECT_EQ(found().size(), 2u);
  EXPECT_EQ(left_out_, "");
}

TEST_F(DataFolder, MetadataMayNameAFolderByALink) {
  picture("all/1.png");
  fs::create_directory_symlink("all", data() / "best");
  text("metadata.jsonl", R"({"file_name": "best/1.png", "text": "one"})");
  EXPECT_EQ(found(), (Found{{"all/1.png", "one"}}));
}

TEST_F(DataFolder, WhatMetadataNamesIsTakenWhateverItsEnding) {
  for (const char* name : {"1.jfif", "2.jpe", "3", "4.data", ".5.png"}) picture(name);
  text("metadata.jsonl",
       "{\"file_name\": \"1.jfif\", \"text\": \"1\"}\n{\"file_name\": \"2.jpe\", \"text\": \"2\"}\n"
       "{\"file_name\": \"3\", \"text\": \"3\"}\n{\"file_name\": \"4.data\", \"text\": \"4\"}\n"
       "{\"file_name\": \".5.png\", \"text\": \"5\"}\n");
  EXPECT_EQ(found(), (Found{{".5.png", "5"}, {"1.jfif", "1"}, {"2.jpe", "2"}, {"3", "3"}, {"4.data", "4"}}));
  EXPECT_EQ(left_out_, "");
}

TEST_F(DataFolder, OtherPicturesAreTold) {
  for (const char* name : {"a.jfif", "b.jpe", "c.ico", "d.ppm", "e.TIFF"}) picture(name);
  EXPECT_EQ(found(), (Found{{"a.jfif", ""}, {"b.jpe", ""}}));
  EXPECT_THAT(left_out_, HasSubstr("3 pictures of kinds that are not read"));
}

TEST_F(DataFolder, PicturesThatMetadataDoesNotNameAreTold) {
  picture("a.png");
  picture("own.png");
  text("own.txt", "its own");
  picture("masks/a.png");
  picture("listed.png");
  text("metadata.jsonl",
       "{\"file_name\": \"a.png\", \"text\": \"before\"}\n{\"file_name\": \"a.png\", \"text\": \"ay\"}\n"
       "{\"file_name\": \"listed.png\"}\n");
  EXPECT_EQ(found(), (Found{{"a.png", "ay"}, {"listed.png", ""}, {"own.png", "its own"}}));
  EXPECT_THAT(left_out_, HasSubstr("1 pictures not named in the metadata.jsonl"));
  EXPECT_THAT(left_out_, HasSubstr("1 captions of pictures that have another"));
  EXPECT_THAT(left_out_, HasSubstr("masks/a.png"));
}

TEST_F(DataFolder, ManyMissingOnesAreRefused) {
  std::string lines;
  for (int i = 0; i < 8; ++i) {
    if (i < 6) picture(std::to_string(i) + ".png");
    lines += "{\"file_name\": \"" + std::to_string(i) + ".png\", \"text\": \"x\"}\n";
  }
  text("metadata.jsonl", lines);
  EXPECT_EQ(found().size(), 6u);  // a quarter is missing
  EXPECT_THAT(left_out_, HasSubstr("2 named in a metadata.jsonl and missing"));
  fs::remove(data() / "5.png");
  const std::string why = refusal();
  EXPECT_THAT(why, HasSubstr("3 of the 8 pictures that metadata.jsonl names are missing"));
  EXPECT_THAT(why, HasSubstr("5.png"));
}

TEST_F(DataFolder, AnEmptyTextDoesNotHideTheCaption) {
  for (const char* name : {"a.png", "b.png", "c.png"}) picture(name);
  text("metadata.jsonl",
       "{\"file_name\": \"a.png\", \"caption\": \"a cat\", \"text\": \" \"}\n"
       "{\"file_name\": \"b.png\", \"caption\": \"a cat\", \"text\": \"a dog \"}\n"
       "{\"file_name\": \"c.png\", \"caption\": \"a cat\", \"text\": null}\n");
  EXPECT_EQ(found(), (Found{{"a.png", "a cat"}, {"b.png", "a dog"}, {"c.png", "a cat"}}));
}

TEST_F(DataFolder, LinesOfMetadataHaveABound) {
  picture("a.png");
  const std::string entry = R"({"file_name": "a.png", "text": "ay"})";
  text("metadata.jsonl", entry + std::string((1 << 20) - entry.size(), ' ') + "\r\n\n");
  EXPECT_THAT(refusal(), HasSubstr("line 1: is longer than 1 MiB"));
  text("metadata.jsonl", "\n" + entry + std::string(2 << 20, ' '));
  EXPECT_THAT(refusal(), HasSubstr("line 2: is longer than 1 MiB"));
  for (const char* end : {"", "\n"}) {
    text("metadata.jsonl", "\r\n" + entry + std::string((1 << 20) - entry.size(), ' ') + end);
    EXPECT_EQ(found(), (Found{{"a.png", "ay"}}));
  }
}

}  // namespace
}  // namespace sumi::train
