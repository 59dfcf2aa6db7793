// HEIC and AVIF files, by libheif. SUMI_WITH_HEIF is defined where sumi is built with it.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "image/upright.h"

namespace sumi::image {

// Whether the bytes begin as a HEIF file's do: an "ftyp" box that names a still picture's brand (heic, avif, mif1, …).
bool is_heif(std::span<const std::byte> bytes);

// The file's primary picture over `background`, as RGB of 8 bits: cropped, turned and mirrored as the file says; its
// Exif orientation repeats that and is not applied. Deeper colours come out as 8 bits. Throws Error(kData),
// naming `name`: broken, cut short, over kMaxPixels, of a kind that the system's libheif has no decoder for, or any
// file where sumi is built without libheif.
Image decode_heif(std::span<const std::byte> bytes, const std::string& name, const Background& background = kWhite);

}  // namespace sumi::image
