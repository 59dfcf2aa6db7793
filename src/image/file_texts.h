// The texts that a picture file carries beside its pixels.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "image/png.h"

namespace sumi::image {

// Of a PNG all its texts, before the pixels and after them, under their keys. Of a JPEG or WebP what programs that draw
// pictures put into Exif: the first user comment as "parameters", and of the description, the make and the model of a
// camera those of the form "prompt:…" and "workflow:…", under those names; of several Exif blocks the first that has
// such texts. UTF-8, whatever the file has; each text of at most 4 MiB, and 8 MiB in all: what is larger is left out.
// Broken Exif is no text. Throws Error(kData) for a broken PNG, and for a file of another kind.
std::vector<PngText> read_texts(std::span<const std::byte> file, const std::string& name);

// The first text under "parameters" that is not empty; null where there is none.
const std::string* parameters_in(const std::vector<PngText>& texts);

struct PictureWithTexts {
  Image image;
  std::vector<PngText> texts;
};

// A picture as read_picture (read.h) reads it, and its texts as above; none of a file of another kind. `name` is what
// messages call it; without one the file's. Throws as read_picture.
PictureWithTexts read_with_texts(const std::filesystem::path& file, const std::string& name = {});

}  // namespace sumi::image
