#include "app/server/webui.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <nlohmann/json.hpp>
#include <span>
#include <thread>

#include "app/server/local_jobs.h"
#include "app/server/webui_controls.h"
#include "base/base64.h"
#include "image/png.h"
#include "tests/support/http_client.h"
#include "tests/support/tiny_engine.h"

namespace sumi::app {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;
using testing::HasSubstr;

class WebuiTest : public testing::Test {
 protected:
  WebuiTest() {
    tools::write_byte_vocabulary(folder_.path());
    test::write_file(folder_ / "loras/paint.safetensors", "x");
    test::write_file(folder_ / "upscalers/4x-sharp.pth", "x");
    test::write_file(folder_ / "controlnet/edges.safetensors", "x");
    add_webui_routes(router_, jobs_, shelf_, library_, waiting_);
    thread_ = std::thread([this] { server_.run(); });
  }
  ~WebuiTest() override {
    server_.stop();
    thread_.join();
  }

  test::HttpAnswer ask(const std::string& method, const std::string& path, const std::string& body = "") const {
    return test::ask(server_.port(), method, path, body);
  }
  Json get(const std::string& path) const {
    const auto answer = ask("GET", path);
    EXPECT_EQ(answer.status, 200) << path << " " << answer.body;
    EXPECT_EQ(answer.body.find(folder_.path().string()), std::string::npos) << path;
    EXPECT_EQ(answer.body.find(SUMI_TEST_DATA), std::string::npos) << path;
    return Json::parse(answer.body);
  }
  Json post(const std::string& path, const Json& body, int status = 200) const {
    const auto answer = ask("POST", path, body.dump());
    EXPECT_EQ(answer.status, status) << path << " " << answer.body;
    return Json::parse(answer.body);
  }
  static Json drawing(int steps = 2) {
    return {{"prompt", "a cat"}, {"width", 64}, {"height", 64}, {"steps", steps}, {"seed", 7}};
  }
  static image::Png png_of(const Json& image) {
    return image::decode_png(from_base64(image.get<std::string>()).value(), "it");
  }
  static std::string base64_of_picture(const Image& image, const std::vector<image::PngText>& texts = {}) {
    return base64_of(image::encode_png(image, texts));
  }
  // Until the progress is as it should be.
  template <class Is> Json wait_for_progress(const Is& is) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (std::chrono::steady_clock::now() < end) {
      Json progress = get("/sdapi/v1/progress");
      if (is(progress)) return progress;
      std::this_thread::sleep_for(milliseconds(1));
    }
    ADD_FAILURE() << "the progress never was as it should be";
    return {};
  }

  const test::TempFolder folder_;
  ModelOptions options_ = test::tiny_options(folder_.path());
  Shelf shelf_{{.threads = 2}, {options_}};
  Library library_{{folder_.path()}};
  LocalJobs jobs_{shelf_, library_, {}};
  Router router_;
  HttpServer server_{{}, [this](std::shared_ptr<HttpExchange> exchange) { router_.answer(exchange); }};
  Waiting waiting_{jobs_,
                   [this](milliseconds time, std::function<void()> call) { server_.after(time, std::move(call)); }};
  std::thread thread_;
};

