// Named things that register themselves: samplers, schedules, families. Adding one touches only its own file.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace sumi {

// T has a member `name`. Entries come in the order of their names, whatever order the linker chose.
template <class T> class Registry {
 public:
  static Registry& instance() {
    static Registry registry;
    return registry;
  }
  void add(T entry) {
    const auto at = std::upper_bound(entries_.begin(), entries_.end(), entry,
                                     [](const T& a, const T& b) { return a.name < b.name; });
    entries_.insert(at, std::move(entry));
  }
  const std::vector<T>& entries() const { return entries_; }
  const T* find(std::string_view name) const {
    for (const T& entry : entries_) {
      if (entry.name == name) return &entry;
    }
    return nullptr;
  }

 private:
  std::vector<T> entries_;
};

// A static `const Registration kFoo{Entry{…}}` at the end of a file registers the entry.
template <class T> struct Registration {
  explicit Registration(T entry) { Registry<T>::instance().add(std::move(entry)); }
};

}  // namespace sumi
