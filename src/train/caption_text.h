// The text of a caption, from a file, an archive or JSON: checked and trimmed in one way.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace sumi::train {

inline constexpr uint64_t kMostCaption = 64 << 10;  // bytes, as text::check_prompt allows

// Without a byte order mark and surrounding whitespace.
std::string trimmed(std::string_view text);

// Throws Error(kData), naming `name`, for text that is UTF-16 by its byte order mark.
void check_not_utf16(std::string_view text, const std::string& name);

// A caption's bytes, trimmed. Throws Error(kData) where they are longer than kMostCaption, UTF-16 or no UTF-8; `name`
// is for the message.
std::string caption_of_bytes(std::string_view bytes, const std::string& name);

// The same of a file. Throws Error(kData) also where it is no regular file; Error(kNoInput), Error(kIo).
std::string read_caption(const std::filesystem::path& file);

// The first of "text" and "caption" that is a text and not empty once it is trimmed; empty where there is none.
std::string caption_in(const nlohmann::json& object);

}  // namespace sumi::train
