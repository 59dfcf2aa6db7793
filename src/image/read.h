// Picture files of any kind that sumi reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/image.h"
#include "image/upright.h"

namespace sumi::image {

// Whether the name has a picture's ending: .png, .jpg, .jpeg, .jpe, .jfif, .webp, .bmp, .gif, in any case; where sumi
// is built with libheif also .heic, .heif, .hif, .avif.
bool is_picture_name(const std::filesystem::path& path);

// "PNG, JPEG, …": what this build reads, for messages.
std::string_view picture_kinds();

// A whole file, or a part of one.
struct FilePart {
  std::filesystem::path path;
  uint64_t offset = 0;
  std::optional<uint64_t> size = {};  // unset: to its end
};

// The bytes, at most 512 MB. Throws Error(kNoInput) where they cannot be read.
std::vector<std::byte> read_file(const FilePart& part);

// Throws Error(kData) for a picture of more than kMaxPixels; decoders call this before they allocate.
void check_pixels(int64_t width, int64_t height, const std::string& name);

// Decodes by the file's first bytes, as RGB, upright by its Exif orientation, see-through pixels over `background`; of
// an animation the first frame. Throws Error(kNoInput) where it cannot be read, Error(kData) where it is not a picture
// or is broken.
Image read_picture(const FilePart& part, const std::string& name = {},  // no name: the file's
                   const Colour& background = kWhite);
// The same for a whole file's bytes; `name` is what messages call it. Without a background a file with opacity gives
// RGBA.
Image decode_picture(const std::vector<std::byte>& bytes, const std::string& name,
                     const Background& background = kWhite);

}  // namespace sumi::image
