// Reading whole text files that somebody names: never a pipe or a device, never more than a bound.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace sumi {

// The bytes of a regular file. Opening never waits: a pipe, a device, a socket or a folder is refused with
// Error(kNoInput), as is a file that is missing or cannot be read; one of more than `limit` bytes with Error(kData).
// What is appended while it is read is left out.
std::string read_small_file(const std::filesystem::path& path, int64_t limit);

}  // namespace sumi
