#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/text_util.h"

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

constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
constexpr std::string_view kEnding = ".sumi-tmp";

// Six letters and digits.
std::string random_ending() {
  std::random_device device;
  std::string ending;
  for (int i = 0; i < 6; ++i) ending += kLetters[device() % kLetters.size()];
  return ending;
}

// Whether an AtomicFile would give a temporary file that name.
bool is_temporary_name(std::string_view name) {
  if (!name.starts_with('.') || !name.ends_with(kEnding)) return false;
  name.remove_suffix(kEnding.size());
  return name.size() > 8 && name[name.size() - 7] == '.' &&
         name.substr(name.size() - 6).find_first_not_of(kLetters) == std::string_view::npos;
}

// Whether `path` still names the open file.
bool names(const std::filesystem::path& path, int descriptor) {
  struct stat named {
  }, opened{};
  return ::lstat(path.c_str(), &named) == 0 && ::fstat(descriptor, &opened) == 0 && named.st_ino == opened.st_ino &&
         named.st_dev == opened.st_dev;
}

// Removes the file unless a living process holds its lock.
void remove_if_left(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (descriptor < 0) return;
  struct stat status {};
  const bool free = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
                    ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && names(path, descriptor);
  if (free) ::unlink(path.c_str());
  ::close(descriptor);
}

// Once for each folder: the files of processes that are killed while this one runs can wait for the next.
void sweep_once(const std::filesystem::path& folder) {
  static std::mutex mutex;
  static std::set<std::filesystem::path> swept;
  constexpr size_t kMostRemembered = 1000;
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(folder, error);
  {
    const std::lock_guard lock(mutex);
    if (swept.size() >= kMostRemembered) swept.clear();
    if (error || !swept.insert(whole).second) return;
  }
  sweep_temporary_files(folder);
}

// Names of this process's temporary files, where a signal handler may read them. A file that finds no room here is only
// swept by the next process.
struct Slot {
  enum : int { kFree, kFilling, kSet };
  std::atomic<int> state{kFree};
  std::array<char, PATH_MAX> name;
};
std::array<Slot, 32> g_slots;
static_assert(std::atomic<int>::is_always_lock_free);

int take_slot(const std::string& name) {
  if (name.size() >= PATH_MAX) return -1;
  for (size_t i = 0; i < g_slots.size(); ++i) {
    int expected = Slot::kFree;
    if (!g_slots[i].state.compare_exchange_strong(expected, Slot::kFilling)) continue;
    std::memcpy(g_slots[i].name.data(), name.c_str(), name.size() + 1);
    g_slots[i].state = Slot::kSet;
    return static_cast<int>(i);
  }
  return -1;
}

void give_slot(int slot) {
  if (slot >= 0) g_slots[static_cast<size_t>(slot)].state = Slot::kFree;
}

// Why nothing can be put at `path`, beyond what opening a file beside it shows; empty if nothing speaks against it.
std::string reason_against(const std::filesystem::path& path) {
  if (path.filename().empty()) return path.empty() ? "its name is empty" : "it is a folder";
  std::error_code error;
  const auto there = std::filesystem::status(path, error);
  if (there.type() == std::filesystem::file_type::none) return error.message();  // such as a loop of links
  if (!std::filesystem::exists(there) || std::filesystem::is_regular_file(there)) return {};
  return std::filesystem::is_directory(there) ? "it is a folder" : "it is a device, a pipe or a socket";
}

}  // namespace

void sweep_temporary_files(const std::filesystem::path& folder) {
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (is_temporary_name(at->path().filename().native())) remove_if_left(at->path());
  }
}

void remove_temporary_files() noexcept {
  for (const Slot& slot : g_slots) {
    if (slot.state == Slot::kSet) ::unlink(slot.name.data());
  }
}

// One try at making the temporary file; false: another process has the name, or has swept it before it was locked.
bool AtomicFile::make_temporary(const std::filesystem::path& path) {
  constexpr size_t kMostOfName = 200;  // a name may have 255 bytes
  temporary_ = folder_of(path) /
               fmt::format(".{}.{}{}", shorten(path.filename().string(), kMostOfName, ""), random_ending(), kEnding);
  slot_ = take_slot(temporary_.string());
  // As open as any other new file: the system applies the process's mask.
  descriptor_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ >= 0) {
    // Some network file systems have no locks; there nothing is swept either.
    const bool locked = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (locked && names(temporary_, descriptor_)) return true;
    ::close(std::exchange(descriptor_, -1));
    errno = EEXIST;
  }
  const int error = errno;
  give_slot(std::exchange(slot_, -1));
  temporary_.clear();
  errno = error;
  return false;
}

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(path) {
  const std::string reason = reason_against(path);
  SUMI_CHECK_KIND(kCannotCreate, reason.empty(), "{}: cannot be written: {}", path.string(), reason);
  sweep_once(folder_of(path));
  constexpr int kTries = 100;
  bool made = false;
  for (int i = 0; i < kTries && !made; ++i) {
    made = make_temporary(path);
    if (!made && errno != EEXIST) break;
  }
  SUMI_CHECK_KIND(kCannotCreate, made, "{}: cannot be written: {}", path.string(), std::strerror(errno));
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  close_temporary();
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

// The bytes are on the disk after this; the file stays open, and so locked, until it has its name.
void AtomicFile::sync_whole() {
  SUMI_CHECK_KIND(kIo, ::fsync(descriptor_) == 0, "{}: writing failed: {}", path_.string(), std::strerror(errno));
  // Closing is where some network file systems tell of a failed write. The copy shares the lock, which stays.
  const int copy = ::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
  SUMI_CHECK_KIND(kIo, copy < 0 || ::close(copy) == 0, "{}: writing failed: {}", path_.string(), std::strerror(errno));
}

void AtomicFile::close_temporary() {
  temporary_.clear();
  give_slot(std::exchange(slot_, -1));
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

void AtomicFile::commit() {
  sync_whole();
  SUMI_CHECK_KIND(kIo, ::rename(temporary_.c_str(), path_.c_str()) == 0, "{}: cannot be put in place: {}",
                  path_.string(), std::strerror(errno));
  close_temporary();
  sync_folder();
}

bool AtomicFile::commit_new(Take first) {
  sync_whole();
  const int error = rename_to_new(temporary_.c_str(), path_.c_str(), first);
  if (error == EEXIST) return false;
  SUMI_CHECK_KIND(kIo, error == 0, "{}: cannot be put in place: {}", path_.string(), std::strerror(error));
  close_temporary();
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
