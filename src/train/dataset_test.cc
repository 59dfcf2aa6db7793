#include "train/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>
#include <set>

#include "image/png.h"
#include "tests/support/relative_l2.h"
#include "tests/support/tar_file.h"
#include "tests/support/temp_folder.h"
#include "train/picture_batches.h"

namespace sumi::train {
namespace {

using test::tar_entry;
using test::write_file;
using testing::HasSubstr;

image::Image plain(int64_t width, int64_t height, uint8_t value) {
  image::Image picture(width, height);
  std::fill(picture.pixels.begin(), picture.pixels.end(), value);
  return picture;
}

std::string png(uint8_t value) {
  const std::vector<std::byte> bytes = image::encode_png(plain(16, 16, value));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(FindExamples, ReadsWebdatasetShards) {
  const test::TempFolder folder;
  write_file(folder / "00001.tar", tar_entry("x/c.jpg.png", png(30)) + tar_entry("x/c.json", R"({"caption": "cee"})") +
                                       tar_entry("lonely.txt", "no picture") + test::tar_end());
  write_file(folder / "00000.tar", tar_entry("b.txt", "bee\n") + tar_entry("b.png", png(20)) +
                                       tar_entry("a.png", png(10)) + tar_entry("d.webp", "broken") + test::tar_end());
  const std::vector<Example> examples = find_examples(folder.path());
  ASSERT_EQ(examples.size(), 4u);
  EXPECT_EQ(examples[0].name, (folder / "00000.tar").string() + ", a.png");
  EXPECT_EQ(examples[0].caption, "");
  EXPECT_EQ(examples[1].caption, "bee");
  EXPECT_EQ(examples[3].caption, "cee");
  EXPECT_EQ(load_picture(examples[1]).picture, plain(16, 16, 20));
  EXPECT_EQ(load_picture(examples[3]).picture, plain(16, 16, 30));
  const LoadedPicture broken = load_picture(examples[2]);
  EXPECT_TRUE(broken.broken);
  EXPECT_THAT(broken.why, HasSubstr("00000.tar, d.webp"));
  EXPECT_EQ(find_examples(folder / "00001.tar").size(), 1u);
}

TEST(FindExamples, PrefersMetadataAndRefusesEmptyPlaces) {
  const test::TempFolder folder;
  EXPECT_THROW(find_examples(folder.path()), Error);
  EXPECT_THROW(find_examples(folder / "none"), Error);
  write_file(folder / "a.png", png(1));
  write_file(folder / "a.txt", "beside it\n");
  ASSERT_EQ(find_examples(folder.path()).size(), 1u);
  EXPECT_EQ(find_examples(folder.path())[0].caption, "beside it");
  write_file(folder / "metadata.jsonl", R"({"file_name": "a.png", "text": "in the list"})");
  EXPECT_EQ(find_examples(folder.path())[0].caption, "in the list");
  write_file(folder / "metadata.jsonl", R"({"file_name": "../a.png"})");
  EXPECT_THROW(find_examples(folder.path()), Error);
}

// Captions under every name that programs write them.
TEST(FindExamples, CaptionsByEveryName) {
  const test::TempFolder folder;
  for (const char* name : {"a.png", "B.PNG", "c.png", "d.png", "x/e.png"}) write_file(folder / name, png(1));
  write_file(folder / "a.txt", "\xEF\xBB\xBF ay\r\n");
  write_file(folder / "B.TXT", "bee");
  write_file(folder / "c.caption", "see");
  write_file(folder / "d.png.txt", "dee");
  write_file(folder / "x/metadata.jsonl", R"({"file_name": "./e.png", "caption": " ee\n"})");
  std::map<std::string, std::string> captions;
  for (const Example& example : find_examples(folder.path()))
    captions[example.picture.path.filename().string()] = example.caption;
  EXPECT_EQ(captions, (std::map<std::string, std::string>{
                          {"a.png", "ay"}, {"B.PNG", "bee"}, {"c.png", "see"}, {"d.png", "dee"}, {"e.png", "ee"}}));
}

TEST(FindExamples, WhatIsLeftOutIsTold) {
  const test::TempFolder folder;
  write_file(folder / "a.png", png(1));
  write_file(folder / "a.txt", "ay");
  for (const char* hidden : {".thumbnails/t.png", ".b.png", "@eaDir/a.png/THUMB.png", "__MACOSX/._a.png"})
    write_file(folder / hidden, png(2));
  write_file(folder / "c.tif", "x");
  write_file(folder / "d.txt", "no picture");
  write_file(folder / "metadata.jsonl", R"({"file_name": "gone.png", "text": "x"})");
  std::filesystem::create_symlink(folder.path(), folder / "loop");
  std::filesystem::create_symlink("nowhere", folder / "dangling.png");
  LeftOut left_out;
  const std::vector<Example> examples = find_examples(folder.path(), &left_out);
  ASSERT_EQ(examples.size(), 1u);
  const std::vector<std::string> lines = describe_examples(examples, left_out, 1);
  ASSERT_EQ(lines.size(), 2u);
  const std::string told = lines[0] + "\n" + lines[1];
  for (const char* part : {"1 pictures, 1 with captions; 1 captions are cut", "4 hidden files and folders", "c.tif",
                           "captions without a picture", "gone.png", "lead to a second time", "dangling.png"})
    EXPECT_THAT(told, HasSubstr(part));
  EXPECT_EQ(describe_examples(examples, {})[1], "left out: nothing");
}

TEST(FindExamples, LinkedFoldersAreEntered) {
  const test::TempFolder folder;
  write_file(folder / "data/a.png", png(1));
  write_file(folder / "real/b.png", png(2));
  write_file(folder / "real/b.txt", "bee");
  std::filesystem::create_symlink("../real", folder / "data/x");
  const std::vector<Example> examples = find_examples(folder / "data");
  ASSERT_EQ(examples.size(), 2u);
  EXPECT_EQ(examples[1].caption, "bee");
}

TEST(FindExamples, CaptionsThatCannotBeReadAreNoEmptyOnes) {
  const auto refusal = [](const test::TempFolder& folder) -> std::string {
    try {
      find_examples(folder.path());
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  };
  const auto with_caption = [&](const std::string& bytes) {
    const test::TempFolder folder;
    write_file(folder / "a.png", png(1));
    write_file(folder / "a.txt", bytes);
    return refusal(folder);
  };
  EXPECT_THAT(with_caption(std::string("\xFF\xFE"
                                       "a\0",
                                       4)),
              HasSubstr("UTF-16"));
  EXPECT_THAT(with_caption("gr\xFCn"), HasSubstr("not UTF-8, from byte 2"));
  EXPECT_THAT(with_caption(std::string(70000, 'x')), HasSubstr("longer than 64 KiB"));
  const test::TempFolder folder;
  write_file(folder / "a.png", png(1));
  std::filesystem::create_symlink("a.txt", folder / "a.txt");  // of itself
  EXPECT_THAT(refusal(folder), HasSubstr("is no file"));
  std::filesystem::remove(folder / "a.txt");
  std::filesystem::create_directory(folder / "a.txt");
  EXPECT_THAT(refusal(folder), HasSubstr("but a folder"));
  std::filesystem::remove(folder / "a.txt");
  ASSERT_EQ(mkfifo((folder / "a.txt").c_str(), 0666), 0);
  EXPECT_THAT(refusal(folder), HasSubstr("is no file"));
  std::filesystem::remove(folder / "a.txt");
  std::filesystem::create_directory(folder / "metadata.jsonl");
  EXPECT_THAT(refusal(folder), HasSubstr("metadata.jsonl: is not a file"));
  std::filesystem::remove(folder / "metadata.jsonl");
  ASSERT_EQ(mkfifo((folder / "metadata.jsonl").c_str(), 0666), 0);
  EXPECT_THAT(refusal(folder), HasSubstr("metadata.jsonl: is not a file"));
}

TEST(FindExamples, ArchivesBesidePicturesAreRefused) {
  const test::TempFolder folder;
  write_file(folder / "a.png", png(1));
  write_file(folder / "old.tar", tar_entry("b.png", png(2)) + test::tar_end());
  EXPECT_THROW(find_examples(folder.path()), Error);
}

TEST(CutSquare, ScalesTheShorterSideAndCutsWhereItIsTold) {
  image::Image picture(40, 20);  // black left of the middle, white right of it
  for (int64_t y = 0; y < 20; ++y) std::fill(picture.row(y) + 20 * 3, picture.row(y) + 40 * 3, uint8_t{255});
  EXPECT_EQ(cut_square(picture, {.size = 20, .across = 0.0}), plain(20, 20, 0));
  EXPECT_EQ(cut_square(picture, {.size = 20, .across = 1.0}), plain(20, 20, 255));
  const image::Image middle = cut_square(picture, {.size = 20});
  EXPECT_EQ(middle.row(3)[0], 0);
  EXPECT_EQ(middle.row(3)[19 * 3], 255);
  const image::Image half = cut_square(picture, {.size = 10, .side = 8, .across = 1.0, .down = 1.0});
  EXPECT_EQ(half, plain(8, 8, 255));
  EXPECT_EQ(cut_square(plain(3, 300, 7), {.size = 16}), plain(16, 16, 7));
}

TEST(PictureBatches, FollowFromTheSeedAndPassOverBrokenOnes) {
  const test::TempFolder folder;
  for (int i = 0; i < 5; ++i) write_file(folder / (std::to_string(i) + ".png"), i == 3 ? "broken" : png(50 * i));
  const Ranks& ranks = Ranks::world();
  const PictureBatchOptions options{.size = 16, .crop = 8, .flip = true, .share = BatchShare(ranks, 2), .seed = 7};
  PictureBatches batches(find_examples(folder.path()), options), again(find_examples(folder.path()), options);
  std::set<float> seen;
  for (int64_t n = 0; n < 5; ++n) {
    const Tensor batch = batches(n);
    ASSERT_EQ(batch.shape(), (Shape{2, 8, 8, 3}));
    for (int64_t i = 0; i < 2; ++i) seen.insert(batch.rows(i, i + 1).host<float>()[0]);
  }
  EXPECT_EQ(seen.size(), 4u);
  EXPECT_EQ(batches.skipped(), 1);
  // From any batch on.
  const Tensor third = again(3), same = batches(3);
  EXPECT_TRUE(test::same_bytes(third, same));
}

TEST(PictureBatches, RefuseAFolderOfBrokenOnes) {
  const test::TempFolder folder;
  write_file(folder / "a.png", "broken");
  PictureBatches batches(find_examples(folder.path()), {.size = 16, .share = BatchShare(Ranks::world(), 2), .seed = 7});
  EXPECT_THROW(batches(0), Error);
}

}  // namespace
}  // namespace sumi::train
