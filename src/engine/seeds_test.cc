// Pictures with a seed each (Request::seeds): drawn together, they are what each is alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/check.h"
#include "engine/resolve.h"
#include "image/png.h"
#include "tests/support/tiny_engine.h"

namespace sumi::engine {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Seeds : public testing::Test {
 protected:
  struct Vocabulary : test::TempFolder {
    Vocabulary() { tools::write_byte_vocabulary(path()); }
  };

  static Request three(const std::string& sampler) {
    return {.prompts = {"a cat", "a (red:1.3) dog", "a bird"},
            .negative_prompt = "blurry",
            .batch = 3,
            .width = 32,
            .height = 64,
            .sampler = sampler,
            .steps = 3,
            .seeds = {7, 3, 99}};
  }

  // A picture of waves, and a mask whose edge runs across it.
  void begin_from_picture(Request& request) {
    Image picture(32, 64), mask(32, 64);
    for (size_t i = 0; i < picture.pixels.size(); ++i) {
      const size_t x = i / 3 % 32, y = i / 96;
      picture.pixels[i] = static_cast<uint8_t>(40 + 50 * (i % 3) + (5 * x + 3 * y) % 64);
      mask.pixels[i] = x + y < 48 ? 255 : 0;
    }
    image::write_png(folder_ / "in.png", picture);
    image::write_png(folder_ / "mask.png", mask);
    request.width = request.height = std::nullopt;
    request.init = (folder_ / "in.png").string();
    request.mask = (folder_ / "mask.png").string();
    request.steps = 5;
    request.strength = 0.7;
  }

  // Draws the request, whose seeds are one for each prompt, and each of its pictures alone, with both seedings.
  std::vector<Picture> expect_as_alone(const Request& request) {
    std::vector<Picture> together = test::draw(model_, request);
    EXPECT_EQ(together.size(), request.prompts.size());
    for (size_t i = 0; i < together.size(); ++i) {
      Request alone = request;
      alone.prompts = {request.prompts[i]};
      alone.seeds.clear();
      alone.seed = request.seeds[i];
      alone.batch.reset();
      EXPECT_EQ(together[i].seed, request.seeds[i]);
      for (const char* seeding : {"run", "picture"}) {
        alone.seeding = seeding;
        const Picture own = test::draw(model_, alone).at(0);
        EXPECT_EQ(own.image, together[i].image) << seeding << " " << i;
        EXPECT_EQ(own.parameters, together[i].parameters) << seeding << " " << i;
        EXPECT_EQ(own.prompt, together[i].prompt);
      }
    }
    return together;
  }

