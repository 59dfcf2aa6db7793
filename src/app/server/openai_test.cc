#include "app/server/openai.h"

#include "app/server/openai_reply.h"
#include "app/server/openai_request.h"
#include "base/check.h"
#include "image/file_texts.h"
#include "image/mask.h"
#include "image/read.h"
#include "tests/support/made_png.h"
#include "tests/support/openai_fixture.h"

namespace sumi::app {
namespace {

using testing::ElementsAre;

TEST_F(OpenaiTest, PicturesComeInTheReply) {
  const auto answered = generate(R"("n": 2, "seed": 40)");
  EXPECT_FALSE(answered->head);
  EXPECT_EQ(jobs_.submission.client, "10.0.0.1");
  EXPECT_EQ(jobs_.submission.request.copies, 2);
  jobs_.seen.warnings = {"the prompt was cut"};
  jobs_.finish(2);
  settle();
  ASSERT_TRUE(answered->ended);
  EXPECT_EQ(answered->status(), 200);
  const Json json = answered->json();
  EXPECT_EQ(json.at("created"), 1700000000);
  EXPECT_EQ(json.at("size"), "64x32");
  EXPECT_EQ(json.at("output_format"), "png");
  EXPECT_EQ(json.at("background"), "opaque");
  EXPECT_EQ(json.at("quality"), "auto");
  EXPECT_EQ(json.at("warnings"), Json::array({"the prompt was cut"}));
  EXPECT_FALSE(json.contains("usage"));
  ASSERT_EQ(json.at("data").size(), 2u);
  EXPECT_EQ(json["data"][1].at("seed"), 41);
  const std::string png = png_file(64, 32, "a cat\nSteps: 2");
  EXPECT_EQ(json["data"][0].at("b64_json"), base64_of(std::as_bytes(std::span(png))));
}

TEST_F(OpenaiTest, UrlsNameTheServerAsTheClientDoes) {
  const auto answered = generate(R"("response_format": "url")");
  jobs_.finish();
  settle();
  const Json entry = answered->json().at("data").at(0);
  EXPECT_EQ(entry.at("url"), "http://localhost:7860/v1/jobs/j1/pictures/0");
  EXPECT_FALSE(entry.contains("b64_json"));
}

TEST_F(OpenaiTest, UrlsFollowAProxyWithTls) {
  const auto url_with = [&](HttpHeaders headers) {
    jobs_.seen = {};
    headers.emplace_back("host", "pictures.example");
    const auto answered =
        ask("generations", "application/json", R"({"prompt": "a cat", "response_format": "url"})", headers);
    jobs_.finish();
    settle();
    return answered->json().at("data").at(0).at("url").get<std::string>();
  };
  const std::string rest = "://pictures.example/v1/jobs/j1/pictures/0";
  EXPECT_EQ(url_with({{"x-forwarded-proto", "https"}}), "https" + rest);
  for (const char* other : {"http", "HTTPS", "https, http", "javascript"})
    EXPECT_EQ(url_with({{"x-forwarded-proto", other}}), "http" + rest) << other;
}

TEST_F(OpenaiTest, UrlsNeedAHost) {
  const std::string body = R"({"prompt": "a cat", "response_format": "url"})";
  for (const HttpHeaders& headers : {HttpHeaders{}, HttpHeaders{{"host", ""}}})
    expect_error(*ask("generations", "application/json", body, headers), 400, "invalid_request_error",
                 "response_format", "invalid_value", "Host");
  EXPECT_EQ(jobs_.submissions, 0);
}

TEST_F(OpenaiTest, OnlyRequestsWithASeedAreJoined) {
  generate();
  generate();
  EXPECT_EQ(jobs_.submissions, 2);
  const auto one = generate(R"("seed": 7)"), other = generate(R"("seed": 7)");
  EXPECT_EQ(jobs_.submissions, 3);
  jobs_.finish();
  settle();
  EXPECT_TRUE(one->ended && other->ended);
}

TEST_F(OpenaiTest, FilesAreMadeInTheBackground) {
  for (const char* stream : {"false", "true"}) {
    jobs_.seen = {};
    const auto answered = generate(fmt::format(R"("output_format": "webp", "stream": {})", stream));
    Held held(background_);
    jobs_.finish();
    run_soon();
    EXPECT_FALSE(answered->ended) << stream;
    held.release();
    settle();
    EXPECT_TRUE(answered->ended) << stream;
    EXPECT_EQ(answered->status(), 200);
  }
}

TEST_F(OpenaiTest, AFullBackgroundLosesNoPicture) {
  for (const char* stream : {"false", "true"}) {
    jobs_.seen = {};
    const auto answered = generate(fmt::format(R"("stream": {})", stream));
    Held held(background_);
    while (background_.run([] {})) {
    }
    jobs_.finish();
    run_soon();
    EXPECT_TRUE(answered->ended) << stream;
    EXPECT_EQ(answered->status(), 200);
  }
}

TEST_F(OpenaiTest, APictureThatCannotBeEncodedIsAnError) {
  const auto answered = generate(R"("stream": true, "output_format": "webp")");
  jobs_.finish();
  jobs_.seen.pictures[0].png = std::make_shared<const std::string>("no PNG");
  settle();
  EXPECT_EQ(answered->status(), 400);
  EXPECT_TRUE(answered->ended);
  EXPECT_TRUE(jobs_.calls.empty());
}

TEST_F(OpenaiTest, EditsAreReadInTheBackground) {
  Held held(background_);
  const auto answered = send("edits", kForm, small_edit());
  run_soon();
  EXPECT_EQ(jobs_.submissions, 0);
  held.release();
  settle();
  EXPECT_EQ(jobs_.submissions, 1);
  EXPECT_EQ(jobs_.submission.client, "10.0.0.1");
  jobs_.finish();
  settle();
  EXPECT_EQ(answered->status(), 200);
}

TEST_F(OpenaiTest, NothingIsDrawnForAClientThatWentBeforeItsEditWasRead) {
  const auto before = [&] {  // its turn
    Held held(background_);
    const auto answered = send("edits", kForm, small_edit());
    answered->gone();
  };
  const auto after = [&] {  // its turn, and before the server's thread goes on with it
    const auto answered = send("edits", kForm, small_edit());
    wait_for_background();
    answered->gone();
  };
  before();
  settle();
  after();
  settle();
  EXPECT_EQ(jobs_.submissions, 0);
}

TEST_F(OpenaiTest, EditsAreRefusedWhereTooManyWaitToBeRead) {
  Held held(background_);
  while (background_.run([] {})) {
  }
  const auto answered = send("edits", kForm, small_edit());
  expect_error(*answered, 503, "server_error", nullptr, nullptr, "ask again");
  EXPECT_THAT(answered->head->headers, testing::Contains(testing::Pair("Retry-After", "2")));
}

TEST_F(OpenaiTest, FilesOfOtherFormatsKeepTheParameters) {
  jobs_.finish();
  for (const std::string format : {"jpeg", "webp"}) {
    OpenaiRequest asked{.format = format == "jpeg" ? FileFormat::kJpeg : FileFormat::kWebp};
    const Json json = Json::parse(pictures_reply(jobs_, jobs_.seen, asked, "x").body);
    EXPECT_EQ(json.at("output_format"), format);
    const auto file = bytes_of(json.at("data").at(0).at("b64_json"));
    EXPECT_EQ(image::decode_picture(file, "it").width, 64);
    EXPECT_EQ(*image::parameters_in(image::read_texts(file, "it")), "a cat\nSteps: 2");
  }
}

TEST_F(OpenaiTest, RefusalsHaveOpenaisForm) {
  const std::string wrong = "invalid_request_error";
  expect_error(*generate(R"("model": "none")"), 404, wrong, "model", "model_not_found", "there is no model");
  expect_error(*generate(R"("nn": 1)"), 400, wrong, "nn", "unknown_parameter", "Unknown parameter: 'nn'.");
  expect_error(*ask("generations", "application/json", "{"), 400, wrong, nullptr, nullptr, "the body");
  expect_error(*ask("generations", "text/plain", "{}"), 415, wrong, nullptr, "unsupported_media_type", "JSON");
  expect_error(*ask("edits", "application/json", "{}"), 415, wrong, nullptr, "unsupported_media_type", "form");
  expect_error(*ask("edits", "multipart/form-data", ""), 400, wrong, nullptr, nullptr, "boundary");
  for (const char* stream : {"false", "true"}) {
    const std::string fields = fmt::format(R"("stream": {})", stream);
    jobs_.refuse = [] { throw QueueIsFull("5 jobs are waiting already"); };
    const auto full = generate(fields);
    expect_error(*full, 429, "rate_limit_error", nullptr, "rate_limit_exceeded", "waiting");
    EXPECT_THAT(full->head->headers, testing::Contains(testing::Pair("Retry-After", "30")));
    jobs_.refuse = [] { sumi::fail(ErrorKind::kUsage, "`width` must be a multiple of 8"); };
    expect_error(*generate(fields), 400, wrong, "size", nullptr, "multiple of 8");
    jobs_.refuse = [] { sumi::fail(ErrorKind::kUnavailable, "the server is closing down"); };
    expect_error(*generate(fields), 503, "server_error", nullptr, nullptr, "closing");
  }
}

TEST_F(OpenaiTest, FailuresOfTheJobHaveTheirStatus) {
  for (const char* stream : {"false", "true"}) {
    jobs_.seen = {.id = "j1"};
    const auto answered = generate(fmt::format(R"("stream": {})", stream));
    jobs_.fail(ErrorKind::kUsage, "`steps` are wrong");
    settle();
    expect_error(*answered, 400, "invalid_request_error", "steps", nullptr, "are wrong");
    jobs_.seen = {.id = "j1"};
    const auto other = generate(fmt::format(R"("stream": {}, "seed": 2)", stream));
    jobs_.fail(ErrorKind::kInternal, "a bug");
    settle();
    expect_error(*other, 500, "server_error", nullptr, nullptr, "a bug");
  }
}

// An edit as the engine draws it: what the mask leaves stays to the byte.
TEST_F(OpenaiTest, AnEditKeepsWhatTheMaskLeaves) {
  std::string rgb, rgba;
  for (int y = 0; y < 64; ++y) {
    for (int x = 0; x < 64; ++x) {
      const std::string colour{static_cast<char>(3 * x), static_cast<char>(2 * y), '\x50'};
      rgb += colour;
      rgba += colour + static_cast<char>(x < 32 ? 0 : 255);
    }
  }
  const std::string image = test::made_png({.width = 64, .height = 64, .colour_type = 2, .pixels = rgb}),
                    mask = test::made_png({.width = 64, .height = 64, .pixels = rgba});
  const std::string form = form_part("name=\"image\"; filename=\"a.png\"", image) +
                           form_part("name=\"mask\"; filename=\"m.png\"", mask) +
                           form_part("name=\"prompt\"", "a dog") + form_part("name=\"steps\"", "4") +
                           form_part("name=\"seed\"", "3") + form_part("name=\"stream\"", "true") + "--b--\r\n";
  const auto answered = ask("edits", kForm, form);
  const Model model = shelf_->get("");
  std::vector<std::string> warnings;
  std::vector<Picture> pictures;
  Job job = model.prepare(jobs_.submission.request);
  job.run({.picture = [&](Picture&& picture) { pictures.push_back(std::move(picture)); },
           .warning = [&](const std::string& sentence) { warnings.push_back(sentence); }});
  ASSERT_EQ(pictures.size(), 1u);
  const Image given = image::decode_png(std::as_bytes(std::span(image))).image, &drawn = pictures[0].image;
  ASSERT_EQ(drawn.width, 64);
  int64_t changed = 0;
  for (int64_t y = 0; y < 64; ++y) {
    for (int64_t x = 0; x < 64; ++x) {
      const bool same = std::equal(drawn.row(y) + 3 * x, drawn.row(y) + 3 * x + 3, given.row(y) + 3 * x);
      if (x >= 48) {  // beyond the soft edge of the mask
        EXPECT_TRUE(same) << x << " " << y;
      }
      if (x < 32 && !same) ++changed;
    }
  }
  EXPECT_GT(changed, 1000);
  EXPECT_THAT(warnings, testing::Not(testing::Contains(HasSubstr("mask_content"))));
  jobs_.finish();
  settle();
  EXPECT_THAT(names_of(events_of(answered->body)), ElementsAre("image_edit.completed"));
}

}  // namespace
}  // namespace sumi::app
