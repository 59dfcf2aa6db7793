// Warnings: something is wrong, but the work continues. They go to the innermost WarningScope of the thread that warns,
// else to the process's sink, else to standard error.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <vector>

namespace sumi {

using WarningSink = std::function<void(const std::string& message)>;

// Sends the process's warnings to `sink` from now on (an empty one: to standard error); returns the previous sink. For
// the program; a library sets scopes.
WarningSink set_warning_sink(WarningSink sink);

// While one lives, its thread's warnings go to `sink` alone; what the sink itself warns of goes to the scope outside,
// so a sink may pass warnings on. Scopes nest and end in reverse order.
class WarningScope {
 public:
  explicit WarningScope(WarningSink sink);
  ~WarningScope();
  WarningScope(const WarningScope&) = delete;
  WarningScope& operator=(const WarningScope&) = delete;

 private:
  friend void warn_line(const std::string& message);

  WarningSink sink_;
  WarningScope* outer_;
};

// Whether somebody takes the thread's warnings: a scope or the process's sink.
bool has_warning_sink();

// Sends one line to the sink, control characters removed.
void warn_line(const std::string& message);

template <class... Args> void warn(fmt::format_string<Args...> format, Args&&... args) {
  warn_line(fmt::format(format, std::forward<Args>(args)...));
}

// Collects the thread's warnings of a scope instead of printing them, to show them elsewhere.
class CollectWarnings {
 public:
  const std::vector<std::string>& messages() const { return messages_; }

 private:
  std::vector<std::string> messages_;
  WarningScope scope_{[this](const std::string& message) { messages_.push_back(message); }};
};

}  // namespace sumi
