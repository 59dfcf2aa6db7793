#include "backend/guard/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>

#include "base/check.h"
#include "base/log.h"

namespace sumi::backend::guard {
namespace {

struct Block {
  size_t bytes = 0;              // whole pages
  int64_t used = 0;              // bytes of the buffer
  int readers = 0, writers = 0;  // that have it open
  int rights() const { return writers > 0 ? PROT_READ | PROT_WRITE : readers > 0 ? PROT_READ : PROT_NONE; }
};

// Every block by its address.
class Blocks {
 public:
  void* make(int64_t bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t whole = std::max<size_t>(1, (static_cast<size_t>(bytes) + page - 1) / page) * page;
    void* at = mmap(nullptr, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SUMI_CHECK_KIND(kUnavailable, at != MAP_FAILED, "out of memory: {} KB more were needed", whole >> 10);
    std::lock_guard lock(mutex_);
    blocks_[at] = {.bytes = whole, .used = bytes};
    return at;
  }

  void drop(void* at) {
    std::lock_guard lock(mutex_);
    const auto block = blocks_.find(at);
    munmap(at, block->second.bytes);
    blocks_.erase(block);
  }

  void open(void* at, bool writes, int64_t offset, int64_t bytes) {
    std::lock_guard lock(mutex_);
    const auto found = blocks_.find(at);
    SUMI_CHECK_KIND(kInternal, found != blocks_.end(), "a kernel of the guard device was given other memory");
    Block& block = found->second;
    SUMI_CHECK_KIND(kInternal, offset >= 0 && bytes >= 0 && offset + bytes <= block.used,
                    "a view of bytes {} to {} in a buffer of {}", offset, offset + bytes, block.used);
    const int before = block.rights();
    ++(writes ? block.writers : block.readers);
    // Every open block may be a mapping of its own for the system, which has some 65,000.
    const bool allowed = block.rights() == before || mprotect(at, block.bytes, block.rights()) == 0;
    if (!allowed) --(writes ? block.writers : block.readers);
    SUMI_CHECK_KIND(kUnavailable, allowed, "the rights of a block of memory cannot be changed");
  }

  void close(void* at, bool writes) {
    std::lock_guard lock(mutex_);
    Block& block = blocks_.at(at);
    const int before = block.rights();
    --(writes ? block.writers : block.readers);
    if (block.rights() != before && mprotect(at, block.bytes, block.rights()) != 0)
      warn("a block of the guard device stays open: its rights cannot be changed");
  }

 private:
  std::mutex mutex_;
  std::map<void*, Block> blocks_;
};

Blocks& blocks() {
  static auto* instance = new Blocks;  // outlives every static tensor
  return *instance;
}

class GuardBuffer : public Buffer {
 public:
  explicit GuardBuffer(int64_t bytes) : Buffer(Device::kGuard) {
    handle_ = blocks().make(bytes);
    bytes_ = bytes;
  }
  ~GuardBuffer() override { blocks().drop(handle_); }
  bool is_fresh() const override { return true; }
};

std::byte* address(const Buffer& buffer, int64_t offset) { return static_cast<std::byte*>(buffer.handle()) + offset; }

class GuardAllocator : public Allocator {
 public:
  BufferPtr allocate(int64_t bytes) override { return std::make_shared<GuardBuffer>(bytes); }

  void fill(const Buffer& to, int64_t offset, int64_t bytes, uint32_t pattern) override {
    OpenBlocks open;
    open.open(to.handle(), true, offset, bytes);
    for (int64_t i = 0; i < bytes; i += 4)
      std::memcpy(address(to, offset + i), &pattern, static_cast<size_t>(std::min<int64_t>(4, bytes - i)));
  }

  void copy(const Buffer& from, int64_t from_offset, const Buffer& to, int64_t to_offset, int64_t bytes) override {
    OpenBlocks open;
    open.open(from.handle(), false, from_offset, bytes);
    open.open(to.handle(), true, to_offset, bytes);
    std::memcpy(address(to, to_offset), address(from, from_offset), static_cast<size_t>(bytes));
  }

 protected:
  void write(const std::byte* from, const Buffer& to, int64_t offset, int64_t bytes) override {
    OpenBlocks open;
    open.open(to.handle(), true, offset, bytes);
    std::memcpy(address(to, offset), from, static_cast<size_t>(bytes));
  }

  void read(const Buffer& from, int64_t offset, std::byte* to, int64_t bytes) override {
    OpenBlocks open;
    open.open(from.handle(), false, offset, bytes);
    std::memcpy(to, address(from, offset), static_cast<size_t>(bytes));
  }
};

const AllocatorRegistration kAllocator(Device::kGuard, &allocator());

}  // namespace

Allocator& allocator() {
  static auto* instance = new GuardAllocator;
  return *instance;
}

OpenBlocks::~OpenBlocks() {
  for (const Opened& opened : opened_) blocks().close(opened.handle, opened.writes);
}

void OpenBlocks::open(void* handle, bool writes, int64_t offset, int64_t bytes) {
  opened_.reserve(opened_.size() + 1);
  blocks().open(handle, writes, offset, bytes);
  opened_.push_back({handle, writes});
}

}  // namespace sumi::backend::guard
