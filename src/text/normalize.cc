#include "text/normalize.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/text_util.h"

namespace sumi::text {
namespace {

constexpr size_t kMaxPromptBytes = 64 << 10;

// Unicode's White_Space property.
bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

int combining_class(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

// Unicode's canonical decomposition. Runs of combining marks are put in order here, by a stable sort: utf8proc's own
// sort is quadratic in their length, and a prompt may be one long run.
std::vector<utf8proc_int32_t> decompose(std::string_view text) {
  std::vector<utf8proc_int32_t> result;
  result.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    const auto code_point = static_cast<utf8proc_int32_t>(*decode_utf8(text, position));
    constexpr int kLongest = 8;  // no canonical decomposition has more than 4 characters
    utf8proc_int32_t parts[kLongest];
    int boundary = 0;
    const auto options = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE);
    const auto count = utf8proc_decompose_char(code_point, parts, kLongest, options, &boundary);
    SUMI_CHECK_KIND(kInternal, count >= 0 && count <= kLongest, "U+{:04X} cannot be normalised",
                    static_cast<uint32_t>(code_point));
    result.insert(result.end(), parts, parts + count);
  }
  const auto starts_a_run = [](utf8proc_int32_t c) { return combining_class(c) != 0; };
  for (auto begin = result.begin(); begin != result.end();) {
    begin = std::find_if(begin, result.end(), starts_a_run);
    const auto end = std::find_if_not(begin, result.end(), starts_a_run);
    std::stable_sort(begin, end, [](auto a, auto b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
  return result;
}

void append_lower(std::string& text, char32_t c) {
  if (c == 0x130) {  // the one letter whose lower case is two characters everywhere: i and a dot above
    text += "i\xCC\x87";
  } else {
    append_utf8(text, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  }
}

}  // namespace

void check_prompt(std::string_view prompt) {
  SUMI_CHECK_KIND(kUsage, prompt.size() <= kMaxPromptBytes, "the prompt has {} bytes; at most {} are taken",
                  prompt.size(), kMaxPromptBytes);
  const size_t nul = prompt.find('\0');
  SUMI_CHECK_KIND(kUsage, nul == std::string_view::npos, "the prompt has a NUL character at byte {}", nul);
  const auto invalid = find_invalid_utf8(prompt);
  SUMI_CHECK_KIND(kUsage, !invalid, "the prompt is not UTF-8 at byte {}", *invalid);
}

std::string clean_prompt(std::string_view prompt) {
  std::vector<utf8proc_int32_t> characters = decompose(prompt);
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
  const auto composed =
      utf8proc_normalize_utf32(characters.data(), static_cast<utf8proc_ssize_t>(characters.size()), options);
  SUMI_CHECK_KIND(kInternal, composed >= 0, "the prompt cannot be normalised: {}", utf8proc_errmsg(composed));
  characters.resize(static_cast<size_t>(composed));

  std::string result;
  result.reserve(prompt.size());
  bool after_space = false;
  for (const utf8proc_int32_t character : characters) {
    const auto c = static_cast<char32_t>(character);
    const bool space = is_space(c);
    if (!space) {
      append_lower(result, c);
    } else if (!after_space) {
      result.push_back(' ');
    }
    after_space = space;
  }
  return result;
}

}  // namespace sumi::text
