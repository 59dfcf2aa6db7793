// What the C interface refuses: a status, a sentence, output parameters that are NULL, never a crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "sumi/engine.h"
#include "tests/support/c_interface.h"

namespace sumi::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

template <class T> T* somewhere() { return reinterpret_cast<T*>(static_cast<uintptr_t>(64)); }

class CApiErrors : public test::CInterface {
 protected:
  // Each call must fail with `status` and a sentence with `text`, and set the output that it was given to NULL.
  template <class T, class Call> static void expect_failure(sumi_status status, const std::string& text, Call&& call) {
    T* output = somewhere<T>();
    EXPECT_EQ(call(&output), status) << sumi_error_message();
    EXPECT_THAT(sumi_error_message(), HasSubstr(text));
    EXPECT_THAT(sumi_error_message(), Not(HasSubstr("\n")));
    EXPECT_EQ(output, nullptr) << text;
  }
  void refuse_engine(sumi_status status, const char* options, const std::string& text) {
    expect_failure<sumi_engine>(status, text, [&](auto** out) { return sumi_engine_create(options, out); });
  }
  void refuse_model(sumi_status status, const std::string& options, const std::string& text) {
    expect_failure<sumi_model>(status, text,
                               [&](auto** out) { return sumi_model_open(engine_.get(), options.c_str(), out); });
  }
  void refuse_job(sumi_status status, const std::string& request, const std::string& text) {
    expect_failure<sumi_job>(status, text, [&](auto** out) {
      return sumi_job_create(model_.get(), request.c_str(), nullptr, nullptr, out);
    });
  }

  test::EnginePtr engine_ = test::make_engine();
  test::ModelPtr model_ = test::open_model(engine_.get(), model_options());
};

TEST_F(CApiErrors, NullIsRefusedWhereItIsNotAllowed) {
  const std::string options = model_options().dump();
  EXPECT_EQ(sumi_engine_create(nullptr, nullptr), SUMI_USAGE);
  EXPECT_STREQ(sumi_error_message(), "sumi_engine_create: engine is NULL");
  expect_failure<char>(SUMI_USAGE, "sumi_list: what is NULL", [](char** out) { return sumi_list(nullptr, out); });
  EXPECT_EQ(sumi_list("samplers", nullptr), SUMI_USAGE);
  EXPECT_STREQ(sumi_error_message(), "sumi_list: json is NULL");
  expect_failure<sumi_model>(SUMI_USAGE, "sumi_model_open: engine is NULL",
                             [&](auto** out) { return sumi_model_open(nullptr, options.c_str(), out); });
  expect_failure<sumi_model>(SUMI_USAGE, "sumi_model_open: options_json is NULL",
                             [&](auto** out) { return sumi_model_open(engine_.get(), nullptr, out); });
  EXPECT_EQ(sumi_model_open(engine_.get(), options.c_str(), nullptr), SUMI_USAGE);
  expect_failure<char>(SUMI_USAGE, "sumi_model_describe: model is NULL",
                       [](char** out) { return sumi_model_describe(nullptr, out); });
  EXPECT_EQ(sumi_model_describe(model_.get(), nullptr), SUMI_USAGE);
  EXPECT_EQ(sumi_model_load(nullptr), SUMI_USAGE);
  expect_failure<sumi_job>(SUMI_USAGE, "sumi_job_create: model is NULL",
                           [](auto** out) { return sumi_job_create(nullptr, "{}", nullptr, nullptr, out); });
  expect_failure<sumi_job>(SUMI_USAGE, "sumi_job_create: request_json is NULL",
                           [&](auto** out) { return sumi_job_create(model_.get(), nullptr, nullptr, nullptr, out); });
  EXPECT_EQ(sumi_job_create(model_.get(), R"({"prompt": ""})", nullptr, nullptr, nullptr), SUMI_USAGE);
  expect_failure<char>(SUMI_USAGE, "sumi_job_describe: job is NULL",
                       [](char** out) { return sumi_job_describe(nullptr, out); });
  EXPECT_EQ(sumi_job_run(nullptr), SUMI_USAGE);
  const uint8_t pixel[3] = {};
  const sumi_image image = {pixel, 1, 1, 3};
  EXPECT_EQ(sumi_write_png(nullptr, &image, nullptr), SUMI_USAGE);
  EXPECT_EQ(sumi_write_png("a.png", nullptr, nullptr), SUMI_USAGE);
  // These take it.
  sumi_free(nullptr);
  sumi_engine_free(nullptr);
  sumi_model_free(nullptr);
  sumi_job_free(nullptr);
  sumi_job_cancel(nullptr);
}

TEST_F(CApiErrors, EngineOptions) {
  refuse_engine(SUMI_USAGE, "", "engine options: not valid JSON");
  refuse_engine(SUMI_USAGE, "null", "engine options must be an object");
  refuse_engine(SUMI_USAGE, R"({"thread": 1})", "did you mean `threads`?");
  refuse_engine(SUMI_USAGE, R"({"threads": 1000000})", "`threads` must be from 0 to 1024, not 1000000");
}

TEST_F(CApiErrors, ModelOptions) {
  refuse_model(SUMI_USAGE, "{}", "needs `path`");
  refuse_model(SUMI_NO_INPUT, Json{{"path", folder_ / "absent.ckpt"}}.dump(), "absent.ckpt");
  test::write_file(folder_ / "text.safetensors", "this is no model");
  refuse_model(SUMI_DATA, Json{{"path", folder_ / "text.safetensors"}}.dump(), "text.safetensors");
  Json options = model_options();
  options["backend"] = "abacus";
  refuse_model(SUMI_USAGE, options.dump(), "abacus");
  options["backend"] = "guard";
  refuse_model(SUMI_UNAVAILABLE, options.dump(), "guard");
}

