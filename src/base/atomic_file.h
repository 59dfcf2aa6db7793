// Writes a file completely or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

namespace sumi {

// Writes go to a temporary file beside `path` (".NAME.XXXXXX.sumi-tmp", locked while its writer lives); commit() makes
// it durable (fsync) and replaces `path` with it in one step (rename, then fsync of the folder). Without a commit, the
// destructor removes it. What killed processes have left in the folder is swept first. Every system error throws
// Error(kCannotCreate) or Error(kIo) with the file's name; with SIGXFSZ ignored, which is up to the program, this
// includes a file over the limit of `ulimit -f`.
class AtomicFile {
 public:
  // How commit_new() claims a name; it uses the first way that the file system supports.
  enum class Take : unsigned char { kRename, kLink, kLook };

  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  int64_t bytes_written() const { return written_; }
  void commit();
  // As commit(), but keeps an existing file: then it returns false and drops what was written. Of several processes
  // that claim one name, exactly one succeeds, on every file system with such a rename or links.
  bool commit_new(Take first = Take::kRename);

 private:
  bool make_temporary(const std::filesystem::path& path);
  void sync_whole();
  void close_temporary();
  void sync_folder();

  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
  int slot_ = -1;  // in the list of remove_temporary_files(); -1: not listed
  int64_t written_ = 0;
};

// Removes the temporary files that AtomicFiles of dead processes have left in the folder; those of living ones are
// locked and stay. Errors are ignored.
void sweep_temporary_files(const std::filesystem::path& folder);

// Removes this process's temporary files. For a signal handler that ends the process: no AtomicFile may be used after.
void remove_temporary_files() noexcept;

}  // namespace sumi
