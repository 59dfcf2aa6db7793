// What a file is that was given as a ControlNet.
#pragma once

#include <filesystem>

#include "io/checkpoint.h"

namespace sumi::models {

// Throws Error(kData) for a PNG, JPEG, WebP, GIF, BMP, HEIF or AVIF file.
void check_no_picture(const std::filesystem::path& path);

// Throws Error(kData), naming the kind, for a file whose names are not a whole ControlNet's for a UNet.
void check_is_control(const io::Checkpoint& file);

}  // namespace sumi::models
