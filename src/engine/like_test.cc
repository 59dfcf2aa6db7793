// The settings that picture files carry, as requests.
#include "engine/like.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "base/check.h"
#include "engine/resolve.h"
#include "image/metadata.h"
#include "image/png.h"
#include "tests/support/cpu_seconds.h"

namespace sumi::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;

Like like(const std::string& key, const std::string& text, const Image& picture = Image(8, 8)) {
  return read_like(image::encode_png(picture, {{key, text}}), "x.png");
}
Like like(const std::string& parameters) { return like("parameters", parameters); }

std::string refusal(const std::string& key, const std::string& text) {
  try {
    like(key, text);
    return "taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    return error.what();
  }
}

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
  const std::string text = parameters_of(s, "a cat", s.seed, -1);
  EXPECT_THAT(text, testing::Not(HasSubstr("/")));  // no path of this machine
  const Like read = like(text);
  const Request& r = read.request;
  EXPECT_EQ(read.from, "sumi");
  EXPECT_EQ(read.model, "tiny, v1: a");
  EXPECT_EQ(read.precision, "f16");
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
                                        "VAE kl-f8.pt (give it as `vae`)", "ADetailer model face.pt"));
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

// ComfyUI's

constexpr const char* kGraph = R"({
  "3": {"class_type": "KSampler", "inputs": {"seed": 18446744073709551615, "steps": 20, "cfg": 8.0,
        "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1.0,
        "model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}},
  "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sub\\v1-5.safetensors"}},
  "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}},
  "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["10", 1]}},
  "7": {"class_type": "CLIPTextEncode", "inputs": {"text": ["12", 0], "clip": ["11", 0]}},
  "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
  "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x", "images": ["17", 0]}},
  "10": {"class_type": "LoraLoader", "inputs": {"lora_name": "style.safetensors", "strength_model": 0.5,
         "strength_clip": 0.25, "model": ["4", 0], "clip": ["4", 1]}},
  "11": {"class_type": "CLIPSetLastLayer", "inputs": {"stop_at_clip_layer": -2, "clip": ["10", 1]}},
  "12": {"class_type": "PrimitiveString", "inputs": {"value": "bad"}},
  "17": {"class_type": "FaceDetailer", "inputs": {"image": ["8", 0], "seed": 1}}
})";

TEST(Like, ComfysGraph) {
  const Like read = like("prompt", kGraph);
  const Request& r = read.request;
  EXPECT_EQ(read.from, "ComfyUI");
  EXPECT_THAT(r.prompts, ElementsAre("a cat"));
  EXPECT_EQ(r.negative_prompt, "bad");
  EXPECT_EQ(r.seed, 18446744073709551615u);
  EXPECT_EQ(r.steps, 20);
  EXPECT_EQ(r.scale, 8.0);
  EXPECT_EQ(r.sampler, "dpmpp_2m");
  EXPECT_EQ(r.schedule, "karras");
  EXPECT_EQ(r.width, 512);
  EXPECT_EQ(r.height, 768);
  EXPECT_EQ(r.rng, "cpu");
  EXPECT_EQ(r.seeding, "picture");
  EXPECT_EQ(read.model, "v1-5.safetensors");
  ASSERT_EQ(r.loras.size(), 1u);
  EXPECT_EQ(r.loras[0].file, "style.safetensors");
  EXPECT_EQ(r.loras[0].unet, 0.5);
  EXPECT_EQ(r.loras[0].text, 0.25);
  EXPECT_THAT(read.untaken, ElementsAre("node 17 FaceDetailer", "Clip skip 2"));
}

