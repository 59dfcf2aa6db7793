// The directory of a zip archive, as torch.save writes it: stored entries, zip64 allowed.
//
// The archive is untrusted: every number is checked against the file before it is used. Compressed and encrypted
// entries are refused; torch.save writes neither.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sumi::io {

struct ZipEntry {
  std::string name;
  uint64_t offset = 0, size = 0;  // of its bytes in the file
  uint32_t crc = 0;
};

// Every entry but folders, in the directory's order. Throws Error(kData), the message beginning with `file`.
std::vector<ZipEntry> read_zip_directory(std::span<const uint8_t> contents, const std::string& file);

// Throws Error(kData) unless the entry's bytes have the checksum that the directory gives.
void check_crc(std::span<const uint8_t> contents, const ZipEntry& entry, const std::string& file);

}  // namespace sumi::io
