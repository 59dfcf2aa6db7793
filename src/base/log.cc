#include "base/log.h"

#include <cstdio>
#include <mutex>

#include "base/text_util.h"

namespace sumi {
namespace {

struct Log {
  std::mutex mutex;
  WarningSink sink;
};

Log& the_log() {
  static Log log;
  return log;
}

}  // namespace

WarningSink set_warning_sink(WarningSink sink) {
  const std::lock_guard lock(the_log().mutex);
  std::swap(the_log().sink, sink);
  return sink;
}

void warn_line(const std::string& message) {
  const std::string line = strip_control(message);
  const std::lock_guard lock(the_log().mutex);
  if (the_log().sink) {
    the_log().sink(line);
  } else {
    fmt::print(stderr, "warning: {}\n", line);
  }
}

CollectWarnings::CollectWarnings()
    : before_(set_warning_sink([this](const std::string& message) { messages_.push_back(message); })) {}

CollectWarnings::~CollectWarnings() { set_warning_sink(std::move(before_)); }

}  // namespace sumi
