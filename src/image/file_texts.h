// The texts that a picture file carries beside its pixels.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "image/png.h"

namespace sumi::image {

// Of a PNG its text chunks before the pixels, under their keys; of a JPEG or WebP what programs that draw pictures put
// into Exif: the user comment as "parameters", and camera fields of the form "prompt:…" and "workflow:…" under those
// names. UTF-8, whatever the file has; no text beyond 4 MiB. Broken Exif is no text. Throws Error(kData) for a broken
// PNG, and for a file of another kind.
std::vector<PngText> read_texts(std::span<const std::byte> file, const std::string& name);

}  // namespace sumi::image
