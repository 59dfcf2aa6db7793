// What was passed over while pictures were looked for, and why.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace sumi::train {

// Each reason with how many, and the first of them.
class LeftOut {
 public:
  void add(const std::string& reason, const std::string& name);
  bool empty() const { return reasons_.empty(); }
  // "3 hidden files (a/.b.png, …); 1 picture of a kind that is not read (c.heic)"
  std::string str() const;

 private:
  struct Some {
    int64_t count = 0;
    std::string first;
  };
  std::map<std::string, Some> reasons_;
};

}  // namespace sumi::train
