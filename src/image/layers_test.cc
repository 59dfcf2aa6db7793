#include "image/layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "base/fnv1a.h"
#include "base/parallel.h"
#include "image/box_blur.h"
#include "image/png.h"
#include "image/resize.h"

namespace sumi::image {
namespace {

std::string data(const std::string& name) { return std::string(SUMI_TEST_DATA) + "/" + name; }
Image picture() { return read_png(data("img2img_tiny_init_a.png")).image; }  // 192 x 128
Image mask() { return soften(read_mask({data("inpaint_blend_tiny_mask.png")}), 4.0); }

std::string digest(const Image& image) {
  Fnv1a hash;
  hash.add({reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size()});
  return hash.hex();
}

// The hashes of this file are of what PIL makes by the same steps (9.4; masks in NumPy).
TEST(BoxBlur, EqualsPils) {
  EXPECT_EQ(digest(box_blur(picture(), 0.3)), "fcd64027b94c0ea2");
  EXPECT_EQ(digest(box_blur(picture(), 2)), "e2ed2c0f4652b1ce");
  EXPECT_EQ(digest(box_blur(picture(), 7.7)), "b117aed8d2ab564a");
  EXPECT_EQ(digest(box_blur(picture(), 256)), "6b35a04c767fe310");
  EXPECT_EQ(box_blur(picture(), 0), picture());
  Image point(1, 1, 4);
  point.pixels = {1, 2, 3, 255};
  EXPECT_EQ(box_blur(point, 16), point);
}

TEST(FillUnder, EqualsTheWebUis) { EXPECT_EQ(digest(fill_under(picture(), mask())), "56878c298e319cd0"); }

TEST(FillUnder, KeepsWhatIsNotMasked) {
  const Image whole = picture(), soft = mask(), filled = fill_under(whole, soft);
  for (size_t i = 0; i < soft.pixels.size(); ++i) {
    if (soft.pixels[i] != 0) continue;
    for (size_t c = 0; c < 3; ++c) ASSERT_EQ(filled.pixels[3 * i + c], whole.pixels[3 * i + c]);
  }
  EXPECT_THROW(fill_under(whole, Image(3, 3, 1)), Error);
}

TEST(PutBack, EqualsTheWebUis) {
  EXPECT_EQ(digest(put_back(picture(), mirrored(picture()), mask())), "86a0fdee14e4a0e6");
  const Image drawn = resize(picture(), 64, 64, Filter::kLanczos);
  EXPECT_EQ(digest(put_back(picture(), drawn, mask(), {19, 0, 152, 128})), "53c0d56da4410f48");
}

TEST(PutBack, KeepsThePictureAndTheDrawingToTheByte) {
  const Image old = picture(), drawn = mirrored(old), soft = mask(), result = put_back(old, drawn, soft);
  int kept = 0, replaced = 0;
  for (size_t i = 0; i < soft.pixels.size(); ++i) {
    const Image* source = soft.pixels[i] == 0 ? &old : soft.pixels[i] >= 128 ? &drawn : nullptr;
    if (source == nullptr) continue;
    ++(source == &old ? kept : replaced);
    for (size_t c = 0; c < 3; ++c) ASSERT_EQ(result.pixels[3 * i + c], source->pixels[3 * i + c]);
  }
  EXPECT_GT(kept, 1000);
  EXPECT_GT(replaced, 1000);
  EXPECT_THROW(put_back(old, Image(8, 8), soft), Error);
  EXPECT_THROW(put_back(old, Image(8, 8), soft, {190, 0, 8, 8}), Error);
}

TEST(Layers, TheNumberOfThreadsChangesNoByte) {
  ThreadPool one(1), three(3);
  const auto made = [](ThreadPool& pool) {
    const PoolScope scope(&pool);
    return fill_under(picture(), mask());
  };
  EXPECT_EQ(made(one), made(three));
}

TEST(Extend, ContinuesTheEdges) {
  Image old(2, 2, 1);
  old.pixels = {1, 2, 3, 4};
  const Extended out = extend(old, {.left = 1, .right = 2, .top = 1});
  EXPECT_EQ(out.picture.width, 5);
  EXPECT_EQ(out.picture.height, 3);
  EXPECT_THAT(out.picture.pixels, testing::ElementsAre(1, 1, 2, 2, 2, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4));
  EXPECT_THAT(out.mask.pixels, testing::ElementsAre(255, 255, 255, 255, 255, 255, 0, 0, 255, 255, 255, 0, 0, 255, 255));
}

TEST(Extend, OverlapsWhereItGrows) {
  const Extended out = extend(Image(8, 4), {.right = 2}, 3);
  for (int64_t y = 0; y < 4; ++y)
    EXPECT_THAT(std::vector<uint8_t>(out.mask.row(y), out.mask.row(y) + 10),
                testing::ElementsAre(0, 0, 0, 0, 0, 255, 255, 255, 255, 255));
  // At most to the middle.
  EXPECT_EQ(box_of(inverted(extend(Image(8, 4), {.right = 2}, 100).mask)), (Box{0, 0, 4, 4}));
  EXPECT_EQ(extend(Image(8, 4), {}, 3).mask, Image(8, 4, 1));
  EXPECT_THROW(extend(Image(8, 4), {.left = -1}), Error);
  EXPECT_THROW(extend(Image(8, 4), {.left = int64_t{1} << 62}), Error);
  EXPECT_THROW(extend(Image(8192, 8192), {.left = 8}), Error);
}

}  // namespace
}  // namespace sumi::image
