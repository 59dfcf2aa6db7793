// JSON from untrusted files: bounded size and nesting, UTF-8 only, no repeated keys.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>

namespace sumi::io {

inline constexpr int64_t kMaxConfigBytes = 1 << 20;      // component configurations have a few kB
inline constexpr int64_t kMaxShardIndexBytes = 4 << 20;  // one line a tensor: 0.1 MB for the largest published

// The file's value. Throws Error(kNoInput) if it is missing or not a regular file, Error(kData) if it is larger than
// `max_bytes` or breaks a rule of parse_json; the message is one line with the file and the rule.
// `python_numbers`: see JsonRules.
nlohmann::json read_json_file(const std::filesystem::path& file, int64_t max_bytes = kMaxConfigBytes,
                              bool python_numbers = false);

}  // namespace sumi::io
