// A file that is there whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

namespace sumi {

// Writes go to a temporary file beside `path`; commit() makes it durable (fsync) and puts it in `path`'s place in one
// step (rename, then fsync of the folder). Destroyed without a commit, it leaves nothing. Every failure of the system
// throws Error(kCannotCreate) or Error(kIo) that names the file.
class AtomicFile {
 public:
  // How commit_new() takes a name: the first that the file system offers.
  enum class Take : unsigned char { kRename, kLink, kLook };

  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  int64_t bytes_written() const { return written_; }
  void commit();
  // The same, but a file that has the name stays: then false comes back, and what was written is dropped. Of several
  // processes that ask for one name, one gets it, on every file system that has such a step or links.
  bool commit_new(Take first = Take::kRename);

 private:
  void close_whole();
  void sync_folder();

  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
  int64_t written_ = 0;
};

}  // namespace sumi