TEST_F(WebuiTest, PicturesAreThoseOfTheEngine) {
  Json body = drawing();
  body.update({{"batch_size", 2}, {"n_iter", 2}, {"sampler_name", "Euler a"}, {"negative_prompt", "dog"}});
  const Json reply = post("/sdapi/v1/txt2img", body);
  ASSERT_EQ(reply.at("images").size(), 4u);
  EXPECT_EQ(reply.at("parameters"), body);
  const Json info = Json::parse(reply.at("info").get<std::string>());
  EXPECT_EQ(info.at("all_seeds"), Json({7, 8, 9, 10}));
  EXPECT_EQ(info.at("seed"), 7);
  EXPECT_EQ(info.at("all_prompts").size(), 4u);
  EXPECT_EQ(info.at("all_negative_prompts").at(3), "dog");
  EXPECT_EQ(info.at("sampler_name"), "Euler a");
  EXPECT_EQ(info.at("width"), 64);
  EXPECT_EQ(info.at("steps"), 2);
  EXPECT_EQ(info.at("cfg_scale"), 7.0);
  EXPECT_EQ(info.at("batch_size"), 2);
  EXPECT_EQ(info.at("sd_model_name"), shelf_.name_of(""));
  EXPECT_EQ(info.at("infotexts").size(), 4u);
  EXPECT_EQ(info.at("index_of_first_image"), 0);
  const auto expected = test::draw(Engine({.threads = 2}).open(options_), {.prompts = {"a cat"},
                                                                           .negative_prompt = "dog",
                                                                           .copies = 2,
                                                                           .batch = 2,
                                                                           .iterations = 2,
                                                                           .width = 64,
                                                                           .height = 64,
                                                                           .sampler = "euler_ancestral",
                                                                           .schedule = "discrete",
                                                                           .steps = 2,
                                                                           .scale = 7.0,
                                                                           .seed = 7,
                                                                           .seeding = "picture",
                                                                           .rng = "cuda",
                                                                           .syntax = "weighted"});
  for (size_t i = 0; i < 4; ++i) {
    const image::Png png = png_of(reply["images"][i]);
    EXPECT_EQ(png.image, expected[i].image) << i;
    ASSERT_FALSE(png.texts.empty());
    EXPECT_EQ(png.texts[0].second, info["infotexts"][i]);
    EXPECT_THAT(png.texts[0].second, HasSubstr("Seed: " + std::to_string(7 + i)));
  }
}

TEST_F(WebuiTest, ARandomSeedIsTold) {
  Json body = drawing();
  body["seed"] = -1;
  body["send_images"] = false;
  const Json reply = post("/sdapi/v1/txt2img", body);
  EXPECT_TRUE(reply.at("images").empty());
  const Json info = Json::parse(reply.at("info").get<std::string>());
  EXPECT_THAT(info.at("infotexts").at(0).get<std::string>(), HasSubstr("Seed: " + info.at("seed").dump() + ","));
  EXPECT_EQ(info.at("all_seeds").at(0), info.at("seed"));
}

TEST_F(WebuiTest, FromAPictureAndLarger) {
  Image grey(64, 64);
  std::fill(grey.pixels.begin(), grey.pixels.end(), uint8_t{128});
  Json body = drawing();
  body["init_images"] = {"data:image/png;base64," + base64_of_picture(grey)};
  body["mask"] = base64_of_picture(grey);
  const Json reply = post("/sdapi/v1/img2img", body);
  ASSERT_EQ(reply.at("images").size(), 1u);
  EXPECT_EQ(png_of(reply["images"][0]).image.width, 64);
  EXPECT_TRUE(reply.at("parameters").at("init_images").is_null());
  EXPECT_EQ(Json::parse(reply.at("info").get<std::string>()).at("denoising_strength"), 0.75);

  const std::string texted = base64_of_picture(grey, {{"parameters", "a cat\nSteps: 2, Seed: 7, Size: 64x64"}});
  const Json larger =
      post("/sdapi/v1/extra-single-image", {{"image", texted}, {"upscaler_1", "Lanczos"}, {"upscaling_resize", 1.5}});
  EXPECT_TRUE(larger.at("html_info").is_string());
  EXPECT_EQ(png_of(larger.at("image")).image.width, 96);
  const Json covered = post("/sdapi/v1/extra-single-image", {{"image", texted},
                                                             {"upscaler_1", "Nearest"},
                                                             {"resize_mode", 1},
                                                             {"upscaling_resize_w", 96},
                                                             {"upscaling_resize_h", 80}});
  EXPECT_EQ(png_of(covered.at("image")).image.height, 80);
  EXPECT_EQ(png_of(post("/sdapi/v1/extra-single-image", {{"image", texted}}).at("image")).image, grey);
}

