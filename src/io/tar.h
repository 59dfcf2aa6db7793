// Lists a tar archive, such as a shard of a webdataset.
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

// The regular files in it, in their order; names as ustar, GNU tar and pax write them. Reads only the headers. Throws
// Error(kNoInput), or Error(kData) with the offset for a file that is not a tar archive, is compressed or is cut short.
std::vector<TarEntry> list_tar(const std::filesystem::path& file);

}  // namespace sumi::io
