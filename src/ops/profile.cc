#include "ops/profile.h"

#include <algorithm>

namespace sumi {

std::vector<Profile::Line> Profile::lines() const {
  std::vector<Line> lines;
  lines.reserve(lines_.size());
  for (const auto& [key, line] : lines_) {
    lines.push_back(line);
    lines.back().op = key.first;
    lines.back().shape = key.second;
  }
  std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.seconds > b.seconds; });
  return lines;
}

}  // namespace sumi
