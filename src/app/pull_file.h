// Fetches one file so that what stands under its name is whole: NAME.part, resumed, checked, then renamed.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "app/pull_http.h"
#include "app/pull_hub.h"

namespace sumi::app {

struct PullFileOptions {
  std::string token;
  bool quiet = false;
  int retries = 3;                          // after the first try, when the line breaks or the server is busy
  std::chrono::milliseconds backoff{1000};  // before the first retry; doubled for each next
  int stall_seconds = 30;
  std::function<bool()> cancelled;
};

// True when `path` is there with the size and the sum that are known of it; never when nothing is known.
bool is_complete(const std::filesystem::path& path, const HubFile& file, const std::function<bool()>& cancelled);

// Fetches `url` to `path`. On failure `path` is as it was; what came so far stays in `path`.part for the next try,
// unless it proved wrong. Throws Error: kData for a wrong size or sum, kUnavailable when the server cannot be reached,
// kNoInput for a 4xx answer, kCannotCreate and kIo for the disk's faults, kCancelled.
void pull_file(const std::string& url, const HubFile& file, const std::filesystem::path& path,
               const PullFileOptions& options);

// GET with the retries and their pauses; the last answer when none of them went well. `request.begin` may be moved by
// `before_try`, which is called before each.
HttpResponse get_with_retries(HttpRequest request, const PullFileOptions& options, const HttpSink& sink,
                              const std::function<void(HttpRequest&)>& before_try = {});

// Throws the error that `response` stands for, in a sentence that says what to do.
[[noreturn]] void fail_for(const std::string& url, const HttpResponse& response);

}  // namespace sumi::app
