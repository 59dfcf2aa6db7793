// Counts of what happened, for tests: that a job makes one sampling grid, or parses each prompt once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace sumi {

// While one lives, it counts what its thread does. Scopes nest: only the innermost counts. They end in reverse order,
// on the thread where they began; other threads count in scopes of their own.
class CountScope {
 public:
  CountScope();
  ~CountScope();
  CountScope(const CountScope&) = delete;
  CountScope& operator=(const CountScope&) = delete;

  // How often `name` was counted since the scope began; 0 for a name that nothing counts.
  int64_t operator[](std::string_view name) const;

 private:
  friend void count(std::string_view name);

  std::map<std::string, int64_t, std::less<>> counts_;
  CountScope* outer_;
};

// Adds one to `name` in the thread's innermost scope. Without a scope it does nothing but look for one.
void count(std::string_view name);

}  // namespace sumi