TEST(Like, ComfysSecondPass) {
  auto graph = nlohmann::json::parse(kGraph);
  graph["20"] = graph["3"];
  graph["20"]["inputs"].update({{"latent_image", {"21", 0}},
                                {"denoise", 0.5},
                                {"steps", 10},
                                {"sampler_name", "euler"},
                                {"scheduler", "normal"}});
  graph["21"] = {{"class_type", "LatentUpscaleBy"},
                 {"inputs", {{"upscale_method", "bicubic"}, {"scale_by", 1.5}, {"samples", {"3", 0}}}}};
  graph["8"]["inputs"]["samples"] = {"20", 0};
  const Request r = like("prompt", graph.dump()).request;
  EXPECT_EQ(r.steps, 20);
  EXPECT_EQ(r.sampler, "dpmpp_2m");
  ASSERT_TRUE(r.hires);
  EXPECT_EQ(r.hires->scale, 1.5);
  EXPECT_EQ(r.hires->upscaler, "latent-bicubic");
  EXPECT_EQ(r.hires->steps, 10);
  EXPECT_EQ(r.hires->strength, 0.5);
  EXPECT_EQ(r.hires->sampler, "euler");
  EXPECT_EQ(r.hires->schedule, "discrete");
  EXPECT_EQ(r.hires->prompt, std::nullopt);
}

TEST(Like, ComfysPictures) {
  auto graph = nlohmann::json::parse(kGraph);
  graph["5"] = {{"class_type", "VAEEncodeForInpaint"},
                {"inputs", {{"pixels", {"30", 0}}, {"mask", {"31", 0}}, {"grow_mask_by", 6}}}};
  graph["30"] = {{"class_type", "LoadImage"}, {"inputs", {{"image", "photo.png"}}}};
  graph["31"] = {{"class_type", "LoadImageMask"}, {"inputs", {{"image", "mask.png"}, {"channel", "red"}}}};
  graph["32"] = {{"class_type", "ControlNetApplyAdvanced"},
                 {"inputs",
                  {{"positive", {"6", 0}},
                   {"negative", {"7", 0}},
                   {"control_net", {"33", 0}},
                   {"image", {"34", 0}},
                   {"strength", 0.75},
                   {"start_percent", 0.1},
                   {"end_percent", 0.9}}}};
  graph["33"] = {{"class_type", "ControlNetLoader"}, {"inputs", {{"control_net_name", "canny.pth"}}}};
  graph["34"] = {{"class_type", "Canny"}, {"inputs", {{"image", {"30", 0}}}}};
  graph["3"]["inputs"].update({{"positive", {"32", 0}}, {"negative", {"32", 1}}, {"denoise", 0.5}});
  const Request r = like("prompt", graph.dump()).request;
  EXPECT_EQ(r.init, "photo.png");
  EXPECT_EQ(r.mask, "mask.png");
  EXPECT_EQ(r.strength, 0.5);
  EXPECT_EQ(r.steps, 40);  // of which half are run
  EXPECT_EQ(r.negative_prompt, "bad");
  ASSERT_EQ(r.controls.size(), 1u);
  EXPECT_EQ(r.controls[0].model, "canny.pth");
  EXPECT_EQ(r.controls[0].image, "photo.png");
  EXPECT_EQ(r.controls[0].weight, 0.75);
  EXPECT_EQ(r.controls[0].preprocess, "canny");
}

// Links to anywhere, also in circles; other values everywhere.
TEST(Like, AnyGraphCanBeRead) {
  std::mt19937 random(11);
  const auto good = nlohmann::json::parse(kGraph);
  std::vector<std::string> ids, kinds{"LatentUpscale", "VAEEncode", "SetLatentNoiseMask", "ControlNetApply", "Other"};
  for (const auto& item : good.items()) {
    ids.push_back(item.key());
    kinds.push_back(item.value()["class_type"]);
  }
  int taken = 0;
  for (int i = 0; i < 2000; ++i) {
    auto graph = good;
    for (int change = 0; change < 4; ++change) {
      auto& node = graph[ids[random() % ids.size()]];
      auto& inputs = node["inputs"];
      auto input = inputs.begin();
      std::advance(input, random() % inputs.size());
      switch (random() % 4) {
        case 0: *input = {ids[random() % ids.size()], 0}; break;
        case 1: node["class_type"] = kinds[random() % kinds.size()]; break;
        case 2: *input = random() % 2 == 0 ? nlohmann::json(-1.5e300) : nlohmann::json(nullptr); break;
        default: inputs["samples"] = {ids[random() % ids.size()], 0};
      }
    }
    try {
      EXPECT_EQ(like("prompt", graph.dump()).request.prompts.size(), 1u);
      ++taken;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("no KSampler"));
    }
  }
  EXPECT_GT(taken, 1000);
}

