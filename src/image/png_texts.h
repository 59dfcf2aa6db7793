// The texts of PNG files.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "image/png.h"

namespace sumi::image {

// The chunks tEXt, zTXt and iTXt of a PNG file, before its pixels and after them, in UTF-8 and up to the first zero
// byte. Takes any bytes. Broken chunks, those after the 64th and what TextList has no room for are left out. libpng
// would unpack all of them at once, up to 256 MB.
std::vector<PngText> png_texts(std::span<const std::byte> file);

}  // namespace sumi::image
