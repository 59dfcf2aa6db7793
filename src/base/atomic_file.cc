#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace sumi {
namespace {

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

// Renames `from` to `to` unless `to` exists; returns errno, or 0.
int rename_to_new(const char* from, const char* to, AtomicFile::Take first) {
#ifdef RENAME_NOREPLACE
  if (first == AtomicFile::Take::kRename) {
    if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) return errno;
  }
#endif
  // Not every file system supports that. A hard link does not replace an existing name either.
  if (first != AtomicFile::Take::kLook) {
    if (::link(from, to) == 0) {
      ::unlink(from);
      return 0;
    }
    if (errno != EPERM && errno != ENOSYS && errno != ENOTSUP) return errno;
  }
  // Some file systems have no links either; there the only choice is to check first.
  struct stat there {};
  if (::lstat(to, &there) == 0) return EEXIST;
  return ::rename(from, to) == 0 ? 0 : errno;
}

// Six letters and digits.
std::string random_ending() {
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  std::random_device device;
  std::string ending;
  for (int i = 0; i < 6; ++i) ending += kLetters[device() % kLetters.size()];
  return ending;
}

}  // namespace

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(path) {
  std::error_code ignored;
  const auto there = std::filesystem::status(path, ignored);
  SUMI_CHECK_KIND(kCannotCreate, !std::filesystem::is_directory(there), "{}: cannot be written: it is a folder",
                  path.string());
  SUMI_CHECK_KIND(kCannotCreate, !std::filesystem::exists(there) || std::filesystem::is_regular_file(there),
                  "{}: cannot be written: it is a device, a pipe or a socket", path.string());
  constexpr int kTries = 100;
  for (int i = 0; i < kTries && descriptor_ < 0; ++i) {
    temporary_ = folder_of(path) / ("." + path.filename().string() + "." + random_ending());
    // As open as any other new file: the system applies the process's mask.
    descriptor_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST) break;
  }
  const int error = errno;
  if (descriptor_ < 0) temporary_.clear();
  SUMI_CHECK_KIND(kCannotCreate, descriptor_ >= 0, "{}: cannot be written: {}", path.string(), std::strerror(error));
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t bytes) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t count = ::write(descriptor_, from, std::min<size_t>(bytes, size_t{1} << 30));
    if (count < 0 && errno == EINTR) continue;
    SUMI_CHECK_KIND(kIo, count > 0, "{}: writing failed: {}", path_.string(),
                    count < 0 ? std::strerror(errno) : "no bytes were written");
    from += count;
    bytes -= static_cast<size_t>(count);
    written_ += count;
  }
}

void AtomicFile::close_whole() {
  SUMI_CHECK_KIND(kIo, ::fsync(descriptor_) == 0, "{}: writing failed: {}", path_.string(), std::strerror(errno));
  const int closed = ::close(std::exchange(descriptor_, -1));
  SUMI_CHECK_KIND(kIo, closed == 0, "{}: writing failed: {}", path_.string(), std::strerror(errno));
}

void AtomicFile::commit() {
  close_whole();
  SUMI_CHECK_KIND(kIo, ::rename(temporary_.c_str(), path_.c_str()) == 0, "{}: cannot be put in place: {}",
                  path_.string(), std::strerror(errno));
  temporary_.clear();
  sync_folder();
}

bool AtomicFile::commit_new(Take first) {
  close_whole();
  const int error = rename_to_new(temporary_.c_str(), path_.c_str(), first);
  if (error == EEXIST) return false;
  SUMI_CHECK_KIND(kIo, error == 0, "{}: cannot be put in place: {}", path_.string(), std::strerror(error));
  temporary_.clear();
  sync_folder();
  return true;
}

void AtomicFile::sync_folder() {
  const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;  // the name is in place; a folder that cannot be opened for reading cannot be synced
  const int synced = ::fsync(folder);
  const int error = errno;
  ::close(folder);
  // Some file systems have no fsync of folders; that is not an error.
  SUMI_CHECK_KIND(kIo, synced == 0 || error == EINVAL || error == ENOTSUP || error == EROFS,
                  "{}: writing its folder failed: {}", path_.string(), std::strerror(error));
}

}  // namespace sumi
