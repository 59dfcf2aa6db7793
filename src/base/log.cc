#include "base/log.h"

#include <cstdio>
#include <mutex>
#include <utility>

#include "base/text_util.h"

namespace sumi {
namespace {

struct Log {
  std::mutex mutex;
  WarningSink sink;
};

thread_local WarningScope* t_scope = nullptr;

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

bool has_warning_sink() {
  if (t_scope != nullptr) return true;
  const std::lock_guard lock(the_log().mutex);
  return static_cast<bool>(the_log().sink);
}

void warn_line(const std::string& message) {
  const std::string line = strip_control(abridged(message));
  if (WarningScope* const scope = t_scope; scope != nullptr) {
    struct Outside {
      explicit Outside(WarningScope* outer) : inner(std::exchange(t_scope, outer)) {}
      ~Outside() { t_scope = inner; }
      WarningScope* inner;
    } const outside(scope->outer_);
    return scope->sink_(line);
  }
  const std::lock_guard lock(the_log().mutex);
  if (the_log().sink) {
    the_log().sink(line);
  } else {
    fmt::print(stderr, "warning: {}\n", line);
  }
}

WarningScope::WarningScope(WarningSink sink) : sink_(std::move(sink)), outer_(std::exchange(t_scope, this)) {}

WarningScope::~WarningScope() { t_scope = outer_; }

}  // namespace sumi
