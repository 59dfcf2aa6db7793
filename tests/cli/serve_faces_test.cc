// The running server as other programs' clients see it: A1111's API, OpenAI's, the page.
#include <zlib.h>

#include "base/base64.h"
#include "image/png.h"
#include "tests/cli/serve_fixture.h"

namespace sumi::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::string bytes_of(const std::string& base64) {
  const auto bytes = from_base64(base64);
  EXPECT_TRUE(bytes) << base64.substr(0, 60);
  return bytes ? std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()) : std::string();
}

// With the CPU's random numbers, which the command line draws by default.
json webui_drawing(int seed, int steps = 2) {
  return {{"prompt", "a cat"},
          {"width", 64},
          {"height", 64},
          {"steps", steps},
          {"seed", seed},
          {"cfg_scale", 7.5},
          {"sampler_name", "DPM++ 2M"},
          {"scheduler", "Karras"},
          {"override_settings", {{"randn_source", "CPU"}}}};
}

TEST_F(ServeTest, SpeaksTheWebUisApi) {
  start();
  json body = webui_drawing(7);
  body["batch_size"] = 2;
  const HttpAnswer answer = post("/sdapi/v1/txt2img", body.dump());
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json reply = json::parse(answer.body);
  ASSERT_EQ(reply["images"].size(), 2u);
  const json info = json::parse(reply["info"].get<std::string>());
  EXPECT_EQ(info["all_seeds"], (json{7, 8}));
  EXPECT_THAT(info["infotexts"][1].get<std::string>(), HasSubstr("Seed: 8"));
  // Each has the bytes that the command line writes for its seed.
  for (const int seed : {7, 8}) {
    const Outcome drawn =
        sumi(Words{"a cat", "--W", "64", "--H", "64", "--steps", "2", "--seed", std::to_string(seed), "-o", "it.png"} +
             model());
    ASSERT_EQ(drawn.code, 0) << drawn.err;
    EXPECT_EQ(bytes_of(reply["images"][static_cast<size_t>(seed - 7)]), read_bytes(here() / "it.png"));
  }
  // As clients do: what the server is set to goes back whole.
  const std::string options = get("/sdapi/v1/options").body;
  EXPECT_EQ(post("/sdapi/v1/options", options).status, 200);
  EXPECT_EQ(json::parse(get("/sdapi/v1/progress").body)["progress"], 0);
  for (const char* list : {"samplers", "schedulers", "sd-models", "sd-vae", "loras", "upscalers",
                           "latent-upscale-modes", "embeddings", "memory"})
    EXPECT_EQ(get(std::string("/sdapi/v1/") + list).status, 200) << list;
  // The picture begun from, and its settings read again.
  json from = webui_drawing(9);
  from["init_images"] = {reply["images"][0]};
  from["denoising_strength"] = 0.5;
  EXPECT_EQ(post("/sdapi/v1/img2img", from.dump()).status, 200);
  const HttpAnswer read = post("/sdapi/v1/png-info", json{{"image", reply["images"][0]}}.dump());
  EXPECT_EQ(json::parse(read.body)["info"], info["infotexts"][0]);
  const HttpAnswer large =
      post("/sdapi/v1/extra-single-image",
           json{{"image", reply["images"][0]}, {"upscaling_resize", 2}, {"upscaler_1", "Lanczos"}}.dump());
  const std::string png = bytes_of(json::parse(large.body)["image"]);
  EXPECT_EQ(image::decode_png(std::as_bytes(std::span(png)), "it").image.width, 128);
}

TEST_F(ServeTest, SpeaksOpenAisApi) {
  start();
  const json body{{"prompt", "a cat"}, {"size", "64x64"}, {"n", 1}, {"seed", 7}, {"steps", 2}};
  const HttpAnswer answer = post("/v1/images/generations", body.dump());
  ASSERT_EQ(answer.status, 200) << answer.body;
  const std::string png = bytes_of(json::parse(answer.body)["data"][0]["b64_json"]);
  const std::string id = submit(drawing(7));
  events(id);
  EXPECT_EQ(png, get("/v1/jobs/" + id + "/pictures/0").body);
  EXPECT_EQ(json::parse(get("/v1/models").body)["data"][0]["id"], "tiny-f32");
  json streamed = body;
  streamed["stream"] = true;
  streamed["partial_images"] = 1;
  const HttpAnswer stream = post("/v1/images/generations", streamed.dump());
  EXPECT_EQ(stream.header("Content-Type"), "text/event-stream");
  EXPECT_THAT(stream.body, HasSubstr("image_generation.partial_image"));
  EXPECT_THAT(stream.body, HasSubstr("image_generation.completed"));
  const HttpAnswer wrong = post("/v1/images/generations", json{{"prompt", "a"}, {"size", "7x7"}}.dump());
  EXPECT_EQ(wrong.status, 400);
  EXPECT_EQ(json::parse(wrong.body)["error"]["type"], "invalid_request_error");
  EXPECT_EQ(json::parse(wrong.body)["error"]["param"], "size");
}

