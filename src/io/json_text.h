// JSON text from outside: bounded, UTF-8 only, no repeated keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "sumi/error.h"

namespace sumi::io {

inline constexpr int kMaxJsonDepth = 64;
inline constexpr size_t kMaxJsonKeyBytes = 64 << 10;
inline constexpr size_t kMaxJsonStringBytes = 1 << 20;  // as it is written: a prompt of 64 KiB in escapes takes 384
inline constexpr size_t kMaxJsonDigits = 1000;          // in a row, of a number

struct JsonRules {
  std::string_view subject;           // what the text is, for messages: "model_index.json", "the request"
  ErrorKind kind = ErrorKind::kData;  // of errors
  size_t max_bytes = SIZE_MAX;
  int max_depth = kMaxJsonDepth;  // of objects and lists in one another
  // Takes NaN, Infinity and -Infinity, which Python's json writes, for texts: whoever needs a number there refuses
  // them.
  bool python_numbers = false;
  // Of a string that begins with "data:": a file that is given whole.
  size_t max_data_bytes = kMaxJsonStringBytes;
  size_t max_values = SIZE_MAX;  // objects, lists and what they hold, so that a small text cannot take much memory
  size_t max_string_bytes = kMaxJsonStringBytes;  // of other strings, as they are written
};

// The value of `text`. Throws Error(rules.kind) if it breaks a rule or a limit above, is not UTF-8, is not one JSON
// value alone, has a number beyond a double, or repeats a key in one object. The message is one line, "SUBJECT: what is
// wrong".
nlohmann::json parse_json(std::string_view text, const JsonRules& rules);

// One line of JSON; bytes that are not UTF-8, of names of files, become U+FFFD.
std::string json_line(const nlohmann::json& json);
std::string json_line(const nlohmann::ordered_json& json);

}  // namespace sumi::io
