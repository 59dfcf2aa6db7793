// A file mapped into memory for reading, safe against the file being cut short or written over meanwhile.
//
// A read beyond a mapped file's new end raises SIGBUS, which ends the process, unless it called
// catch_truncated_files(): then the signal's handler puts a page of zeros under the fault, remembers that the file is
// torn, and lets the read continue; check_intact() reports it as an error. What raises no signal, a file cut within its
// last page or written over in place (cp), shows in its size and time of change. Call check_intact() after computing
// with mapped weights, before using the result.
#pragma once

#include <ctime>
#include <filesystem>
#include <memory>
#include <span>

#include "core/buffer.h"

namespace sumi::io {

// The mapping as a buffer: tensors over it hold the file open. Throws Error(kNoInput) where the path cannot be opened
// and Error(kData) where it is not a regular file.
class MappedFile : public Buffer {
 public:
  static std::shared_ptr<MappedFile> open(const std::filesystem::path& path);
  ~MappedFile() override;

  std::span<const uint8_t> contents() const {
    return {static_cast<const uint8_t*>(handle_), static_cast<size_t>(bytes_)};
  }
  const std::filesystem::path& path() const { return path_; }
  // Throws Error(kData) if the file has changed since it was opened: shorter, longer or modified. Time: one fstat.
  void check_intact() const;
  // Releases the pages in memory; they are read again from the file when needed.
  void release_pages() const;

 private:
  MappedFile() : Buffer(Device::kCpu) {}
  std::filesystem::path path_;
  int slot_ = -1;
  int descriptor_ = -1;
  std::timespec modified_{};  // when it was opened
};

// Installs the handler of SIGBUS described above, once, for the whole process. Faults that are not in a mapped file go
// to the handler that was there before.
void catch_truncated_files();

// check_intact() of every mapping that the process has open.
void check_mappings_intact();

}  // namespace sumi::io
