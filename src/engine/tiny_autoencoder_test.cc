// Jobs on a model whose autoencoder, or whose previews' decoder, is a tiny one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "image/png.h"
#include "tests/support/taesd_files.h"
#include "tests/support/tiny_engine.h"

namespace sumi {
namespace {

using testing::HasSubstr;

class TinyAutoencoder : public testing::Test {
 protected:
  TinyAutoencoder() {
    tools::write_byte_vocabulary(folder_.path());
    for (const std::string half : {"decoder", "encoder"})
      io::write_safetensors(file(half), test::tiny_autoencoder(half));
  }

  std::filesystem::path file(const std::string& half) const { return folder_ / ("taesd_" + half + ".safetensors"); }
  ModelOptions options() const { return test::tiny_options(folder_.path()); }
  Model with_vae() {
    ModelOptions o = options();
    o.vae = file("decoder").string();
    return engine_.open(o);
  }
  static Request small() { return {.prompts = {"a cat"}, .width = 64, .height = 64, .steps = 3, .seed = 7}; }

  const test::TempFolder folder_;
  Engine engine_{{.threads = 2}};
};

TEST_F(TinyAutoencoder, DrawsAndReadsPictures) {
  const Model model = with_vae(), full = engine_.open(options());
  const Image picture = test::draw(model, small())[0].image;
  EXPECT_EQ(picture.width, 64);
  EXPECT_NE(picture, test::draw(full, small())[0].image);
  const std::filesystem::path first = folder_ / "first.png";
  image::write_png(first, picture);
  Request again = small();
  again.width = again.height = {};
  again.init = first.string();
  const Image redrawn = test::draw(model, again)[0].image;
  EXPECT_EQ(redrawn.width, 64);
  EXPECT_NE(redrawn, picture);
  again.tiled_decode = true;  // one tile
  EXPECT_EQ(redrawn, test::draw(model, again)[0].image);
}

TEST_F(TinyAutoencoder, WithoutAnEncoderPicturesAreRefused) {
  std::filesystem::remove(file("encoder"));
  const Model model = with_vae();
  const std::filesystem::path first = folder_ / "first.png";
  image::write_png(first, test::draw(model, small())[0].image);
  Request again = small();
  again.width = again.height = {};
  again.init = first.string();
  try {
    test::draw(model, again);
    FAIL() << "drawn";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_THAT(error.what(), HasSubstr("put taesd_encoder beside"));
  }
}

// Before a step is made.
TEST_F(TinyAutoencoder, WithoutAnEncoderASecondPassOverPixelsIsRefused) {
  std::filesystem::remove(file("encoder"));
  const Model model = with_vae();
  Request large = small();
  large.hires = Hires{.scale = 1.5, .upscaler = "lanczos"};
  try {
    model.prepare(large);
    FAIL() << "prepared";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_THAT(error.what(), HasSubstr("put taesd_encoder beside"));
  }
  large.hires->upscaler = "latent";
  EXPECT_EQ(test::draw(model, large)[0].image.width, 96);
}

TEST_F(TinyAutoencoder, PreviewsHaveFullSize) {
  ModelOptions o = options();
  o.preview_vae = file("decoder").string();
  const Model model = engine_.open(o);
  std::vector<Preview> previews;
  std::vector<Picture> pictures;
  model.prepare(small()).run({.preview = [&](Preview&& preview) { previews.push_back(std::move(preview)); },
                              .picture = [&](Picture&& picture) { pictures.push_back(std::move(picture)); }});
  ASSERT_EQ(previews.size(), 3u);
  // The last preview is what the tiny decoder makes of the last latent, which sampling ends with.
  EXPECT_EQ(previews[2].image, test::draw(with_vae(), small())[0].image);
  EXPECT_EQ(pictures[0].image, test::draw(engine_.open(options()), small())[0].image);  // looking does not change it
}

TEST_F(TinyAutoencoder, ThePreviewsFileIsCheckedWhenTheModelIsOpened) {
  ModelOptions o = options();
  o.preview_vae = o.path;
  const auto error = [&] {
    try {
      engine_.open(o);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_THAT(error(), HasSubstr("is a full autoencoder"));
  std::filesystem::remove(file("decoder"));
  o.preview_vae = file("encoder").string();
  EXPECT_THAT(error(), HasSubstr("no decoder"));
  o.preview_vae = file("decoder").string();
  EXPECT_THAT(error(), HasSubstr("taesd_decoder.safetensors"));
}

}  // namespace
}  // namespace sumi
