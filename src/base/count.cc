#include "base/count.h"

#include <utility>

namespace sumi {
namespace {

thread_local CountScope* t_scope = nullptr;

}  // namespace

CountScope::CountScope() : outer_(std::exchange(t_scope, this)) {}

CountScope::~CountScope() { t_scope = outer_; }

int64_t CountScope::operator[](std::string_view name) const {
  const auto found = counts_.find(name);
  return found == counts_.end() ? 0 : found->second;
}

void count(std::string_view name) {
  if (t_scope == nullptr) return;
  std::map<std::string, int64_t, std::less<>>& counts = t_scope->counts_;
  const auto found = counts.find(name);
  if (found == counts.end()) {
    counts.emplace(name, 1);
  } else {
    ++found->second;
  }
}

}  // namespace sumi