TEST_F(CApiErrors, Requests) {
  refuse_job(SUMI_USAGE, "{\"prompt\": \"\xFF\"}", "not UTF-8");
  refuse_job(SUMI_USAGE, R"({"prompt": "a", "step": 1})", "did you mean `steps`?");
  refuse_job(SUMI_USAGE, request({{"sampler", "abacus"}}).dump(), "abacus");
  refuse_job(SUMI_USAGE, request({{"prompt", std::string("a\0b", 3)}}).dump(), "");
  refuse_job(SUMI_USAGE, request({{"prompt", std::string((64 << 10) + 1, 'a')}}).dump(), "");
  refuse_job(SUMI_USAGE, request({{"seeding", "picture"}, {"fixed_noise", true}}).dump(), "`fixed_noise`");
  refuse_job(SUMI_USAGE, "{\"prompt\": \"" + std::string(100 << 20, 'a') + "\"}", "at most 67108864 are read");
}

TEST_F(CApiErrors, AJobThatCanNeverFitIsUnavailable) {
  const auto engine = test::make_engine(R"({"memory_budget": 1})");
  const auto model = test::open_model(engine.get(), model_options());
  expect_failure<sumi_job>(SUMI_UNAVAILABLE, "", [&](auto** out) {
    return sumi_job_create(model.get(), request().dump().c_str(), nullptr, nullptr, out);
  });
}

TEST_F(CApiErrors, CallbacksOfNoSize) {
  const sumi_callbacks none = {};
  expect_failure<sumi_job>(SUMI_USAGE, "sizeof(sumi_callbacks)", [&](auto** out) {
    return sumi_job_create(model_.get(), request().dump().c_str(), &none, nullptr, out);
  });
}

TEST_F(CApiErrors, UnknownLists) {
  expect_failure<char>(SUMI_USAGE, "no \"models\"", [](char** out) { return sumi_list("models", out); });
  expect_failure<char>(SUMI_USAGE, "sumi_list",
                       [](char** out) { return sumi_list(std::string(1 << 20, 'x').c_str(), out); });
}

TEST_F(CApiErrors, Pictures) {
  const std::vector<uint8_t> pixels(64);
  const std::string path = folder_ / "a.png";
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const auto refuse = [&](const sumi_image& image, const std::string& text) {
    EXPECT_EQ(sumi_write_png(path.c_str(), &image, nullptr), SUMI_USAGE);
    EXPECT_THAT(sumi_error_message(), HasSubstr(text));
  };
  refuse({nullptr, 1, 1, 3}, "image->pixels is NULL");
  for (const int64_t side : {int64_t{0}, int64_t{-1}, kMost}) {
    refuse({pixels.data(), side, 1, 3}, "each side must be from 1 to");
    refuse({pixels.data(), 1, side, 3}, "each side must be from 1 to");
  }
  refuse({pixels.data(), 2, 1, 5}, "the stride is 5; a row of 2 RGB pixels has 6 bytes");
  refuse({pixels.data(), 2, 1, -6}, "the stride is -6");
  refuse({pixels.data(), 2, 3, kMost / 2}, "the stride is");
  EXPECT_FALSE(std::filesystem::exists(path));
  const sumi_image image = {pixels.data(), 4, 4, 12};
  EXPECT_EQ(sumi_write_png((folder_ / "absent" / "a.png").c_str(), &image, nullptr), SUMI_CANNOT_CREATE);
  EXPECT_EQ(sumi_write_png(folder_.path().c_str(), &image, nullptr), SUMI_CANNOT_CREATE);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1) << "only the tokenizer";
}

// The tables of api/fields.h have the engine's own limits: what the parser lets pass at a bound, the engine takes, and
// what the C++ interface is given beyond one, the engine refuses, naming the field.
TEST_F(CApiErrors, TheEngineHasTheTablesLimits) {
  Engine engine;
  const Json options = model_options();
  const Model model =
      engine.open({.path = options["path"], .config = options["config"], .tokenizer = options["tokenizer"]});
  const auto refuse = [&](const std::string& name, auto&& change) {
    Request asked = {.prompts = {"a"}, .width = 64, .height = 64, .steps = 1};
    change(asked);
    try {
      model.prepare(asked);
      ADD_FAILURE() << name << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage) << error.what();
      EXPECT_THAT(error.what(), HasSubstr("`" + name + "`"));
    }
  };
  refuse("prompts", [](Request& asked) { asked.prompts.clear(); });
  for (const int64_t bad : {0, -1, 1'000'001}) {
    refuse("copies", [&](Request& asked) { asked.copies = bad; });
    refuse("iterations", [&](Request& asked) { asked.iterations = bad; });
  }
  for (const int64_t bad : {0, 1025}) refuse("batch", [&](Request& asked) { asked.batch = bad; });
  for (const int64_t bad : {0, -8, 12, 16392}) {
    refuse("width", [&](Request& asked) { asked.width = bad; });
    refuse("height", [&](Request& asked) { asked.height = bad; });
  }
  for (const int64_t bad : {0, 10001}) refuse("steps", [&](Request& asked) { asked.steps = bad; });
  for (const double bad : {-0.1, 1000.5, std::numeric_limits<double>::quiet_NaN()})
    refuse("scale", [&](Request& asked) { asked.scale = bad; });
  for (const double bad : {-0.1, 1.1}) refuse("eta", [&](Request& asked) { asked.eta = bad; });
  refuse("seeding", [](Request& asked) { asked.seeding = "Run"; });
  refuse("rng", [](Request& asked) { asked.rng = "gpu"; });
  refuse("syntax", [](Request& asked) { asked.syntax = ""; });
  refuse("defaults", [](Request& asked) { asked.defaults = "mine"; });
}

}  // namespace
}  // namespace sumi::api
