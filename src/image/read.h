// Picture files of any kind that sumi reads.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "image/image.h"

namespace sumi::image {

// Whether the name ends as a picture's does: .png, .jpg, .jpeg, .webp, in any case.
bool is_picture_name(const std::filesystem::path& path);

// The bytes of a file of at most 512 MB. Throws Error(kNoInput) where it cannot be read.
std::vector<std::byte> read_file(const std::filesystem::path& path);

// Throws Error(kData) for a picture of more than kMaxPixels; decoders ask before they make room for one.
void check_pixels(int64_t width, int64_t height, const std::string& name);

// Decodes by the file's first bytes, as RGB. Throws Error(kNoInput) where it cannot be read, Error(kData) where it is
// no picture or a broken one.
Image read_picture(const std::filesystem::path& path);

}  // namespace sumi::image