TEST_F(WebuiTest, APicturesSettings) {
  const std::string text =
      "a cat\nNegative prompt: dog\nSteps: 2, Sampler: Euler a, Seed: 7, Size: 64x32, Tiling: True";
  const Json info =
      post("/sdapi/v1/png-info", {{"image", base64_of_picture(Image(8, 8), {{"parameters", text}, {"Title", "one"}})}});
  EXPECT_EQ(info.at("info"), text);
  EXPECT_EQ(info.at("items"), Json({{"Title", "one"}}));
  const Json& parameters = info.at("parameters");
  EXPECT_EQ(parameters.at("Prompt"), "a cat");
  EXPECT_EQ(parameters.at("Negative prompt"), "dog");
  EXPECT_EQ(parameters.at("Steps"), "2");
  EXPECT_EQ(parameters.at("Sampler"), "Euler a");
  EXPECT_EQ(parameters.at("Size-1"), "64");
  EXPECT_EQ(parameters.at("Size-2"), "32");
  EXPECT_EQ(parameters.at("Tiling"), "True");
  EXPECT_EQ(post("/sdapi/v1/png-info", {{"image", base64_of_picture(Image(8, 8))}}).at("info"), "");
  post("/sdapi/v1/png-info", {{"image", "AAAA"}}, 400);
  post("/sdapi/v1/png-info", Json::object(), 400);
}

TEST_F(WebuiTest, ProgressAndInterrupt) {
  const Json idle = get("/sdapi/v1/progress");
  EXPECT_EQ(idle.at("progress"), 0.0);
  EXPECT_EQ(idle.at("state").at("job_count"), 0);
  EXPECT_EQ(idle.at("state").at("job"), "");
  EXPECT_TRUE(idle.at("current_image").is_null());
  auto reply = std::async(std::launch::async, [&] { return post("/sdapi/v1/txt2img", drawing(9000)); });
  const Json drawn = wait_for_progress([](const Json& p) { return !p.at("current_image").is_null(); });
  EXPECT_GT(drawn.at("progress"), 0.0);
  EXPECT_LT(drawn.at("progress"), 1.0);
  EXPECT_EQ(drawn.at("state").at("job_count"), 1);
  EXPECT_EQ(drawn.at("state").at("sampling_steps"), 9000);
  EXPECT_GT(png_of(drawn.at("current_image")).image.width, 0);
  EXPECT_TRUE(get("/sdapi/v1/progress?skip_current_image=true").at("current_image").is_null());
  EXPECT_EQ(ask("POST", "/sdapi/v1/interrupt").status, 200);
  const Json pictures = reply.get();
  EXPECT_TRUE(pictures.at("images").empty());
  EXPECT_EQ(Json::parse(pictures.at("info").get<std::string>()).at("seed"), 7);
  wait_for_progress([](const Json& p) { return p.at("state").at("job_count") == 0; });
  EXPECT_EQ(ask("POST", "/sdapi/v1/interrupt").status, 200);  // of nothing
  EXPECT_EQ(ask("POST", "/sdapi/v1/skip").body, "null");
}

TEST_F(WebuiTest, OneOfSeveralIterationsIsNotSkipped) {
  Json body = drawing(9000);
  body["n_iter"] = 2;
  auto reply = std::async(std::launch::async, [&] { return post("/sdapi/v1/txt2img", body); });
  wait_for_progress([](const Json& p) { return p.at("state").at("sampling_step") > 0; });
  EXPECT_EQ(ask("POST", "/sdapi/v1/skip").status, 409);
  EXPECT_EQ(ask("POST", "/sdapi/v1/interrupt").status, 200);
  EXPECT_TRUE(reply.get().at("images").empty());
}

TEST_F(WebuiTest, TheLastIterationIsSkippedAsItIsInterrupted) {
  auto reply = std::async(std::launch::async, [&] { return post("/sdapi/v1/txt2img", drawing(9000)); });
  wait_for_progress([](const Json& p) { return p.at("state").at("sampling_step") > 0; });
  EXPECT_EQ(ask("POST", "/sdapi/v1/skip").body, "null");
  EXPECT_TRUE(reply.get().at("images").empty());
}

