// The settings that picture files carry, as requests.
#include "engine/like.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "engine/resolve.h"
#include "image/metadata.h"
#include "image/png.h"
#include "tests/support/cpu_seconds.h"
#include "tests/support/like_of_text.h"

namespace sumi::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// sumi's own

Settings drawn() {
  return {.model = "/home/me/models/tiny, v1: a.safetensors",
          .width = 64,
          .height = 128,
          .sampler = "dpmpp_2m",
          .schedule = "karras",
          .steps = 7,
          .scale = 0.1 + 0.2,
          .seed = 18446744073709551615u,
          .seeding = "picture",
          .rng = "cuda",
          .syntax = "exact",
          .negative_prompt = "a: b,\n\"c\"",
          .pictures = 1,
          .precision = "f16"};
}

Request back(const Settings& settings) { return like(parameters_of(settings, "a cat", settings.seed, -1)).request; }

TEST(Like, SettingsOfADrawingComeBack) {
  Settings s = drawn();
  s.loras = {{"/x/one.safetensors", 0.7}, {"two.pt", 1.0, 0.25, 1.0 / 3.0}};
  s.embeddings = {"/home/me/cat.pt", "a, b.safetensors"};
  s.subseed = 9;
  s.subseed_strength = 0.3;
  s.seamless = "y";
  s.tiled_decode = true;
  s.safety_checker = "/a/checker/";
  s.watermark = "Stable: Diffusion";
  s.vae = "/home/me/vae/kl-f8.safetensors";
  s.config = "/home/me/v1.yaml";
  s.prediction = "v";
  s.dtype = "q8_0";
  s.exact = true;
  const std::string text = parameters_of(s, "a cat", s.seed, -1);
  EXPECT_THAT(text, testing::Not(HasSubstr("/")));  // no path of this machine
  const Like read = like(text);
  const Request& r = read.request;
  EXPECT_EQ(read.from, "sumi");
  EXPECT_EQ(read.model, "tiny, v1: a");
  EXPECT_EQ(read.precision, "f16");
  EXPECT_EQ(read.vae, "kl-f8.safetensors");
  EXPECT_EQ(read.config, "v1.yaml");
  EXPECT_EQ(read.prediction, "v");
  EXPECT_EQ(read.dtype, "q8_0");
  EXPECT_TRUE(read.exact);
  EXPECT_THAT(read.untaken, IsEmpty());
  ASSERT_EQ(r.prompts.size(), 1u);
  EXPECT_THAT(r.prompts[0], testing::StartsWith("a cat"));
  EXPECT_EQ(r.prompts[0].find("<lora"), std::string::npos);
  EXPECT_EQ(r.negative_prompt, s.negative_prompt);
  EXPECT_EQ(r.width, 64);
  EXPECT_EQ(r.height, 128);
  EXPECT_EQ(r.sampler, "dpmpp_2m");
  EXPECT_EQ(r.schedule, "karras");
  EXPECT_EQ(r.steps, 7);
  EXPECT_EQ(r.scale, 0.1 + 0.2);
  EXPECT_EQ(r.seed, s.seed);
  EXPECT_EQ(r.seeding, "picture");
  EXPECT_EQ(r.rng, "cuda");
  EXPECT_EQ(r.syntax, "exact");
  EXPECT_EQ(r.subseed, 9u);
  EXPECT_EQ(r.subseed_strength, 0.3);
  EXPECT_EQ(r.seamless, "y");
  EXPECT_TRUE(r.tiled_decode);
  EXPECT_EQ(r.safety_checker, "checker");
  EXPECT_EQ(r.watermark, "Stable: Diffusion");
  ASSERT_EQ(r.loras.size(), 2u);
  EXPECT_EQ(r.loras[0].file, "one");
  EXPECT_EQ(r.loras[0].weight, 0.7);
  EXPECT_EQ(r.loras[1].file, "two");
  EXPECT_EQ(r.loras[1].unet.value_or(r.loras[1].weight), 0.25);
  EXPECT_EQ(r.loras[1].text.value_or(r.loras[1].weight), 1.0 / 3.0);
  EXPECT_THAT(r.embeddings, ElementsAre("cat.pt", "a, b.safetensors"));
  s.seamless = "xy";
  EXPECT_THAT(parameters_of(s, "a", 1, -1), HasSubstr("Tiling: True"));
  EXPECT_EQ(back(s).seamless, "xy");
}

