// What is in a tar archive: the shards of a webdataset are such.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sumi::io {

struct TarEntry {
  std::string name;
  uint64_t offset = 0, size = 0;  // of its bytes in the archive
};

// The regular files in it, in their order; names as ustar, GNU tar and pax write them. Reads the headers alone. Throws
// Error(kNoInput), or Error(kData) that names the offset for what is no tar archive, a compressed one, or one that is
// cut short.
std::vector<TarEntry> list_tar(const std::filesystem::path& file);

}  // namespace sumi::io
