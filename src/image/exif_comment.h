// Exif blocks that carry a picture's settings, where a file has no texts of its own kind.
#pragma once

#include <string>
#include <string_view>

namespace sumi::image {

// A block (without the "Exif\0\0" that JPEG puts before it) with `text`, UTF-8, as the user comment: UTF-16 with the
// mark "UNICODE", as the web UI writes it. read_texts (file_texts.h) finds it as "parameters". Bytes that are not UTF-8
// become U+FFFD.
std::string exif_comment(std::string_view text);

}  // namespace sumi::image
