#include "core/host_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "base/check.h"

namespace sumi {
namespace {

// Best-fit free list over blocks whose sizes are rounded to an eighth of a power of two, so that activations of nearly
// the same size share blocks.
class BlockCache {
 public:
  std::byte* take(int64_t& bytes) {
    bytes = round_up(bytes);
    std::lock_guard lock(mutex_);
    auto it = free_.lower_bound(bytes);
    if (it != free_.end() && it->first <= bytes + bytes / 4) {
      bytes = it->first;
      std::byte* block = it->second;
      free_.erase(it);
      cached_ -= bytes;
      count_live(bytes);
      return block;
    }
    const int64_t limit = std::max(peak_ + peak_ / kSpare, live_ + bytes);
    while (!free_.empty() && live_ + cached_ + bytes > limit) drop(std::prev(free_.end()));
    std::byte* block = fresh(bytes);
    if (block == nullptr) {
      while (!free_.empty()) drop(free_.begin());
      block = fresh(bytes);
      SUMI_CHECK_KIND(kUnavailable, block != nullptr,
                      "out of memory: {} MB more were needed with {} MB in use; try a smaller picture or batch",
                      bytes >> 20, live_ >> 20);
    }
    count_live(bytes);
    return block;
  }

  void give_back(std::byte* block, int64_t bytes) {
    std::lock_guard lock(mutex_);
    live_ -= bytes;
    cached_ += bytes;
    free_.emplace(bytes, block);
  }

  void release() {
    std::lock_guard lock(mutex_);
    while (!free_.empty()) drop(free_.begin());
  }

  void forget_peak() {
    std::lock_guard lock(mutex_);
    peak_ = live_;
  }

  HostMemory figures() {
    std::lock_guard lock(mutex_);
    return {live_, cached_, peak_};
  }

 private:
  using FreeList = std::multimap<int64_t, std::byte*>;

  static int64_t round_up(int64_t bytes) {
    int64_t unit = 64;
    while (unit * 8 < bytes) unit *= 2;
    return std::max<int64_t>(64, (bytes + unit - 1) / unit * unit);
  }

  static std::byte* fresh(int64_t bytes) {
    // Blocks of a quarter of a megabyte and more are pages straight from the system: freeing returns them whole.
    if (bytes < kMapFrom) return static_cast<std::byte*>(std::aligned_alloc(64, static_cast<size_t>(bytes)));
    void* pages = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return nullptr;
    if (bytes >= (int64_t{4} << 20)) madvise(pages, static_cast<size_t>(bytes), MADV_HUGEPAGE);
    return static_cast<std::byte*>(pages);
  }

  void drop(FreeList::iterator it) {
    cached_ -= it->first;
    if (it->first < kMapFrom) {
      std::free(it->second);
    } else {
      munmap(it->second, static_cast<size_t>(it->first));
    }
    free_.erase(it);
  }

  void count_live(int64_t bytes) {
    live_ += bytes;
    peak_ = std::max(peak_, live_);
  }

  static constexpr int64_t kMapFrom = 256 << 10;
  // An eighth above the peak may stay unused: a backward pass asks for sizes in another order, and without this a tenth
  // of a small model's training step went into getting the same pages again.
  static constexpr int64_t kSpare = 8;
  std::mutex mutex_;
  FreeList free_;
  int64_t live_ = 0, cached_ = 0, peak_ = 0;
};

BlockCache& cache() {
  static auto* instance = new BlockCache;  // outlives every static tensor
  return *instance;
}

class HostBuffer : public Buffer {
 public:
  explicit HostBuffer(int64_t bytes) : Buffer(Device::kCpu), capacity_(bytes) {
    handle_ = cache().take(capacity_);
    bytes_ = bytes;
  }
  bool is_fresh() const override { return true; }
  ~HostBuffer() override { cache().give_back(static_cast<std::byte*>(handle_), capacity_); }

 private:
  int64_t capacity_;
};

std::byte* address(const Buffer& buffer, int64_t offset) { return static_cast<std::byte*>(buffer.handle()) + offset; }

class HostAllocator : public Allocator {
 public:
  BufferPtr allocate(int64_t bytes) override { return std::make_shared<HostBuffer>(bytes); }

  void fill(const Buffer& to, int64_t offset, int64_t bytes, uint32_t pattern) override {
    std::byte* at = address(to, offset);
    if (pattern == 0) {
      std::memset(at, 0, static_cast<size_t>(bytes));
      return;
    }
    std::fill_n(reinterpret_cast<uint32_t*>(at), bytes / 4, pattern);  // elements of four bytes are aligned
    std::memcpy(at + bytes / 4 * 4, &pattern, static_cast<size_t>(bytes % 4));
  }

  void copy(const Buffer& from, int64_t from_offset, const Buffer& to, int64_t to_offset, int64_t bytes) override {
    std::memcpy(address(to, to_offset), address(from, from_offset), static_cast<size_t>(bytes));
  }

 protected:
  void write(const std::byte* from, const Buffer& to, int64_t offset, int64_t bytes) override {
    std::memcpy(address(to, offset), from, static_cast<size_t>(bytes));
  }
  void read(const Buffer& from, int64_t offset, std::byte* to, int64_t bytes) override {
    std::memcpy(to, address(from, offset), static_cast<size_t>(bytes));
  }
};

}  // namespace

Allocator& host_allocator() {
  static auto* instance = new HostAllocator;
  return *instance;
}

HostMemory host_memory() { return cache().figures(); }

void forget_host_memory_peak() { cache().forget_peak(); }

void release_cached_host_memory() { cache().release(); }

}  // namespace sumi
