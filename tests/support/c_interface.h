// The C interface for tests in C++: handles that free themselves, the small synthetic model as options.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "sumi.h"
#include "tests/support/synthetic_models.h"
#include "tests/support/temp_folder.h"

namespace sumi::test {

template <auto kFree> struct Freed {
  template <class T> void operator()(T* object) const { kFree(object); }
};
using EnginePtr = std::unique_ptr<sumi_engine, Freed<sumi_engine_free>>;
using ModelPtr = std::unique_ptr<sumi_model, Freed<sumi_model_free>>;
using JobPtr = std::unique_ptr<sumi_job, Freed<sumi_job_free>>;
using TextPtr = std::unique_ptr<char, Freed<sumi_free>>;

inline EnginePtr make_engine(const char* options = nullptr) {
  sumi_engine* engine = nullptr;
  EXPECT_EQ(sumi_engine_create(options, &engine), SUMI_OK) << sumi_error_message();
  return EnginePtr(engine);
}
inline ModelPtr open_model(sumi_engine* engine, const nlohmann::json& options) {
  sumi_model* model = nullptr;
  EXPECT_EQ(sumi_model_open(engine, options.dump().c_str(), &model), SUMI_OK) << sumi_error_message();
  return ModelPtr(model);
}
inline JobPtr make_job(sumi_model* model, const nlohmann::json& request, const sumi_callbacks* callbacks = nullptr,
                       void* user = nullptr) {
  sumi_job* job = nullptr;
  EXPECT_EQ(sumi_job_create(model, request.dump().c_str(), callbacks, user, &job), SUMI_OK) << sumi_error_message();
  return JobPtr(job);
}
// What a function that fills a char** gives.
template <class Call> nlohmann::json reply(Call&& call) {
  char* text = nullptr;
  EXPECT_EQ(call(&text), SUMI_OK) << sumi_error_message();
  const TextPtr owner(text);
  return nlohmann::json::parse(text == nullptr ? "null" : text);
}

class CInterface : public testing::Test {
 protected:
  CInterface() {
    std::filesystem::create_directory(folder_ / "tokenizer");
    tools::write_byte_vocabulary(folder_ / "tokenizer");
  }

  // Of the small synthetic model.
  nlohmann::json model_options() const {
    return {{"path", synthetic_model().string()},
            {"config", SUMI_TEST_DATA "/tiny.yaml"},
            {"tokenizer", (folder_ / "tokenizer").string()}};
  }
  // Two steps of 64x64, with the fields of `more`.
  static nlohmann::json request(const nlohmann::json& more = nlohmann::json::object()) {
    nlohmann::json json = {{"prompt", "a cat"}, {"width", 64}, {"height", 64}, {"steps", 2}, {"seed", 42}};
    json.update(more);
    return json;
  }

  TempFolder folder_;
};

}  // namespace sumi::test