TEST(Like, AChainOfManyNodesTakesLittleTime) {
  nlohmann::json graph;
  for (int i = 0; i < 10000; ++i)
    graph[std::to_string(i)] = {
        {"class_type", i % 2 == 0 ? "SaveImage" : "Blur"},
        {"inputs", {{"image", {std::to_string(i + 1), 0}}, {"images", {std::to_string(i + 1), 0}}}}};
  const double begin = test::cpu_seconds();
  EXPECT_THAT(refusal("prompt", graph.dump()), HasSubstr("x.png: its ComfyUI graph has no KSampler"));
  EXPECT_LT(test::cpu_seconds() - begin, 5.0);
}

// InvokeAI's

TEST(Like, InvokesMetadata) {
  const Like read = like("invokeai_metadata", R"({"app_version": "4.2.0", "generation_mode": "txt2img",
      "positive_prompt": "a cat++", "negative_prompt": "bad", "width": 512, "height": 768, "seed": 7, "rand_device": "cpu",
      "cfg_scale": 7.5, "steps": 30, "scheduler": "dpmpp_2m_k", "clip_skip": 1, "seamless_x": true, "seamless_y": false,
      "model": {"key": "k", "name": "dreamshaper", "base": "sd-1"}, "hrf_enabled": true,
      "loras": [{"model": {"name": "style"}, "weight": 0.75}],
      "controlnets": [{"image": {"image_name": "h.png"}, "control_model": {"name": "canny"}, "control_weight": 0.5,
                       "begin_step_percent": 0, "end_step_percent": 0.8, "control_mode": "balanced"}]})");
  const Request& r = read.request;
  EXPECT_EQ(read.from, "InvokeAI");
  EXPECT_EQ(read.model, "dreamshaper");
  EXPECT_THAT(r.prompts, ElementsAre("a cat++"));
  EXPECT_EQ(r.sampler, "dpmpp_2m");
  EXPECT_EQ(r.schedule, "karras");
  EXPECT_EQ(r.seed, 7u);
  EXPECT_EQ(r.steps, 30);
  EXPECT_EQ(r.seamless, "x");
  ASSERT_EQ(r.loras.size(), 1u);
  EXPECT_EQ(r.loras[0].weight, 0.75);
  ASSERT_EQ(r.controls.size(), 1u);
  EXPECT_EQ(r.controls[0].end, 0.8);
  EXPECT_THAT(read.untaken, ElementsAre("Clip skip 2", "hrf_enabled true", HasSubstr("weights of words")));
}

TEST(Like, OlderInvokes) {
  const Like old = like("sd-metadata", R"({"model": "stable diffusion", "model_weights": "stable-diffusion-1.5",
      "image": {"prompt": [{"prompt": "a cat", "weight": 1.0}], "steps": 50, "cfg_scale": 7.5, "threshold": 0,
      "perlin": 0, "height": 512, "width": 640, "seed": 42, "seamless": false, "hires_fix": true, "type": "txt2img",
      "sampler": "k_euler_a", "variations": []}})");
  EXPECT_THAT(old.request.prompts, ElementsAre("a cat"));
  EXPECT_EQ(old.request.sampler, "euler_ancestral");
  EXPECT_EQ(old.request.width, 640);
  EXPECT_THAT(old.untaken, ElementsAre("hires_fix"));
  const Like dream = like("Dream", R"("a \"red\" cat" -s 50 -S42 -W 512 -H 768 -C 7.5 -A k_lms -G 0.8)");
  EXPECT_THAT(dream.request.prompts, ElementsAre("a \"red\" cat"));
  EXPECT_EQ(dream.request.steps, 50);
  EXPECT_EQ(dream.request.seed, 42u);
  EXPECT_EQ(dream.request.height, 768);
  EXPECT_EQ(dream.request.scale, 7.5);
  EXPECT_EQ(dream.request.sampler, "lms");
  EXPECT_THAT(dream.untaken, ElementsAre("-G 0.8"));
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

}  // namespace
}  // namespace sumi::engine
