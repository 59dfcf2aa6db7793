// Forms with files, as browsers and clients send them: multipart/form-data (RFC 7578), read strictly.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sumi::app {

struct FormPart {
  std::string name;                     // UTF-8, not empty
  std::optional<std::string> filename;  // as the client calls its file: for messages, never a path here
  std::string type;                     // "image/png"; empty: none was given
  std::string_view body;                // bytes of the form
};

inline constexpr size_t kMostFormParts = 64;
inline constexpr size_t kMostPartHeaders = 16;        // of one part
inline constexpr size_t kMostPartHeaderBytes = 4096;  // of one line
inline constexpr size_t kMostFormNameBytes = 256;     // of a part's name

bool is_form(std::string_view content_type);  // multipart/form-data, in any case

// The parts in their order; they point into `body`. `content_type`: the request's header, with its boundary. Text
// before the first part and after the last, parts in parts, encoded parts and lines that merely begin with the boundary
// are refused. Throws Error(kUsage) with a sentence. Linear time; no memory but for what is in FormPart.
std::vector<FormPart> parse_form(std::string_view body, std::string_view content_type);

}  // namespace sumi::app