TEST_F(WebuiTest, WhatIsFinishedComesBack) {
  Json body = drawing();
  body["n_iter"] = 1000;
  auto reply = std::async(std::launch::async, [&] { return post("/sdapi/v1/txt2img", body); });
  wait_for_progress([](const Json& p) { return p.at("state").at("job_no") >= 2; });
  EXPECT_EQ(ask("POST", "/sdapi/v1/interrupt").status, 200);
  const Json pictures = reply.get();
  const Json info = Json::parse(pictures.at("info").get<std::string>());
  const size_t count = pictures.at("images").size();
  EXPECT_GE(count, 1u);
  EXPECT_LT(count, 1000u);
  EXPECT_EQ(info.at("infotexts").size(), count);
  EXPECT_EQ(info.at("all_seeds").size(), 1000u);
}

// Open WebUI reads `error.message`, others `detail`.
TEST_F(WebuiTest, ErrorsAreInTheFormThatClientsRead) {
  Json body = drawing();
  body["steps"] = "many";
  const Json refused = post("/sdapi/v1/txt2img", body, 400);
  EXPECT_THAT(refused.at("detail").get<std::string>(), HasSubstr("`steps`"));
  EXPECT_EQ(refused.at("error").at("message"), refused.at("detail"));
  body = drawing();
  body["override_settings"] = {{"sd_model_checkpoint", "nowhere"}};
  EXPECT_THAT(post("/sdapi/v1/txt2img", body, 400).at("detail").get<std::string>(), HasSubstr("nowhere"));
  body = drawing();
  body["prompt"] = "<lora:nowhere:1>";  // found wrong once the model is there
  const auto late = ask("POST", "/sdapi/v1/txt2img", body.dump());
  EXPECT_GE(late.status, 400);
  EXPECT_LT(late.status, 500);
  EXPECT_THAT(Json::parse(late.body).at("detail").get<std::string>(), HasSubstr("nowhere"));
  EXPECT_EQ(ask("POST", "/sdapi/v1/txt2img", "{").status, 400);
  EXPECT_EQ(test::ask(server_.port(), "POST", "/sdapi/v1/txt2img", "{}", {"Content-Type: text/plain"}).status, 415);
  EXPECT_EQ(ask("GET", "/sdapi/v1/txt2img").status, 405);
  EXPECT_TRUE(jobs_.drain(std::chrono::minutes(1)));  // nothing is left
}

// Whatever part of the server refuses.
TEST_F(WebuiTest, ErrorsNameTheFieldsThatClientsKnow) {
  Json body = drawing();
  body.update({{"enable_hr", true}, {"denoising_strength", 0}});
  EXPECT_THAT(post("/sdapi/v1/txt2img", body, 400).at("detail").get<std::string>(), HasSubstr("`denoising_strength`"));
  Image black(64, 64);
  body = drawing();
  body["init_images"] = {base64_of_picture(black)};
  body["mask"] = base64_of_picture(black);
  EXPECT_THAT(post("/sdapi/v1/img2img", body, 400).at("detail").get<std::string>(),
              HasSubstr("`inpainting_mask_invert`"));
}

TEST_F(WebuiTest, OverridesStayWhereTheRequestSaysSo) {
  const auto source = [&] { return get("/sdapi/v1/options").at("randn_source"); };
  Json body = drawing();
  body["override_settings"] = {{"randn_source", "CPU"}};
  post("/sdapi/v1/txt2img", body);
  EXPECT_EQ(source(), "NV");
  body["override_settings_restore_afterwards"] = false;
  Json wrong = body;
  wrong["steps"] = "many";
  post("/sdapi/v1/txt2img", wrong, 400);
  EXPECT_EQ(source(), "NV");
  wrong = body;
  wrong.update({{"enable_hr", true}, {"denoising_strength", 0}});  // the library refuses it
  post("/sdapi/v1/txt2img", wrong, 400);
  EXPECT_EQ(source(), "NV");
  post("/sdapi/v1/txt2img", body);
  EXPECT_EQ(source(), "CPU");
}