// Whoever goes takes the drawing with them, on the faces that wait for it.
TEST_F(ServeTest, AClientThatGoesCancels) {
  start();
  for (const auto& [target, body] :
       {std::pair<std::string, json>{"/sdapi/v1/txt2img", webui_drawing(1, 150)},
        {"/v1/images/generations", {{"prompt", "a"}, {"size", "64x64"}, {"steps", 9000}}},
        {"/v1/images/generations", {{"prompt", "a"}, {"size", "64x64"}, {"steps", 9000}, {"stream", true}}}}) {
    std::string id;
    {
      const std::string text = body.dump();
      HttpConnection client(port_);
      client.send("POST " + target +
                  " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
                  std::to_string(text.size()) + "\r\n\r\n" + text);
      ASSERT_TRUE(server_->wait_until([&] {
        const json all = jobs();
        if (all.empty() || all[0]["state"] != "running" || all[0].value("done", 0) == 0) return false;
        id = all[0]["id"];
        return true;
      }));
    }
    ASSERT_TRUE(server_->wait_until([&] { return job(id)["state"] != "running"; }));
    EXPECT_EQ(job(id)["state"], "cancelled") << target;
    EXPECT_EQ(ask(port_, "DELETE", "/v1/jobs/" + id).status, 204);
  }
}

TEST_F(ServeTest, InterruptEndsTheDrawing) {
  start();
  HttpAnswer answer;
  std::thread client([&] { answer = post("/sdapi/v1/txt2img", webui_drawing(1, 150).dump()); });
  ASSERT_TRUE(server_->wait_until([&] { return json::parse(get("/sdapi/v1/progress").body)["progress"] > 0; }));
  EXPECT_EQ(post("/sdapi/v1/interrupt").status, 200);
  client.join();
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(json::parse(answer.body)["images"].size(), 0u);
}

// What the page needs is in the program, and small.
TEST_F(ServeTest, ServesThePage) {
  start();
  const HttpAnswer page = get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.header("Content-Type"), HasSubstr("text/html"));
  EXPECT_THAT(page.header("Content-Security-Policy"), HasSubstr("default-src 'self'"));
  EXPECT_EQ(ask(port_, "GET", "/", "", {"If-None-Match: " + page.header("ETag")}).status, 304);
  size_t compressed = 0, files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(SUMI_WEB_FOLDER)) {
    const std::string name = entry.path().lexically_relative(SUMI_WEB_FOLDER).generic_string();
    if (!entry.is_regular_file() || name.ends_with(".mjs")) continue;
    const HttpAnswer file = get("/" + name);
    EXPECT_EQ(file.body, read_bytes(entry.path())) << name;
    EXPECT_EQ(file.header("X-Content-Type-Options"), "nosniff");
    uLongf size = compressBound(file.body.size());
    std::string out(size, '\0');
    compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(file.body.data()),
             file.body.size());
    compressed += size;
    ++files;
  }
  EXPECT_GT(files, 10u);
  EXPECT_LE(compressed, 150'000u);
  EXPECT_EQ(get("/js/../../../etc/passwd").status, 400);
  EXPECT_EQ(get("/nothing.js").status, 404);
  // A folder in its place.
  write_file(here() / "ui" / "index.html", "<p>mine");
  server_.reset();
  start({"--ui-dir", "ui"});
  EXPECT_EQ(get("/").body, "<p>mine");
  EXPECT_EQ(sumi(Words{"serve", "--ui-dir", "nowhere"} + model()).code, 66);
}

TEST_F(ServeTest, AnotherSitesPageIsLetInByName) {
  start({"--allow-origin", "https://studio.example"});
  const Words from{"Origin: https://studio.example"};
  EXPECT_EQ(ask(port_, "GET", "/v1/models", "", from).header("Access-Control-Allow-Origin"), "https://studio.example");
  const HttpAnswer may =
      ask(port_, "OPTIONS", "/v1/jobs", "", {"Origin: https://studio.example", "Access-Control-Request-Method: POST"});
  EXPECT_EQ(may.status, 204);
  EXPECT_THAT(may.header("Access-Control-Allow-Headers"), HasSubstr("Content-Type"));
  EXPECT_EQ(get("/v1/models").header("Access-Control-Allow-Origin"), "");
  EXPECT_EQ(
      ask(port_, "OPTIONS", "/v1/jobs", "", {"Origin: https://evil.example", "Access-Control-Request-Method: POST"})
          .status,
      403);
}

TEST_F(ServeTest, WritesStructuredLogs) {
  start({"--log", "json"});
  events(submit(drawing(1)));
  server_->send(SIGTERM);
  server_->wait();
  std::istringstream lines(server_->err());
  std::string line;
  size_t jobs = 0, requests = 0;
  while (std::getline(lines, line)) {
    const json entry = json::parse(line);
    jobs += entry["event"] == "job" && entry["state"] == "done";
    requests += entry["event"] == "request" && entry["status"].get<int>() > 0;
  }
  EXPECT_EQ(jobs, 1u);
  EXPECT_GE(requests, 2u);
  EXPECT_EQ(server_->err().find("a cat"), std::string::npos);
}

}  // namespace
}  // namespace sumi::test
