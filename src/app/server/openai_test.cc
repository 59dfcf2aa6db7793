#include "app/server/openai.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/server/openai_stream.h"
#include "base/base64.h"
#include "base/check.h"
#include "image/file_texts.h"
#include "image/mask.h"
#include "image/png.h"
#include "image/read.h"
#include "tests/support/made_png.h"
#include "tests/support/tiny_engine.h"

namespace sumi::app {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::json;

std::string png_file(int64_t width, int64_t height, const std::string& parameters = "") {
  std::vector<image::PngText> texts;
  if (!parameters.empty()) texts.emplace_back("parameters", parameters);
  const auto bytes = image::encode_png(Image(width, height), texts);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::vector<std::byte> bytes_of(const Json& base64) { return from_base64(base64.get<std::string>()).value(); }

// One job that does what a test says.
class OneJob : public Jobs {
 public:
  std::string submit(Submission given) override {
    if (refuse) refuse();
    ++submissions;
    submission = std::move(given);
    seen.id = "j1";
    return seen.id;
  }
  std::optional<JobView> view(const std::string&) const override { return seen; }
  std::optional<JobState> state(const std::string&) const override { return seen.state; }
  std::vector<JobView> list() const override { return {seen}; }
  std::shared_ptr<const std::string> picture(const std::string&, int64_t number) const override {
    return seen.pictures.at(static_cast<size_t>(number)).png;
  }
  Cancelled cancel(const std::string&) override {
    ++cancelled;
    return Cancelled::kYes;
  }
  bool forget(const std::string&) override { return false; }
  bool forget_picture(const std::string&, int64_t) override { return false; }
  bool move(const std::string&, const std::string&) override { return false; }
  std::unique_ptr<Watch> watch(const std::string&, uint64_t, std::function<void(const JobEvent&)> call) override {
    calls.push_back(std::move(call));
    return std::make_unique<Watch>([this] { calls.clear(); });
  }
  JobCounts counts() const override { return {}; }
  bool drain(milliseconds) override { return true; }

  void tell(const std::string& name, const Json& data = Json::object()) {
    for (const auto& call : std::vector(calls)) call({.number = ++events, .name = name, .data = data.dump()});
  }
  void step(int64_t done, int64_t steps) { tell("step", {{"done", done}, {"steps", steps}}); }
  void preview() {
    const std::string png = png_file(8, 8);
    tell("preview", {{"number", 0}, {"png", base64_of(std::as_bytes(std::span(png)))}});
  }
  void finish(size_t pictures = 1) {
    for (size_t i = 0; i < pictures; ++i)
      seen.pictures.push_back({.number = static_cast<int64_t>(i),
                               .seed = 40 + i,
                               .width = 64,
                               .height = 32,
                               .parameters = "a cat\nSteps: 2",
                               .png = std::make_shared<const std::string>(png_file(64, 32, "a cat\nSteps: 2"))});
    seen.state = JobState::kDone;
    seen.finished = 1700000000.7;
    tell("done");
  }
  void fail(ErrorKind kind, const std::string& sentence) {
    seen.state = JobState::kFailed;
    seen.error = sentence;
    seen.error_kind = kind;
    tell("failed", {{"error", sentence}});
  }

  std::function<void()> refuse;
  Submission submission;
  JobView seen{.settings = R"({"width": 64, "height": 32})"};
  std::vector<std::function<void(const JobEvent&)>> calls;
  int submissions = 0, cancelled = 0;
  uint64_t events = 0;
};

// Keeps a background from what it is given.
class Held {
 public:
  explicit Held(Background& background) {
    const auto begun = std::make_shared<std::promise<void>>();
    background.run([begun, end = end_.get_future().share()] {
      begun->set_value();
      end.wait();
    });
    begun->get_future().wait();
  }
  ~Held() { release(); }
  void release() {
    if (!std::exchange(released_, true)) end_.set_value();
  }

 private:
  std::promise<void> end_;
  bool released_ = false;
};

// What was answered.
struct Answered {
  std::optional<HttpReply> head;
  std::string body;
  bool ended = false;
  std::function<void()> gone;
  int status() const { return head ? head->status : 0; }
  Json json() const { return Json::parse(body); }
};

class FakeExchange : public HttpExchange {
 public:
  FakeExchange(HttpRequest request, std::shared_ptr<Answered> answered)
      : request_(std::move(request)), answered_(std::move(answered)) {}
  const HttpRequest& request() const override { return request_; }
  void reply(HttpReply reply) override {
    begin(std::move(reply));
    end();
  }
  void begin(HttpReply head) override {
    EXPECT_FALSE(answered_->head);
    answered_->body += head.body;
    answered_->head = std::move(head);
  }
  void write(std::string piece) override {
    EXPECT_TRUE(answered_->head && !answered_->ended);
    answered_->body += piece;
  }
  void end() override { answered_->ended = true; }
  size_t waiting() const override { return 0; }
  void on_gone(std::function<void()> call) override { answered_->gone = std::move(call); }

 private:
  HttpRequest request_;
  std::shared_ptr<Answered> answered_;
};

class OpenaiTest : public testing::Test {
 protected:
  OpenaiTest() : shelf_(make_shelf()), waiting_(jobs_, after()) {
    add_openai_routes(router_, jobs_, *shelf_, waiting_, background_, after());
  }

  std::unique_ptr<Shelf> make_shelf() {
    tools::write_byte_vocabulary(folder_.path());
    return std::make_unique<Shelf>(EngineOptions{.threads = 2},
                                   std::vector<ModelOptions>{test::tiny_options(folder_.path())});
  }
  After after() {
    return [this](milliseconds time, std::function<void()> call) {
      const std::lock_guard lock(mutex_);
      (time == milliseconds(0) ? soon_ : later_).push_back(std::move(call));
    };
  }
  // What waits for no time; false: nothing does.
  bool run_soon() {
    bool any = false;
    for (;;) {
      std::deque<std::function<void()>> calls;
      {
        const std::lock_guard lock(mutex_);
        calls.swap(soon_);
      }
      if (calls.empty()) return any;
      any = true;
      for (const auto& call : calls) call();
    }
  }
  void wait_for_background() {
    const auto done = std::make_shared<std::promise<void>>();
    while (!background_.run([done] { done->set_value(); })) std::this_thread::yield();
    done->get_future().wait();
  }
  // With what the background gives it to do.
  void settle() {
    do wait_for_background();
    while (run_soon());
  }
  void let_time_pass() {
    for (const auto& call : std::exchange(later_, {})) call();
    settle();
  }
  std::shared_ptr<Answered> ask(const std::string& path, const std::string& type, const std::string& body,
                                const HttpHeaders& headers = {{"host", "localhost:7860"}}) {
    auto answered = send(path, type, body, headers);
    settle();
    return answered;
  }
  std::shared_ptr<Answered> send(const std::string& path, const std::string& type, const std::string& body,
                                 HttpHeaders headers = {{"host", "localhost:7860"}}) {
    headers.emplace_back("content-type", type);
    auto answered = std::make_shared<Answered>();
    router_.answer(std::make_shared<FakeExchange>(HttpRequest{.method = "POST",
                                                              .path = "/v1/images/" + path,
                                                              .headers = std::move(headers),
                                                              .body = body,
                                                              .peer = "10.0.0.1"},
                                                  answered));
    return answered;
  }
  std::shared_ptr<Answered> generate(const std::string& fields = "") {
    return ask("generations", "application/json; charset=utf-8",
               R"({"prompt": "a cat")" + (fields.empty() ? "" : ", " + fields) + "}");
  }
  void step(int64_t done, int64_t steps) {
    jobs_.step(done, steps);
    settle();
  }
  static void expect_error(const Answered& answered, int status, const std::string& type, const Json& param,
                           const Json& code, const std::string& part) {
    EXPECT_EQ(answered.status(), status);
    ASSERT_TRUE(answered.ended);
    const Json error = answered.json().at("error");
    EXPECT_EQ(error.at("type"), type);
    EXPECT_EQ(error.at("param"), param);
    EXPECT_EQ(error.at("code"), code);
    EXPECT_THAT(error.at("message").get<std::string>(), HasSubstr(part));
  }
  struct Event {
    std::string name;
    Json data;
  };
  static std::vector<Event> events_of(const std::string& body) {
    std::vector<Event> events;
    for (size_t at = 0; at < body.size();) {
      const size_t end = body.find("\n\n", at);
      EXPECT_NE(end, std::string::npos);
      const std::string text = body.substr(at, end - at);
      at = end + 2;
      if (text.starts_with(':')) continue;
      const size_t line = text.find('\n');
      EXPECT_TRUE(text.starts_with("event: ") && text.substr(line).starts_with("\ndata: "));
      events.push_back({text.substr(7, line - 7), Json::parse(text.substr(line + 7))});
    }
    return events;
  }
  static std::vector<std::string> names_of(const std::vector<Event>& events) {
    std::vector<std::string> names;
    for (const Event& event : events) {
      names.push_back(event.name);
      if (event.name != "error") {
        EXPECT_EQ(event.data.at("type"), event.name);
      }
    }
    return names;
  }

  const test::TempFolder folder_;
  std::mutex mutex_;  // of the next two
  std::deque<std::function<void()>> soon_, later_;
  OneJob jobs_;
  std::unique_ptr<Shelf> shelf_;
  Waiting waiting_;
  Router router_;
  Background background_;
};

std::string form_part(const std::string& disposition, const std::string& body) {
  return "--b\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + body + "\r\n";
}
constexpr const char* kForm = "multipart/form-data; boundary=b";
std::string small_edit() {
  return form_part("name=\"image\"; filename=\"a.png\"", png_file(64, 32)) + form_part("name=\"prompt\"", "a dog") +
         "--b--\r\n";
}

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

TEST_F(OpenaiTest, AStreamShowsThePictureInTheMaking) {
  const auto answered = generate(R"("stream": true, "partial_images": 2, "output_format": "jpeg", "quality": "low")");
  EXPECT_TRUE(jobs_.submission.previews);
  jobs_.tell("queued", {{"place", 0}});
  settle();
  EXPECT_FALSE(answered->head);
  for (int64_t done = 0; done <= 9; ++done) {
    step(done, 9);
    if (done > 0) jobs_.preview();
    settle();
  }
  EXPECT_EQ(answered->head->type, "text/event-stream");
  jobs_.finish();
  settle();
  EXPECT_TRUE(answered->ended);
  const auto events = events_of(answered->body);
  ASSERT_THAT(names_of(events), ElementsAre("image_generation.partial_image", "image_generation.partial_image",
                                            "image_generation.completed"));
  for (size_t i = 0; i < events.size(); ++i) {
    const Json& data = events[i].data;
    EXPECT_EQ(data.at("size"), "64x32");
    EXPECT_EQ(data.at("output_format"), "jpeg");
    EXPECT_EQ(data.at("quality"), "low");
    EXPECT_EQ(data.at("background"), "opaque");
    EXPECT_GT(data.at("created_at").get<int64_t>(), 1'600'000'000);
    const Image image = image::decode_picture(bytes_of(data.at("b64_json")), "it");
    EXPECT_EQ(image.width, 64);
    EXPECT_EQ(image.height, 32);
    if (i < 2) {
      EXPECT_EQ(data.at("partial_image_index"), i);
    }
  }
  EXPECT_EQ(events.back().data.at("seed"), 40);
  EXPECT_TRUE(jobs_.calls.empty());  // nobody watches any more
  EXPECT_EQ(jobs_.cancelled, 0);
  let_time_pass();  // no heartbeat comes after the end
}

TEST_F(OpenaiTest, AStreamTellsWhatWentWrong) {
  const auto answered = generate(R"("stream": true)");
  step(0, 9);
  jobs_.fail(ErrorKind::kInternal, "a bug");
  settle();
  EXPECT_EQ(answered->status(), 200);
  EXPECT_TRUE(answered->ended);
  const auto events = events_of(answered->body);
  ASSERT_THAT(names_of(events), ElementsAre("error"));
  EXPECT_EQ(events[0].data.at("error").at("message"), "a bug");
  EXPECT_EQ(events[0].data.at("error").at("type"), "server_error");
}

TEST_F(OpenaiTest, AStreamOfACancelledJobIsNotAskedForAgain) {
  const auto answered = generate(R"("stream": true)");
  jobs_.seen.state = JobState::kCancelled;
  jobs_.tell("cancelled");
  settle();
  expect_error(*answered, 409, "invalid_request_error", nullptr, nullptr, "cancelled");
  EXPECT_THAT(answered->head->headers, testing::Contains(testing::Pair("x-should-retry", "false")));
}

TEST_F(OpenaiTest, AClientThatGoesCancelsTheJob) {
  const auto answered = generate(R"("stream": true)");
  step(0, 9);
  ASSERT_TRUE(answered->gone);
  answered->gone();
  EXPECT_EQ(jobs_.cancelled, 1);
  EXPECT_TRUE(jobs_.calls.empty());
  settle();
  let_time_pass();
  EXPECT_FALSE(answered->ended);
}

TEST_F(OpenaiTest, AStreamIsNeverSilent) {
  const auto answered = generate(R"("stream": true)");
  let_time_pass();
  EXPECT_EQ(answered->body, ": \n\n");
  let_time_pass();
  EXPECT_EQ(answered->body, ": \n\n: \n\n");
  jobs_.finish();
  settle();
  EXPECT_THAT(names_of(events_of(answered->body)), ElementsAre("image_generation.completed"));
}

TEST(ShownSteps, AreSpreadEvenly) {
  const auto shown = [](int64_t wanted, int64_t steps) {
    ShownSteps take(wanted);
    std::vector<int64_t> at;
    for (int64_t done = 0; done <= steps; ++done)
      if (take.take(done, steps)) at.push_back(done);
    return at;
  };
  EXPECT_THAT(shown(0, 20), ElementsAre());
  EXPECT_THAT(shown(1, 20), ElementsAre(10));
  EXPECT_THAT(shown(3, 20), ElementsAre(5, 10, 15));
  EXPECT_THAT(shown(2, 10), ElementsAre(4, 7));
  for (int64_t wanted = 1; wanted <= 3; ++wanted) {
    for (int64_t steps = 1; steps <= 40; ++steps)
      EXPECT_EQ(shown(wanted, steps).size(), static_cast<size_t>(std::min(wanted, steps))) << wanted << " " << steps;
  }
  ShownSteps late(2);  // what was missed is made up for
  EXPECT_TRUE(late.take(9, 10));
  EXPECT_TRUE(late.take(10, 10));
  EXPECT_FALSE(late.take(10, 10));
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
