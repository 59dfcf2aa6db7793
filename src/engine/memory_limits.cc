// How much memory the system can give: /proc, resource limits and control groups. Declared in memory_plan.h.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/memory_plan.h"

namespace sumi::engine {
namespace {

namespace fs = std::filesystem;

// The number in a one-line file; nullopt if the file is absent or says "max".
std::optional<int64_t> read_number(const fs::path& path) {
  std::ifstream file(path);
  int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

// The number after `key` in a file of "key value" lines.
std::optional<int64_t> read_field(const fs::path& path, const std::string& key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string name;
    int64_t value = 0;
    if (words >> name >> value && name == key) return value;
  }
  return std::nullopt;
}

void lower(std::optional<int64_t>& limit, std::optional<int64_t> other) {
  if (other) limit = limit ? std::min(*limit, *other) : *other;
}

// What the control group of `folder` may still allocate; its cached files can be dropped.
std::optional<int64_t> left_in_group(const fs::path& folder, const char* limit_file, const char* usage_file) {
  const auto limit = read_number(folder / limit_file);
  const auto usage = read_number(folder / usage_file);
  if (!limit || !usage || *limit > (int64_t{1} << 60))
    return std::nullopt;  // version 1 writes "no limit" as a huge number
  int64_t cached = 0;
  for (const char* key : {"inactive_file", "active_file"})
    cached += read_field(folder / "memory.stat", key).value_or(0);
  return std::max<int64_t>(*limit - std::max<int64_t>(*usage - cached, 0), 0);
}

// The group this process is in and those above it, versions 2 and 1.
std::optional<int64_t> left_in_groups() {
  std::optional<int64_t> left;
  std::ifstream groups("/proc/self/cgroup");
  std::string line;
  while (std::getline(groups, line)) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool version2 = controllers.empty();
    if (!version2 && controllers.find("memory") == std::string::npos) continue;
    const fs::path root = version2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    fs::path below = fs::path(line.substr(second + 1)).relative_path();
    for (;; below = below.parent_path()) {
      lower(left, version2 ? left_in_group(root / below, "memory.max", "memory.current")
                           : left_in_group(root / below, "memory.limit_in_bytes", "memory.usage_in_bytes"));
      if (below.empty()) break;
    }
  }
  return left;
}

}  // namespace

MemoryLimits memory_limits() {
  MemoryLimits limits;
  if (const auto kilobytes = read_field("/proc/meminfo", "MemAvailable:")) limits.available = *kilobytes * 1024;
  lower(limits.available, left_in_groups());
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    const int64_t used = read_number("/proc/self/statm").value_or(0) * sysconf(_SC_PAGESIZE);
    limits.address_space =
        std::max<int64_t>(static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, INT64_MAX)) - used, 0);
  }
  return limits;
}

int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t pages = 0, resident = 0;
  return file >> pages >> resident ? resident * sysconf(_SC_PAGESIZE) : 0;
}

}  // namespace sumi::engine
