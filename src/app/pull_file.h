// Fetches one file atomically: into NAME.part, resumed, checked, then renamed.
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
  int retries = 3;                          // after the first try, if the connection breaks or the server is busy
  std::chrono::milliseconds backoff{1000};  // before the first retry; doubled for each further one
  int stall_seconds = 30;
  std::function<bool()> cancelled;
};

// True if `path` exists with the known size and checksum; false if neither is known.
bool is_complete(const std::filesystem::path& path, const HubFile& file, const std::function<bool()>& cancelled);

// Fetches `url` to `path`. On failure `path` is unchanged; the bytes received so far stay in `path`.part for the next
// try, unless they are wrong. Throws Error: kData for a wrong size or checksum, kUnavailable if the server cannot be
// reached, kNoInput for a 4xx answer, kCannotCreate and kIo for disk errors, kCancelled.
void pull_file(const std::string& url, const HubFile& file, const std::filesystem::path& path,
               const PullFileOptions& options);

// GET with retries and pauses; returns the last answer if none succeeded. `before_try` is called before each try and
// may change `request.begin`.
HttpResponse get_with_retries(FetchRequest request, const PullFileOptions& options, const HttpSink& sink,
                              const std::function<void(FetchRequest&)>& before_try = {});

// Throws the error for `response`, with what to do next.
[[noreturn]] void fail_for(const std::string& url, const HttpResponse& response);

}  // namespace sumi::app
