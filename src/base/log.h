// Warnings: something is wrong, but the work continues. Printed on standard error unless a sink is set.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <vector>

namespace sumi {

using WarningSink = std::function<void(const std::string& message)>;

// Sends warnings to `sink` from now on (an empty one: to standard error); returns the previous sink.
WarningSink set_warning_sink(WarningSink sink);

// Sends one line to the sink, control characters removed.
void warn_line(const std::string& message);

template <class... Args> void warn(fmt::format_string<Args...> format, Args&&... args) {
  warn_line(fmt::format(format, std::forward<Args>(args)...));
}

// Collects the warnings of a scope instead of printing them, to show them elsewhere.
class CollectWarnings {
 public:
  CollectWarnings();
  ~CollectWarnings();
  CollectWarnings(const CollectWarnings&) = delete;
  CollectWarnings& operator=(const CollectWarnings&) = delete;
  const std::vector<std::string>& messages() const { return messages_; }

 private:
  std::vector<std::string> messages_;
  WarningSink before_;
};

}  // namespace sumi