  static std::string refusal(const std::function<void(Request&)>& change) {
    Request request{.prompts = {"a", "b"}, .seeds = {1, 2}};
    change(request);
    try {
      check_request(request);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "";
  }

  Vocabulary folder_;
  sumi::Engine engine_{{.threads = 2}};
  Model model_ = engine_.open(test::tiny_options(folder_.path()));
};

TEST_F(Seeds, EachIsItsPicturesAlone) {
  for (const char* sampler : {"ddim", "dpmpp_2m", "euler_ancestral", "dpmpp_sde"}) {
    SCOPED_TRACE(sampler);
    const std::vector<Picture> drawn = expect_as_alone(three(sampler));
    EXPECT_FALSE(drawn.at(0).image == drawn.at(1).image);
  }
  Request cuda = three("euler_ancestral");
  cuda.rng = "cuda";
  expect_as_alone(cuda);
  Request noisy = three("ddim");
  noisy.eta = 0.5;
  expect_as_alone(noisy);
}

TEST_F(Seeds, AreDrawnInOneBatch) {
  Job job = model_.prepare(three("ddim"));
  EXPECT_EQ(job.settings().batch, 3);
  EXPECT_EQ(job.settings().seed, 7u);
  EXPECT_THAT(job.settings().seeds, ElementsAre(7u, 3u, 99u));
  EXPECT_EQ(job.settings().seeding, "picture");
  std::vector<int64_t> batches;
  job.run({.step = [&](const Step& step) { batches.push_back(step.batches); }});
  EXPECT_THAT(batches, AllOf(Not(IsEmpty()), Each(1)));
  EXPECT_THAT(model_.prepare({.prompts = {"a"}, .seed = 5}).settings().seeds, IsEmpty());
}

TEST_F(Seeds, EqualOnesDrawEqualPictures) {
  Request request = three("euler_ancestral");
  request.prompts = {"a cat", "a cat", "a cat"};
  request.seeds = {5, UINT64_MAX, 5};
  const std::vector<Picture> drawn = expect_as_alone(request);
  EXPECT_EQ(drawn.at(0).image, drawn.at(2).image);
  EXPECT_FALSE(drawn.at(0).image == drawn.at(1).image);
}

TEST_F(Seeds, OfPicturesFromAPictureWithAMask) {
  struct Way {
    const char *sampler, *convention;
    std::optional<std::string> content;
  };
  for (const Way& way : {Way{"ddim", "original", {}}, Way{"ddim", "diffusers", {}}, Way{"dpmpp_2m", "webui", {}},
                         Way{"euler_ancestral", "webui", "noise"}, Way{"dpmpp_sde", "webui", {}}}) {
    SCOPED_TRACE(std::string(way.sampler) + " " + way.convention);
    Request request = three(way.sampler);
    begin_from_picture(request);
    request.convention = way.convention;
    request.mask_content = way.content;
    const std::vector<Picture> drawn = expect_as_alone(request);
    EXPECT_FALSE(drawn.at(0).image == drawn.at(1).image);
  }
}

TEST_F(Seeds, OfPicturesWithASecondPass) {
  Request request = three("euler_ancestral");
  request.hires = Hires{.scale = 1.5, .steps = 2};
  expect_as_alone(request);
}

// The negative prompt makes all texts of the first pass equally long, and the second pass has none.
TEST_F(Seeds, APromptIsNotPaddedInTheSecondPass) {
  Request request = three("ddim");
  std::string text;
  for (int i = 0; i < 100; ++i) text += "a ";
  request.prompts[1] = text;
  request.negative_prompt = text;
  request.syntax = "weighted";
  request.hires = Hires{.scale = 1.5, .steps = 2, .guidance = 1.0};
  expect_as_alone(request);
}

// Prompts, then copies, then iterations; and processes that divide the batches.
TEST_F(Seeds, AreInTheOrderOfDrawing) {
  Request request = three("euler_ancestral");
  request.prompts = {"a", "b"};
  request.copies = 2;
  request.iterations = 2;
  request.seeds = {11, 22, 33, 44, 55, 66, 77, 88};
  const std::vector<Picture> whole = test::draw(model_, request);
  ASSERT_EQ(whole.size(), 8u);
  for (size_t i = 0; i < 8; ++i) {
    Request alone = three("euler_ancestral");
    alone.prompts = {i / 2 % 2 == 0 ? "a" : "b"};
    alone.seeds = {request.seeds[i]};
    const Picture own = test::draw(model_, alone).at(0);
    EXPECT_EQ(whole[i].seed, request.seeds[i]);
    EXPECT_EQ(whole[i].prompt, alone.prompts[0]);
    EXPECT_EQ(whole[i].image, own.image) << i;
    EXPECT_EQ(whole[i].parameters, own.parameters) << i;
  }
  size_t seen = 0;
  request.share_of = 2;
  for (request.share = 0; request.share < 2; ++request.share) {
    for (const Picture& picture : test::draw(model_, request)) {
      const Picture& expected = whole.at(static_cast<size_t>(picture.number));
      EXPECT_EQ(picture.seed, expected.seed);
      EXPECT_EQ(picture.image, expected.image) << picture.number;
      ++seen;
    }
  }
  EXPECT_EQ(seen, 8u);
}

// The text of a picture names no embedding of another's prompt.
TEST_F(Seeds, EmbeddingsAreToldOfThePictureThatUsesThem) {
  const std::filesystem::path words = folder_ / "words";
  std::filesystem::create_directories(words);
  io::write_safetensors(words / "my_cat.safetensors", {{"emb_params", test::random({3, 64})}});
  io::write_safetensors(words / "my_dog.safetensors", {{"emb_params", test::random({1, 64})}});
  io::write_safetensors(words / "bad.safetensors", {{"emb_params", test::random({2, 64})}});
  Request request = three("ddim");
  request.prompts = {"a my_dog", "a bird", "a <my_cat> and my_dog"};
  request.negative_prompt = "bad";
  request.embedding_folder = words.string();
  const std::vector<Picture> drawn = expect_as_alone(request);
  EXPECT_EQ(model_.prepare(request).settings().embeddings.size(), 3u);
  EXPECT_THAT(drawn.at(0).parameters, AllOf(HasSubstr("my_dog.safetensors"), Not(HasSubstr("my_cat.safetensors"))));
  EXPECT_THAT(drawn.at(1).parameters, AllOf(HasSubstr("bad.safetensors"), Not(HasSubstr("my_dog.safetensors"))));
}

TEST_F(Seeds, WhatTheyExclude) {
  EXPECT_EQ(refusal([](Request&) {}), "");
  EXPECT_EQ(refusal([](Request& r) { r.seeding = "picture"; }), "");
  EXPECT_EQ(refusal([](Request& r) { r.subseed_strength = 0.0; }), "");
  EXPECT_THAT(refusal([](Request& r) { r.seed = 1; }), HasSubstr("`seed` and `seeds` exclude one another"));
  EXPECT_THAT(refusal([](Request& r) { r.seeding = "run"; }), HasSubstr("`seeds` need `seeding` picture"));
  EXPECT_THAT(refusal([](Request& r) { r.fixed_noise = true; }), HasSubstr("`fixed_noise` is for `seeding` run"));
  EXPECT_THAT(refusal([](Request& r) { r.subseed = 1; }), HasSubstr("`seeds` and `subseed` exclude one another"));
  EXPECT_THAT(refusal([](Request& r) { r.subseed_strength = 0.5; }), HasSubstr("`seeds` and `subseed`"));
}

TEST_F(Seeds, AreAsManyAsPictures) {
  EXPECT_THAT(
      refusal([](Request& r) { r.seeds.push_back(3); }),
      HasSubstr("`seeds` must have one for each picture, 2 (prompts times `copies` times `iterations`), not 3"));
  EXPECT_THAT(refusal([](Request& r) { r.copies = 2; }), HasSubstr("each picture, 4 "));
  EXPECT_THAT(refusal([](Request& r) { r.iterations = 3; }), HasSubstr("each picture, 6 "));
  EXPECT_THAT(refusal([](Request& r) { r.prompts.pop_back(); }), HasSubstr("each picture, 1 "));
  EXPECT_EQ(refusal([](Request& r) {
              r.copies = r.iterations = 2;
              r.seeds.resize(8);
            }),
            "");
}

}  // namespace
}  // namespace sumi::engine
