// What "rejected" means for a broken file: one line that names the file and the rule, within a second of processor
// time, within 64 MB of memory, and nothing written.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>

#include "base/check.h"
#include "tests/support/cpu_seconds.h"

namespace sumi::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;  // slower, with extra memory: the time and memory bounds do not apply
#else
inline constexpr bool kSanitized = false;
#endif

// A line of /proc/self/status such as "VmRSS", in kB; 0 if there is none.
inline int64_t status_kb(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::stoll(line.substr(field.size() + 1));
  }
  return 0;
}

inline std::set<std::filesystem::path> files_beside(const std::filesystem::path& file) {
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(file.parent_path())) files.insert(entry.path());
  return files;
}

// Runs `open`, which must throw Error for `file`; returns its message, or "" and a failed test.
inline std::string rejection(const std::filesystem::path& file, const std::function<void()>& open) {
  const auto before = files_beside(file);
  std::ofstream("/proc/self/clear_refs") << "5";  // resets the peak, if the system allows it
  const int64_t resident = status_kb("VmRSS");
  const double begin = cpu_seconds();
  std::string message;
  try {
    open();
    ADD_FAILURE() << file << " was accepted";
  } catch (const Error& error) {
    message = error.what();
    EXPECT_THAT(error.kind(), testing::AnyOf(ErrorKind::kData, ErrorKind::kNoInput)) << message;
    EXPECT_THAT(message, testing::HasSubstr(file.filename().string()));
    EXPECT_THAT(message, testing::Not(testing::HasSubstr("\n")));
    EXPECT_LT(message.size(), 2000u);
  }
  const double took = cpu_seconds() - begin;
  if (!kSanitized) {
    EXPECT_LT(took, 1.0) << message;
    EXPECT_LT(status_kb("VmHWM") - resident, 64 << 10) << message;
  }
  EXPECT_EQ(files_beside(file), before) << message;
  return message;
}

}  // namespace sumi::test
