// PNG files, by libpng.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "image/image.h"
#include "image/upright.h"

namespace sumi::image {

// Keyword (1 to 79 printable ASCII characters) and text (UTF-8): kept as tEXt where the text is ASCII, else as iTXt.
using PngText = std::pair<std::string, std::string>;

// An RGB picture as the bytes of a PNG file. The same picture and texts give the same bytes.
std::vector<std::byte> encode_png(const Image& image, const std::vector<PngText>& texts = {});

// Writes a PNG file, whole or not at all. Throws Error(kCannotCreate).
void write_png(const std::filesystem::path& path, const Image& image, const std::vector<PngText>& texts = {});

// The same under the first unused name of those that `next` returns, one per call; returns that name. No file is
// replaced, even if other processes write to the folder.
std::filesystem::path write_new_png(const std::function<std::filesystem::path()>& next, const Image& image,
                                    const std::vector<PngText>& texts = {});

struct Png {
  Image image;                 // RGB, 8 bits; palettes and gray are expanded, 16 bits rounded to 8
  std::vector<PngText> texts;  // UTF-8; see png_texts.h
};

// Pictures of more pixels are refused before memory is allocated for them.
inline constexpr int64_t kMaxPixels = 64 << 20;

// See-through pixels are put over `background` (without one they stay, in RGBA), and the picture is turned upright by
// its Exif orientation. Throws Error(kData) with one sentence that names `name` and what is wrong: not a PNG, too
// large, truncated, a bad checksum.
Png decode_png(std::span<const std::byte> bytes, const std::string& name = "the picture",
               const Background& background = kWhite);

// Reads and decodes a file. Throws Error(kNoInput) where it cannot be read.
Png read_png(const std::filesystem::path& path);

}  // namespace sumi::image