// What is written for every sampler and schedule means the same again.
TEST(Like, EverySamplerComesBack) {
  int count = 0;
  for (const NamedHelp& sampler : diffusion::list_samplers()) {
    for (const NamedHelp& schedule : diffusion::list_schedules()) {
      try {
        diffusion::check_sampler(sampler.name, schedule.name);
      } catch (const Error&) {
        continue;
      }
      Settings s = drawn();
      s.sampler = sampler.name;
      s.schedule = schedule.name;
      if (sampler.name == "ddim") s.eta = 0.25;
      const Request r = back(s);
      EXPECT_EQ(r.sampler, sampler.name);
      EXPECT_EQ(r.schedule, schedule.name) << sampler.name;
      EXPECT_EQ(r.eta.value_or(0.0), s.eta);
      ++count;
    }
  }
  EXPECT_GT(count, 60);
}

TEST(Like, PicturesComeBackByName) {
  Settings s = drawn();
  s.init = Source{"a photo, \"1\".png", "0123456789abcdef"};
  s.mask = Source{"m.png", "fedcba9876543210"};
  s.strength = 1.0 / 3.0;
  s.resize = "crop";
  s.background = "#102030";
  s.convention = "diffusers";
  s.mask_invert = true;
  s.mask_blur = 0;
  s.mask_content = "noise";
  s.mask_padding = 16;
  const std::string text = parameters_of(s, "a cat", s.seed, -1);
  for (const char* part : {"Mask mode: Inpaint not masked", "Masked content: latent noise", "Inpaint area: Only masked",
                           "Masked area padding: 16", "Mask blur: 0", "Denoising strength: 0.3333333333333333"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  const Like read = like(text);
  const Request& r = read.request;
  EXPECT_EQ(r.init, s.init->name);
  EXPECT_EQ(read.init_hash, s.init->hash);
  EXPECT_EQ(r.mask, "m.png");
  EXPECT_EQ(read.mask_hash, s.mask->hash);
  EXPECT_EQ(r.strength, 1.0 / 3.0);
  EXPECT_EQ(r.resize, "crop");
  EXPECT_EQ(r.background, "#102030");
  EXPECT_EQ(r.convention, "diffusers");
  EXPECT_TRUE(r.mask_invert);
  EXPECT_EQ(r.mask_blur, 0);
  EXPECT_EQ(r.mask_content, "noise");
  EXPECT_EQ(r.mask_padding, 16);
  s.mask.reset();
  s.mask_padding.reset();
  s.extend = {8, 0, 16, 24};
  EXPECT_EQ(back(s).extend, s.extend);
  s.init->name = "";
  EXPECT_THAT(like(parameters_of(s, "a", 1, -1)).untaken, ElementsAre(HasSubstr("which had no name")));
}

// Where the file's size is not the one drawn, the mask's picture has its own.
TEST(Like, AMaskedPictureOfOddSizeKeepsIt) {
  Settings s = drawn();
  s.init = Source{"a.png", "1"};
  s.mask = Source{"m.png", "2"};
  const std::string text = parameters_of(s, "a cat", 1, -1);
  EXPECT_EQ(like("parameters", text, Image(64, 128)).request.width, 64);
  EXPECT_EQ(like("parameters", text, Image(61, 127)).request.width, std::nullopt);
}

TEST(Like, ASecondPassComesBack) {
  Settings s = drawn();
  s.hires = HiresSettings{.width = 96,
                          .height = 192,
                          .scale = 1.5,
                          .upscaler = "latent-bicubic-antialiased",
                          .sampler = "euler",
                          .schedule = "discrete",
                          .steps = 3,
                          .strength = 0.45,
                          .guidance = 4.0,
                          .prompt = "another, one",
                          .negative_prompt = "x\ny"};
  for (const bool with_init : {false, true}) {
    if (with_init) s.init = Source{"a.png", "1"}, s.strength = 0.9;
    const Request r = back(s);
    ASSERT_TRUE(r.hires);
    EXPECT_EQ(r.strength, with_init ? std::optional(0.9) : std::nullopt);
    EXPECT_EQ(r.hires->scale, 1.5);
    EXPECT_EQ(r.hires->upscaler, "latent-bicubic-antialiased");
    EXPECT_EQ(r.hires->sampler, "euler");
    EXPECT_EQ(r.hires->schedule, "discrete");
    EXPECT_EQ(r.hires->steps, 3);
    EXPECT_EQ(r.hires->strength, 0.45);
    EXPECT_EQ(r.hires->guidance, 4.0);
    EXPECT_EQ(r.hires->prompt, "another, one");
    EXPECT_EQ(r.hires->negative_prompt, "x\ny");
  }
  s.hires->upscaler = "/models/4x, fine.pth";
  EXPECT_EQ(back(s).hires->upscaler, "4x, fine");
  EXPECT_THAT(parameters_of(s, "a", 1, -1), HasSubstr("Hires upscale: 1.5, Hires steps: 3"));
}

TEST(Like, ControlsComeBack) {
  Settings s = drawn();
  s.resize = "fill";
  s.guess_mode = true;
  s.controls = {{.model = "/m/canny.pth",
                 .image = {"hint, 1.png", "aa"},
                 .weight = 0.1,
                 .start = 0.2,
                 .end = 0.7,
                 .preprocess = "canny"},
                {.model = "/m/depth/", .image = {"d.png", "bb"}}};
  const std::string text = parameters_of(s, "a cat", 1, -1);
  EXPECT_THAT(text, HasSubstr("ControlNet 0: \"Module: canny, Model: canny, Weight: 0.1, Resize Mode: Resize and Fill, "
                              "Guidance Start: 0.2, Guidance End: 0.7, Control Mode: ControlNet is more important\""));
  const Like read = like(text);
  const Request& r = read.request;
  ASSERT_EQ(r.controls.size(), 2u);
  EXPECT_EQ(r.controls[0].model, "canny");
  EXPECT_EQ(r.controls[0].image, "hint, 1.png");
  EXPECT_EQ(r.controls[0].weight, 0.1);
  EXPECT_EQ(r.controls[0].start, 0.2);
  EXPECT_EQ(r.controls[0].end, 0.7);
  EXPECT_EQ(r.controls[0].preprocess, "canny");
  EXPECT_EQ(r.controls[1].model, "depth");
  EXPECT_EQ(r.controls[1].preprocess.value_or("none"), "none");
  EXPECT_THAT(read.control_hashes, ElementsAre("aa", "bb"));
  EXPECT_EQ(r.resize, "fill");
  EXPECT_TRUE(r.guess_mode);
}

// With one generator, the batch that a picture was in is drawn again.
TEST(Like, ThePlaceInAJob) {
  Settings s = drawn();
  s.seeding = "run";
  s.pictures = 16;
  s.batch = 3;
  const auto place = [&](int64_t number, int64_t iterations) {
    const Like read = like(parameters_of(s, "a", 1, number, {.iterations = iterations}));
    EXPECT_EQ(read.number, number);
    EXPECT_EQ(read.request.seeding, "run");
    return std::vector<int64_t>{*read.request.copies, *read.request.batch, *read.request.iterations, read.request.share,
                                read.request.share_of};
  };
  EXPECT_THAT(place(4, 2), ElementsAre(8, 3, 1, 1, 3));  // batches of 3, 3, 2
  EXPECT_THAT(place(8, 2), ElementsAre(8, 3, 2, 3, 6));  // the second iteration's first
  EXPECT_THAT(place(15, 1), ElementsAre(16, 3, 1, 5, 6));
  s.pictures = 6;
  EXPECT_THAT(place(4, 1), ElementsAre(6, 3, 1, 1, 2));  // no more than up to its own batch
  EXPECT_TRUE(like(parameters_of(s, "a", 1, 4, {.fixed_noise = true})).request.fixed_noise);
  EXPECT_THAT(like("a\nSteps: 1, Seed: 2, Batch pos: 99999999999, Version: sumi 0.1.0").untaken,
              ElementsAre("Batch pos 99999999999"));
}

// A picture with a seed of its own is the same in any job.
TEST(Like, APictureWithoutAPlaceIsDrawnAlone) {
  Settings s = drawn();
  const std::string text = parameters_of(s, "a cat", s.seed, -1);
  s.seeding = "run";
  EXPECT_EQ(parameters_of(s, "a cat", s.seed, -1), text);
  EXPECT_EQ(like(text).request.seeding, "picture");
  EXPECT_EQ(like(text).request.copies, std::nullopt);
  s.subseed = 9;
  s.subseed_strength = 0.5;
  EXPECT_EQ(back(s).seeding, "picture");
  EXPECT_EQ(like("a\nSteps: 1, Seed: 2, Seeding: picture, Version: sumi 0.1.0").request.seeding, "picture");
  EXPECT_EQ(like("a\nSteps: 1, Seed: 2, Batch pos: 3, Version: sumi 0.1.0").request.seeding, "run");
}

// An empty text is not the first pass's.
TEST(Like, TheSecondPassesPromptsComeBack) {
  Settings s = drawn();
  s.hires = HiresSettings{.scale = 2.0, .upscaler = "latent", .sampler = s.sampler, .schedule = s.schedule, .steps = 3};
  Request r = back(s);
  ASSERT_TRUE(r.hires);
  EXPECT_EQ(r.hires->prompt, std::nullopt);
  EXPECT_EQ(r.hires->negative_prompt, std::nullopt);
  s.hires->prompt = "a: dog";
  s.hires->negative_prompt = "";
  r = back(s);
  EXPECT_EQ(r.hires->prompt, "a: dog");
  EXPECT_EQ(r.hires->negative_prompt, "");
}

TEST(Like, TheSecondPassHasTheFirstsLoras) {
  const auto read = [](const std::string& second) {
    return like("a <lora:x:0.5>\nSteps: 2, Sampler: Euler, Seed: 1, Size: 64x64, Hires upscale: 2, Hires prompt: \"" +
                second + "\", Version: v1.9");
  };
  Like same = read("b <lora:x:0.5>");
  EXPECT_EQ(same.request.hires->prompt, "b");
  EXPECT_THAT(same.untaken, IsEmpty());
  Like other = read("b <lora:y:0.5> c <hypernet:z:1>");
  EXPECT_THAT(other.untaken, ElementsAre("<hypernet:z:1>", "the LoRAs of the second pass's prompt"));
  EXPECT_EQ(other.request.loras.size(), 1u);
}

TEST(Like, OtherNetworksAreTakenOut) {
  const Like read =
      like("<hypernet:a:1>x <hypernetwork:b:1>y<hypernet:a:1> z <hyper> <hypernet:open\nSteps: 2, Seed: 1");
  EXPECT_EQ(read.request.prompts[0], "x y z <hyper> <hypernet:open");
  EXPECT_THAT(read.untaken, ElementsAre("<hypernet:a:1>", "<hypernetwork:b:1>"));
  std::string many = "a";
  for (int i = 0; i < 300'000; ++i) many += "<hypernet:>";
  const double begin = test::cpu_seconds();
  EXPECT_EQ(like(many + "\nSteps: 2, Seed: 1").request.prompts[0], "a");
  EXPECT_LT(test::cpu_seconds() - begin, 5.0);
}

// A1111's

TEST(Like, TheWebUisOwn) {
  const Like read = like(
      "a (red:1.2) cat <lora:style:0.8> <hypernet:x:1>, [cat:dog:0.5]\nNegative prompt: bad\n"
      "Steps: 20, Sampler: DPM++ 2M SDE Karras, CFG scale: 7, Seed: 965400086, Size: 512x768, Model hash: 45dee52b, "
      "Model: v1-5, Denoising strength: 0.7, Clip skip: 2, ENSD: 31337, Hires upscale: 2, Hires steps: 10, "
      "Hires upscaler: Latent (nearest-exact), Lora hashes: \"style: 12\", ADetailer model: face.pt, VAE: kl-f8.pt, "
      "Version: v1.6.0");
  const Request& r = read.request;
  EXPECT_EQ(read.from, "A1111's web UI");
  EXPECT_EQ(read.model, "v1-5");
  EXPECT_EQ(read.vae, "kl-f8.pt");
  EXPECT_EQ(r.sampler, "dpmpp_2m_sde");
  EXPECT_EQ(r.schedule, "karras");
  EXPECT_EQ(r.seeding, "picture");
  EXPECT_EQ(r.rng, "cuda");
  EXPECT_EQ(r.syntax, "weighted");
  EXPECT_EQ(r.seed, 965400086u);
  ASSERT_EQ(r.loras.size(), 1u);
  EXPECT_EQ(r.loras[0].file, "style");
  ASSERT_TRUE(r.hires);
  EXPECT_EQ(r.hires->upscaler, "latent-nearest-exact");
  EXPECT_EQ(r.hires->strength, 0.7);
  EXPECT_EQ(r.strength, std::nullopt);
  EXPECT_THAT(read.untaken, ElementsAre("[cat:dog:0.5] in the prompt", "<hypernet:x:1>", "Clip skip 2", "ENSD 31337",
                                        "ADetailer model face.pt"));
}

TEST(Like, TheWebUisSpellings) {
  const auto sampling = [](const std::string& fields) {
    const Like read = like("a\nSteps: 20, Seed: 1, " + fields);
    return read.request.sampler.value_or("-") + " " + read.request.schedule.value_or("-") + " " + *read.request.rng +
           (read.untaken.empty() ? "" : " | " + read.untaken[0]);
  };
  EXPECT_EQ(sampling("Sampler: DPM++ 2M Karras"), "dpmpp_2m karras cuda");
  EXPECT_EQ(sampling("Sampler: DPM++ 2M, Schedule type: Karras, RNG: CPU"), "dpmpp_2m karras cpu");
  EXPECT_EQ(sampling("Sampler: DPM++ 2M, Schedule type: Automatic, RNG: NV"), "dpmpp_2m karras cuda");
  EXPECT_EQ(sampling("Sampler: DPM++ 2M"), "dpmpp_2m discrete cuda");  // before 1.9 it says what it means
  EXPECT_EQ(sampling("Sampler: Euler a"), "euler_ancestral discrete cuda");
  EXPECT_EQ(sampling("Sampler: DDIM, Eta DDIM: 0.5"), "ddim uniform cuda");
  EXPECT_EQ(sampling("Sampler: Euler a, Eta: 0.5"), "euler_ancestral discrete cuda | Eta 0.5");
  EXPECT_EQ(sampling("Sampler: Restart, Schedule type: Karras"), "- - cuda | sampler Restart");
  EXPECT_EQ(sampling("Sampler: Euler, Schedule type: Align Your Steps"), "euler - cuda | schedule Align Your Steps");
}

TEST(Like, TheWebUisImageToImage) {
  const Like read = like(
      "a\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Denoising strength: 0.4, Mask blur: 8, "
      "Masked content: latent nothing, Inpaint area: Only masked, ControlNet 0: \"Module: canny, Model: c [1234], "
      "Weight: 1.0, Guidance Start: 0.0, Guidance End: 1.0\"");
  EXPECT_EQ(read.request.strength, 0.4);
  EXPECT_EQ(read.request.mask_blur, 8);
  EXPECT_EQ(read.request.mask_content, "nothing");
  EXPECT_EQ(read.request.mask_padding, 32);
  EXPECT_THAT(read.untaken, ElementsAre(HasSubstr("the picture that it began from"), "its mask",
                                        HasSubstr("ControlNet 0 c [1234], whose picture is not named")));
  Request r = read.request;
  EXPECT_TRUE(drop_without_picture(r));
  EXPECT_EQ(r.strength, std::nullopt);
  EXPECT_EQ(r.mask_padding, std::nullopt);
  EXPECT_FALSE(drop_without_picture(r));
}

// None

TEST(Like, PicturesWithoutSettings) {
  const std::string none = "x.png: carries no settings in a form that is known";
  EXPECT_THAT(refusal("Title", "a cat"), testing::StartsWith(none));
  EXPECT_THAT(refusal("parameters", "just a text"), testing::StartsWith(none));
  EXPECT_THAT(refusal("prompt", "{"), testing::StartsWith(none));
  EXPECT_THAT(refusal("prompt", "[1]"), testing::StartsWith(none));
  EXPECT_THAT(refusal("prompt", R"({"a": 1})"), testing::StartsWith(none));
  EXPECT_THAT(refusal("prompt", std::string(100'000, '[')), testing::StartsWith(none));
  EXPECT_THROW(read_like({}, "x"), Error);
}

TEST(Like, WhatIsNotTakenIsBounded) {
  std::string text = "a\nSteps: 1, Seed: 2, Sampler: Euler";
  for (int i = 0; i < 900; ++i) text += ", Other " + std::to_string(i) + ": " + std::string(300, 'x');
  const Like read = like(text);
  EXPECT_EQ(read.untaken.size(), 64u);
  for (const std::string& one : read.untaken) EXPECT_LT(one.size(), 100u);
}

TEST(Like, AnOpenRequestIsFilled) {
  Request request{.prompts = {"mine"}, .sampler = "euler", .hires = Hires{.scale = 3.0, .steps = 4}};
  const Request other{.prompts = {"theirs"},
                      .sampler = "ddim",
                      .schedule = "uniform",
                      .steps = 9,
                      .eta = 0.5,
                      .hires = Hires{.scale = 2.0, .steps = 8, .strength = 0.25}};
  fill_open(request, other);
  EXPECT_THAT(request.prompts, ElementsAre("mine"));
  EXPECT_EQ(request.sampler, "euler");
  EXPECT_EQ(request.schedule, std::nullopt);  // made for another sampler
  EXPECT_EQ(request.eta, std::nullopt);
  EXPECT_EQ(request.steps, 9);
  EXPECT_EQ(request.hires->scale, 3.0);
  EXPECT_EQ(request.hires->steps, 4);
  EXPECT_EQ(request.hires->strength, 0.25);
}

TEST(Like, ARequestWithSeedsKeepsThem) {
  const Request other{.prompts = {"a"}, .seed = 5, .seeding = "run"};
  Request seeds{.prompts = {"a", "b"}, .seeds = {1, 2}};
  fill_open(seeds, other);
  EXPECT_EQ(seeds.seed, std::nullopt);
  EXPECT_EQ(seeds.seeding, std::nullopt);
  EXPECT_NO_THROW(check_request(seeds));
  Request open{.prompts = {"a"}}, one{.prompts = {"a"}, .seed = 9}, fixed{.prompts = {"a"}, .fixed_noise = true};
  fill_open(open, {.seeds = {4}, .seeding = "picture"});
  EXPECT_THAT(open.seeds, ElementsAre(4u));
  fill_open(one, {.seeds = {4}, .seeding = "picture"});
  EXPECT_THAT(one.seeds, IsEmpty());
  EXPECT_EQ(one.seed, 9u);
  fill_open(fixed, {.seeding = "picture"});
  EXPECT_NO_THROW(check_request(fixed));
}

}  // namespace
}  // namespace sumi::engine
