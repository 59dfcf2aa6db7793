// The settings that ComfyUI and InvokeAI write into picture files, as requests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "tests/support/cpu_seconds.h"
#include "tests/support/like_of_text.h"

namespace sumi::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

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
  // Of a schedule of 40 the last 20 are run: by the web UI's rule one more than the strength's part.
  EXPECT_EQ(r.steps, 40);
  EXPECT_EQ(static_cast<int>(*r.strength * 40), 19);
  EXPECT_EQ(r.convention, "webui");
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
  const Like flags = like("Dream", R"("a cat" -s4 -F -S42 -C -1)");  // -F has no value
  EXPECT_EQ(flags.request.seed, 42u);
  EXPECT_EQ(flags.request.scale, -1.0);
  EXPECT_THAT(flags.untaken, ElementsAre("-F "));
}

}  // namespace
}  // namespace sumi::engine
