// UTF-8 that came from outside: decoding it strictly, and making it safe to print.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sumi {

// Decodes the code point at `position` and moves `position` past it. Returns nothing and leaves `position` where the
// bytes are not UTF-8, which includes overlong forms, surrogates and values over U+10FFFF. `position` must be inside.
std::optional<char32_t> decode_utf8(std::string_view text, size_t& position);

// Offset of the first byte that is not UTF-8, or nothing when all is.
std::optional<size_t> find_invalid_utf8(std::string_view text);

// `text` without the byte order mark that some editors begin UTF-8 files with.
std::string_view without_byte_order_mark(std::string_view text);

void append_utf8(std::string& text, char32_t code_point);

// `text` for logs, errors and metadata: line breaks and tabs become spaces, other control characters (C0, DEL, C1)
// vanish, bytes that are not UTF-8 become U+FFFD.
std::string strip_control(std::string_view text);

// `text`, or where it is longer than `bytes` its beginning, cut between two characters, and `ending`. For messages.
std::string shorten(std::string_view text, size_t bytes, std::string_view ending = "…");

// Text of a file or a user inside a sentence: without control characters, and cut to 200 characters.
std::string excerpt(std::string_view text);

// A whole sentence as printed: one of more than 4000 bytes, which repeats a long text, keeps its two ends.
std::string abridged(std::string_view sentence);

}  // namespace sumi
