// A file mapped into memory for reading, safe against the file being cut short meanwhile.
//
// A read beyond a mapped file's new end raises SIGBUS. Here the signal's handler puts a page of zeros under the fault,
// remembers that the file is torn, and lets the read go on; check_mappings_intact() then reports it as an error.
// Whoever computes with mapped weights calls that before it uses the result.
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include "core/storage.h"

namespace sumi::io {

// The mapping as a storage: tensors over it hold the file open. Throws Error(kNoInput) where the path cannot be opened
// and Error(kData) where it is not a regular file.
class MappedFile : public Storage {
 public:
  static std::shared_ptr<MappedFile> open(const std::filesystem::path& path);
  ~MappedFile() override;

  std::span<const uint8_t> contents() const {
    return {reinterpret_cast<const uint8_t*>(data_), static_cast<size_t>(bytes_)};
  }
  const std::filesystem::path& path() const { return path_; }
  // Throws Error(kData) once a read found the file shorter than it was when it was opened.
  void check_intact() const;
  // Gives the pages in memory back; they are read again from the file when they are needed.
  void release_pages() const;

 private:
  MappedFile() = default;
  std::filesystem::path path_;
  int slot_ = -1;
};

// Gives up the pages of every mapped file that were read; a later read brings them back from the system's cache. For
// between the phases of a job, so that the weights of one do not stay resident through the next.
void release_mapped_pages();

// check_intact() of every open mapping.
void check_mappings_intact();

}  // namespace sumi::io
