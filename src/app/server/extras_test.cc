#include "app/server/extras.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <thread>

#include "app/server/native.h"
#include "base/base64.h"
#include "image/png.h"
#include "tests/support/http_client.h"
#include "tests/support/tiny_engine.h"

namespace sumi::app {
namespace {

using Json = nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ExtrasTest : public testing::Test {
 protected:
  ExtrasTest() {
    tools::write_byte_vocabulary(folder_.path());
    std::filesystem::create_directories(folder_ / "loras");
    test::write_tiny_lora(folder_ / "loras/paint.safetensors", 2);
    test::write_file(folder_ / "upscalers/4x.pth", "x");
    test::write_file(folder_ / "vae/soft.pt", "123");
    add_extra_routes(router_, shelf_, library_, background_, {});
    thread_ = std::thread([this] { server_.run(); });
  }
  ~ExtrasTest() override {
    server_.stop();
    thread_.join();
  }

  Json reply_of(const test::HttpAnswer& answer, int status) const {
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(answer.body.find(folder_.path().string()), std::string::npos) << answer.body;
    EXPECT_EQ(answer.body.find(SUMI_TEST_DATA), std::string::npos) << answer.body;
    return Json::parse(answer.body);
  }
  Json get(const std::string& path, int status = 200) const {
    return reply_of(test::ask(server_.port(), "GET", path), status);
  }
  Json plan(const Json& body, int status = 200) const {
    return reply_of(test::ask(server_.port(), "POST", "/v1/plan", body.dump()), status);
  }
  Json settings_of(const std::string& file, int status = 200) const {
    return reply_of(test::ask(server_.port(), "POST", "/v1/settings", file, {"Content-Type: image/png"}), status);
  }
  static std::string error_of(const Json& reply) { return reply.at("error").at("message"); }
  static std::string png_with(const Image& image, const std::string& parameters) {
    const auto bytes = image::encode_png(image, {{"parameters", parameters}});
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  static Image picture(int64_t width = 8, int64_t height = 8) {
    Image white(width, height, 3);
    std::fill(white.pixels.begin(), white.pixels.end(), uint8_t{255});
    return white;
  }
  std::string model() const { return shelf_.list().at(0).name; }

  const test::TempFolder folder_;
  ModelOptions options_ = test::tiny_options(folder_.path());
  Shelf shelf_{{.threads = 2}, {options_}};
  Library library_{{folder_.path()}};
  Router router_;
  HttpServer server_{{}, [this](std::shared_ptr<HttpExchange> exchange) { router_.answer(exchange); }};
  Background background_;
  std::thread thread_;
};

const Json kRequest{{"prompt", "a cat"}, {"width", 64}, {"height", 64}, {"steps", 2}, {"seed", 7}};

std::vector<std::string> names_in(const Json& list) {
  std::vector<std::string> names;
  for (const Json& entry : list) names.push_back(entry.at("name"));
  return names;
}

TEST_F(ExtrasTest, ListsWhatThereIs) {
  const Json options = get("/v1/options");
  EXPECT_EQ(options.at("version"), Engine::version());
  EXPECT_THAT(names_in(options.at("samplers")), testing::IsSupersetOf({"ddim", "euler", "dpmpp_2m"}));
  EXPECT_THAT(names_in(options.at("schedules")), Contains("karras"));
  EXPECT_THAT(options.at("filters"), Contains(Json("lanczos")));
  EXPECT_THAT(options.at("latent_upscalers"), Contains(Json("latent-nearest-exact")));
  EXPECT_EQ(options.at("files").at("loras").at(0).at("name"), "paint");
  EXPECT_EQ(options.at("files").at("vaes"), Json::parse(R"([{"name": "soft", "bytes": 3}])"));
  EXPECT_THAT(options.at("files").at("controls"), IsEmpty());
  EXPECT_EQ(options.at("limits").at("side"), 16384);
  EXPECT_EQ(options.at("limits").at("body_bytes"), 64 << 20);
  EXPECT_GT(options.at("memory").at("free"), 0);
  EXPECT_EQ(options.at("training"), false);
}

// Each word of the lists is one that a request takes.
TEST_F(ExtrasTest, WhatIsListedIsTaken) {
  const Json options = get("/v1/options");
  Json request = kRequest;
  request["init"] = "data:image/png;base64," + base64_of(image::encode_png(picture(64, 64), {}));
  for (const Json& resize : options.at("resize")) {
    request["resize"] = resize;
    plan({{"request", request}});
  }
  Image white = picture(64, 64);
  std::fill(white.pixels.begin(), white.pixels.end(), uint8_t{255});
  request["mask"] = "data:image/png;base64," + base64_of(image::encode_png(white, {}));
  for (const Json& content : options.at("mask_content")) {
    request["mask_content"] = content;
    plan({{"request", request}});
  }
  for (const char* list : {"latent_upscalers", "filters"}) {
    for (const Json& upscaler : options.at(list)) {
      Json twice = kRequest;
      twice["hires"] = {{"scale", 2}, {"upscaler", upscaler}};
      plan({{"request", twice}});
    }
  }
}

TEST_F(ExtrasTest, TellsOfAModel) {
  const Json reply = get("/v1/models/" + model());
  const ModelInfo info = Engine({.threads = 2}).open(options_).info();
  EXPECT_EQ(reply.at("name"), model());
  EXPECT_EQ(reply.at("id"), model());
  EXPECT_EQ(reply.at("family"), info.family);
  EXPECT_EQ(reply.at("default_size"), info.default_size);
  EXPECT_EQ(reply.at("prediction"), info.prediction);
  EXPECT_EQ(reply.at("multiple"), info.multiple);
  EXPECT_GT(reply.at("bytes"), 0);
  EXPECT_EQ(reply.at("loaded"), false);
  EXPECT_THAT(error_of(get("/v1/models/other", 404)), HasSubstr(model()));
  get("/v1/models/other/one", 404);
}

TEST_F(ExtrasTest, PlansWhatAJobWouldBe) {
  const Json reply = plan({{"request", kRequest}});
  const Job job = Engine({.threads = 2})
                      .open(options_)
                      .prepare({.prompts = {"a cat"}, .width = 64, .height = 64, .steps = 2, .seed = 7});
  EXPECT_EQ(reply.at("planned_bytes"), job.settings().planned_bytes);
  EXPECT_GT(reply.at("planned_bytes"), 0);
  EXPECT_THAT(reply.at("memory").get<std::string>(), HasSubstr("needs about"));
  EXPECT_EQ(reply.at("settings").at("sampler"), job.settings().sampler);
  EXPECT_EQ(reply.at("settings").at("model"), model());
  EXPECT_FALSE(get("/v1/models/" + model()).at("loaded"));  // nothing was drawn
  Json request = kRequest;
  request["loras"] = {{{"file", "paint"}, {"weight", 0.5}}};
  EXPECT_EQ(plan({{"request", request}}).at("settings").at("loras").at(0).at("file"), "paint.safetensors");
}

TEST_F(ExtrasTest, PlansAnUpscaling) {
  const std::string data = "data:image/png;base64," + base64_of(image::encode_png(picture(10, 6), {}));
  const Json reply = plan({{"upscaling", {{"picture", data}, {"upscaler", "lanczos"}, {"scale", 3}}}});
  EXPECT_EQ(reply.at("settings").at("width"), 30);
  EXPECT_EQ(reply.at("settings").at("height"), 18);
  EXPECT_GE(reply.at("planned_bytes"), 30 * 18 * 3);
  plan({{"upscaling", {{"picture", data}, {"upscaler", "lanczos"}, {"scale", 65}}}}, 400);
  plan({{"upscaling", {{"picture", data}, {"upscaler", "4x"}, {"scale", 2}}}}, 400);  // no network is in that file
  EXPECT_THAT(error_of(plan({{"upscaling", {{"picture", data}, {"upscaler", "../4x"}, {"scale", 2}}}}, 400)),
              HasSubstr("is not a name"));
}

TEST_F(ExtrasTest, PlansFailAsJobsWould) {
  const auto with = [](const char* name, Json value) {
    Json request = kRequest;
    request[name] = std::move(value);
    return Json{{"request", std::move(request)}};
  };
  EXPECT_THAT(error_of(plan(with("sampler", "none such"), 400)), HasSubstr("none such"));
  EXPECT_THAT(error_of(plan(with("strength", 0.5), 400)), HasSubstr("`strength`"));
  EXPECT_THAT(error_of(plan(with("loras", {{{"file", "oil"}}}), 400)), HasSubstr("there is no LoRA \"oil\""));
  EXPECT_THAT(error_of(plan(with("lora_folder", "/"), 400)), HasSubstr("`lora_folder`"));
  EXPECT_THAT(error_of(plan(with("prompt", "<lora:oil:1>"), 404)), HasSubstr("oil"));
  EXPECT_THAT(error_of(plan({{"request", kRequest}, {"vae", "hard"}}, 400)), HasSubstr("soft"));
  EXPECT_THAT(error_of(plan({{"request", kRequest}, {"model", "../x"}}, 400)), HasSubstr("there is no model"));
  plan(Json::object(), 400);
  reply_of(test::ask(server_.port(), "POST", "/v1/plan", "{}", {"Content-Type: text/plain"}), 415);
}

TEST_F(ExtrasTest, APictureTellsItsSettings) {
  Request request{.prompts = {"a cat"}, .width = 64, .height = 64, .steps = 2, .seed = 7, .seeding = "picture"};
  request.loras = {{.file = (folder_ / "loras/paint.safetensors").string(), .weight = 0.5}};
  const Picture drawn = test::draw(Engine({.threads = 2}).open(options_), request).at(0);
  const Json reply = settings_of(png_with(drawn.image, drawn.parameters));
  EXPECT_EQ(reply.at("from"), "sumi");
  EXPECT_EQ(reply.at("model"), model());
  EXPECT_EQ(reply.at("number"), 0);
  EXPECT_EQ(reply.at("request").at("seed"), 7);
  EXPECT_EQ(reply.at("request").at("loras").at(0).at("file"), "paint");
  EXPECT_EQ(reply.at("with_pictures"), Json::object());
  const Json planned = plan({{"request", reply.at("request")}, {"model", reply.at("model")}});
  EXPECT_EQ(planned.at("settings").at("seed"), 7);
  EXPECT_EQ(planned.at("settings").at("width"), 64);
}

TEST_F(ExtrasTest, WhatIsNotHereIsTold) {
  const Json reply = settings_of(
      png_with(picture(),
               "a cat <lora:paint:0.5> <lora:oil:1>\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, "
               "Seed: 5, Size: 64x64, Model: elsewhere, VAE: hard.pt, Denoising strength: 0.6, Init: start.png"));
  const Json& request = reply.at("request");
  EXPECT_EQ(request.at("loras").size(), 1u);
  EXPECT_EQ(request.at("loras").at(0).at("file"), "paint");
  EXPECT_EQ(request.at("negative_prompt"), "dog");
  EXPECT_EQ(reply.at("model"), "");
  EXPECT_EQ(reply.at("vae"), "");
  const auto untaken = reply.at("untaken").get<std::vector<std::string>>();
  for (const char* name : {"oil", "elsewhere", "hard.pt", "start.png"}) EXPECT_THAT(untaken, Contains(HasSubstr(name)));
  EXPECT_EQ(request.at("init"), "");
  EXPECT_FALSE(request.contains("strength"));
  EXPECT_EQ(reply.at("with_pictures").at("init"), "start.png");
  EXPECT_EQ(reply.at("with_pictures").at("strength"), 0.6);
  plan({{"request", request}});
}

TEST_F(ExtrasTest, OtherFilesHaveNoSettings) {
  EXPECT_THAT(error_of(settings_of("no picture", 400)), HasSubstr("the picture"));
  EXPECT_THAT(error_of(settings_of(png_with(picture(), ""), 400)), HasSubstr("no settings"));
  EXPECT_THAT(error_of(settings_of("", 400)), HasSubstr("the body"));
}

}  // namespace
}  // namespace sumi::app