// What is done otherwise than the request says stands beside the picture.
TEST_F(WebuiTest, WarningsAreInTheReply) {
  Json body = drawing();
  body.update({{"width", 67}, {"sampler_name", "DDIM"}, {"scheduler", "karras"}});
  const Json reply = post("/sdapi/v1/txt2img", body);
  EXPECT_EQ(png_of(reply.at("images").at(0)).image.width, 64);
  const std::string warnings = Json::parse(reply.at("info").get<std::string>()).at("warnings").dump();
  EXPECT_THAT(warnings, HasSubstr("`width` 67"));
  EXPECT_THAT(warnings, HasSubstr("karras"));
}

TEST_F(WebuiTest, WhatOpenWebUIAndSillyTavernDo) {
  EXPECT_EQ(get("/internal/ping"), Json::object());
  Json options = get("/sdapi/v1/options");
  const Json models = get("/sdapi/v1/sd-models");
  ASSERT_EQ(models.size(), 1u);
  EXPECT_EQ(models[0].at("title"), options.at("sd_model_checkpoint"));
  for (const char* field : {"model_name", "hash", "sha256", "filename", "config"})
    EXPECT_TRUE(models[0].contains(field));
  EXPECT_EQ(models[0]["filename"].get<std::string>().find('/'), std::string::npos);
  options["sd_model_checkpoint"] = models[0]["title"];
  EXPECT_TRUE(post("/sdapi/v1/options", options).is_null());
  EXPECT_EQ(get("/sdapi/v1/options"), options);
  EXPECT_THAT(post("/sdapi/v1/options", {{"sd_model_checkpoint", "x"}}, 400).at("detail").get<std::string>(),
              HasSubstr(shelf_.name_of("")));
  const Json upscalers = get("/sdapi/v1/upscalers");
  EXPECT_EQ(upscalers.at(0).at("name"), "None");
  EXPECT_EQ(upscalers.back().at("name"), "4x-sharp");
  EXPECT_EQ(upscalers.back().at("model_path"), "4x-sharp.pth");
  EXPECT_EQ(get("/sdapi/v1/latent-upscale-modes").at(0).at("name"), "Latent");
  EXPECT_EQ(get("/sdapi/v1/loras").at(0).at("name"), "paint");
  EXPECT_EQ(get("/controlnet/model_list").at("model_list"), Json({"edges"}));
  EXPECT_EQ(get("/controlnet/module_list").at("module_list"), Json(web_control_modules()));
  EXPECT_EQ(get("/controlnet/settings").at("control_net_unit_count"), 3);
  const Json all = get("/controlnet/control_types").at("control_types").at("All");
  EXPECT_EQ(all.at("module_list"), Json(web_control_modules()));
  EXPECT_EQ(all.at("model_list"), Json::array({"None", "edges"}));
  EXPECT_EQ(all.at("default_option"), "none");
  EXPECT_GT(get("/sdapi/v1/memory").at("ram").at("total"), 0);
  EXPECT_EQ(get("/sdapi/v1/schedulers").at(0).at("label"), "Automatic");
  EXPECT_TRUE(get("/sdapi/v1/scripts").at("txt2img").empty());
  for (const char* list :
       {"samplers", "sd-vae", "hypernetworks", "face-restorers", "prompt-styles", "script-info", "extensions"})
    EXPECT_TRUE(get(std::string("/sdapi/v1/") + list).is_array()) << list;
  EXPECT_TRUE(get("/sdapi/v1/embeddings").at("loaded").is_object());
  for (const char* what : {"checkpoints", "loras", "vae", "embeddings"})
    EXPECT_EQ(ask("POST", std::string("/sdapi/v1/refresh-") + what).status, 200);
}

}  // namespace
}  // namespace sumi::app
