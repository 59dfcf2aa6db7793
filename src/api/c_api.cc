// The C interface, over the C++ one.
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "api/callbacks.h"
#include "api/guard.h"
#include "api/json.h"
#include "base/check.h"
#include "base/text_util.h"
#include "sumi.h"
#include "sumi/engine.h"

struct sumi_engine {
  sumi::Engine engine;
};

struct sumi_model {
  sumi::Model model;
};

struct sumi_job {
  sumi::Job job;
  sumi_callbacks callbacks;
  void* user;
};

namespace {

using sumi::ErrorKind;
using sumi::fail;
using sumi::api::guarded;

constexpr int64_t kMaxSide = 65535;               // pixels of a picture to write
constexpr int64_t kMaxStride = int64_t{1} << 40;  // keeps products within int64

// `argument`, which must not be NULL.
template <class T> T& given(T* argument, const char* function, const char* name) {
  SUMI_CHECK_KIND(kUsage, argument != nullptr, "{}: {} is NULL", function, name);
  return *argument;
}

// A JSON text. No more of it is looked at than the parser would read.
std::string_view json_text(const char* text, const char* function, const char* name) {
  return {&given(text, function, name), strnlen(text, sumi::api::kMaxJsonBytes + 1)};
}

// Runs body(function), which has the name for messages: a lambda's own __func__ is "operator()".
template <class Body> sumi_status named(const char* function, Body&& body) {
  return guarded([&] { body(function); });
}

// Sets *output to what make(function) returns, a new object or text; to NULL where it fails.
template <class T, class Make> sumi_status produce(T** output, const char* function, const char* name, Make&& make) {
  if (output != nullptr) *output = nullptr;
  return guarded([&] {
    T*& place = given(output, function, name);  // checked before anything is made
    place = make(function);
  });
}

// A copy for the caller, who frees it with sumi_free.
char* copy_of(const std::string& text) {
  auto* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy == nullptr) throw std::bad_alloc();
  return static_cast<char*>(std::memcpy(copy, text.c_str(), text.size() + 1));
}

std::vector<sumi::NamedHelp> list_of(std::string_view what) {
  if (what == "samplers") return sumi::Engine::samplers();
  if (what == "schedules") return sumi::Engine::schedules();
  if (what == "backends") return sumi::Engine::backends();
  fail(ErrorKind::kUsage, "sumi_list: there are \"samplers\", \"schedules\" and \"backends\", no \"{}\"",
       sumi::shorten(sumi::strip_control(what), 40));
}

// The same pixels without what a stride leaves between rows.
sumi::Image packed(const sumi_image& image) {
  const auto [pixels, width, height, stride] = image;
  given(pixels, "sumi_write_png", "image->pixels");
  SUMI_CHECK_KIND(kUsage, width >= 1 && width <= kMaxSide && height >= 1 && height <= kMaxSide,
                  "sumi_write_png: an image of {}x{}; each side must be from 1 to {}", width, height, kMaxSide);
  SUMI_CHECK_KIND(kUsage, stride >= 3 * width && stride <= kMaxStride,
                  "sumi_write_png: the stride is {}; a row of {} RGB pixels has {} bytes", stride, width, 3 * width);
  sumi::Image out(width, height);
  for (int64_t y = 0; y < height; ++y) std::memcpy(out.row(y), pixels + y * stride, static_cast<size_t>(3 * width));
  return out;
}

}  // namespace

extern "C" {

int sumi_abi_version(void) { return SUMI_ABI_VERSION; }

const char* sumi_version(void) {
  static const std::string version = sumi::Engine::version();
  return version.c_str();
}

const char* sumi_error_message(void) { return sumi::api::last_sentence(); }

void sumi_free(char* text) { std::free(text); }

sumi_status sumi_engine_create(const char* options_json, sumi_engine** engine) {
  return produce(engine, __func__, "engine", [&](const char* function) {
    sumi::EngineOptions options;
    if (options_json != nullptr)
      options = sumi::api::parse_engine_options(json_text(options_json, function, "options_json"));
    return new sumi_engine{sumi::Engine(options)};
  });
}

void sumi_engine_free(sumi_engine* engine) { delete engine; }

sumi_status sumi_list(const char* what, char** json) {
  return produce(json, __func__, "json", [&](const char* function) {
    return copy_of(sumi::api::to_json(list_of(&given(what, function, "what"))));
  });
}

sumi_status sumi_model_open(sumi_engine* engine, const char* options_json, sumi_model** model) {
  return produce(model, __func__, "model", [&](const char* function) {
    sumi::Engine& opener = given(engine, function, "engine").engine;
    const auto options = sumi::api::parse_model_options(json_text(options_json, function, "options_json"));
    return new sumi_model{opener.open(options)};
  });
}

void sumi_model_free(sumi_model* model) { delete model; }

sumi_status sumi_model_describe(const sumi_model* model, char** json) {
  return produce(json, __func__, "json", [&](const char* function) {
    return copy_of(sumi::api::to_json(given(model, function, "model").model.info()));
  });
}

sumi_status sumi_model_load(sumi_model* model) {
  return named(__func__, [&](const char* function) { given(model, function, "model").model.load(); });
}

sumi_status sumi_job_create(sumi_model* model, const char* request_json, const sumi_callbacks* callbacks, void* user,
                            sumi_job** job) {
  return produce(job, __func__, "job", [&](const char* function) {
    const sumi::Model& drawer = given(model, function, "model").model;
    const sumi_callbacks known = sumi::api::read_callbacks(callbacks);
    const auto request = sumi::api::parse_request(json_text(request_json, function, "request_json"));
    return new sumi_job{drawer.prepare(request), known, user};
  });
}

void sumi_job_free(sumi_job* job) { delete job; }

sumi_status sumi_job_describe(const sumi_job* job, char** json) {
  return produce(json, __func__, "json", [&](const char* function) {
    return copy_of(sumi::api::to_json(given(job, function, "job").job.settings()));
  });
}

sumi_status sumi_job_run(sumi_job* job) {
  return named(__func__, [&](const char* function) {
    sumi_job& runs = given(job, function, "job");
    runs.job.run(sumi::api::hooks_of(runs.callbacks, runs.user));
  });
}

void sumi_job_cancel(sumi_job* job) {
  if (job != nullptr) guarded([&] { job->job.cancel(); });
}

sumi_status sumi_write_png(const char* path, const sumi_image* image, const char* parameters) {
  return named(__func__, [&](const char* function) {
    const std::string file = &given(path, function, "path");
    sumi::write_png(file, packed(given(image, function, "image")), parameters == nullptr ? "" : parameters);
  });
}

}  // extern "C"
