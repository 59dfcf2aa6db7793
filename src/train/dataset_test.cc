#include "train/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
