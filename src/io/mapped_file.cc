#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "base/count.h"

namespace sumi::io {
namespace {

// What the signal handler may look at: fixed memory and atomics only.
struct Slot {
  std::atomic<uintptr_t> begin{0}, end{0};
  std::atomic<bool> torn{false};
  const MappedFile* file = nullptr;  // under g_mutex
};
constexpr size_t kMaxMappings = 256;
std::array<Slot, kMaxMappings> g_slots;
std::mutex g_mutex;
struct sigaction g_previous;
size_t g_page_size = 4096;

void on_sigbus(int, siginfo_t* info, void*) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (Slot& slot : g_slots) {
    if (address < slot.begin.load(std::memory_order_relaxed) || address >= slot.end.load(std::memory_order_relaxed))
      continue;
    void* page = reinterpret_cast<void*>(address / g_page_size * g_page_size);
    if (mmap(page, g_page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) break;
    slot.torn.store(true);
    return;
  }
  // Not ours: the retried read reaches the previous handler, or ends the process.
  sigaction(SIGBUS, &g_previous, nullptr);
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

std::shared_ptr<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  count("map_file");
  // O_NONBLOCK: opening a pipe without a writer must not hang.
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  SUMI_CHECK_KIND(kNoInput, file.fd >= 0, "{}: cannot be opened: {}", path.string(), std::strerror(errno));
  struct stat status = {};
  SUMI_CHECK_KIND(kNoInput, fstat(file.fd, &status) == 0, "{}: cannot be read: {}", path.string(),
                  std::strerror(errno));
  SUMI_CHECK(S_ISREG(status.st_mode), "{}: is {}, not a file; name a checkpoint", path.string(),
             S_ISDIR(status.st_mode)    ? "a folder"
             : S_ISFIFO(status.st_mode) ? "a pipe"
                                        : "a device");
  std::shared_ptr<MappedFile> mapped(new MappedFile);
  mapped->path_ = path;
  mapped->bytes_ = status.st_size;
  if (status.st_size == 0) return mapped;
  void* address = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, file.fd, 0);
  SUMI_CHECK_KIND(kNoInput, address != MAP_FAILED, "{}: cannot be mapped: {}", path.string(), std::strerror(errno));
  mapped->handle_ = address;
  mapped->descriptor_ = std::exchange(file.fd, -1);
  mapped->modified_ = status.st_mtim;
  const std::lock_guard lock(g_mutex);
  for (size_t i = 0; i < kMaxMappings; ++i) {
    Slot& slot = g_slots[i];
    if (slot.file != nullptr) continue;
    slot.file = mapped.get();
    slot.torn.store(false);
    slot.begin.store(reinterpret_cast<uintptr_t>(address));
    slot.end.store(reinterpret_cast<uintptr_t>(address) + static_cast<size_t>(status.st_size));
    mapped->slot_ = static_cast<int>(i);
    return mapped;
  }
  fail(ErrorKind::kUnavailable, "{}: more than {} files are mapped at once", path.string(), kMaxMappings);
}

MappedFile::~MappedFile() {
  if (handle_ == nullptr) return;
  {
    const std::lock_guard lock(g_mutex);
    if (slot_ >= 0) {
      Slot& slot = g_slots[static_cast<size_t>(slot_)];
      slot.end.store(0);
      slot.begin.store(0);
      slot.file = nullptr;
    }
  }
  munmap(handle_, static_cast<size_t>(bytes_));
  ::close(descriptor_);
}

void MappedFile::check_intact() const {
  if (slot_ < 0) return;
  struct stat now = {};
  SUMI_CHECK_KIND(kNoInput, fstat(descriptor_, &now) == 0, "{}: can no longer be read: {}", path_.string(),
                  std::strerror(errno));
  SUMI_CHECK(!g_slots[static_cast<size_t>(slot_)].torn.load() && now.st_size >= bytes_,
             "{}: was cut short while it was in use; download it again", path_.string());
  SUMI_CHECK(
      now.st_size == bytes_ && now.st_mtim.tv_sec == modified_.tv_sec && now.st_mtim.tv_nsec == modified_.tv_nsec,
      "{}: was changed while it was in use; start again once it is whole", path_.string());
}

void MappedFile::release_pages() const {
  if (handle_ != nullptr && !g_slots[static_cast<size_t>(slot_)].torn.load())
    madvise(handle_, static_cast<size_t>(bytes_), MADV_DONTNEED);
}

void catch_truncated_files() {
  static std::once_flag once;
  std::call_once(once, [] {
    g_page_size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    struct sigaction action = {};
    action.sa_sigaction = on_sigbus;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &g_previous);
  });
}

void check_mappings_intact() {
  const std::lock_guard lock(g_mutex);
  for (const Slot& slot : g_slots) {
    if (slot.file != nullptr) slot.file->check_intact();
  }
}

}  // namespace sumi::io
