// Recognises files that are not models.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace sumi::io {

// Throws Error(kData) for an empty file, a Git-LFS pointer or a web page, with what to do about it.
void check_is_a_model(std::span<const uint8_t> contents, const std::filesystem::path& path);

}  // namespace sumi::io
