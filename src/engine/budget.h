// The memory that running jobs share.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace sumi::engine {

// Counts what jobs have reserved; one that does not fit beside the others waits until they end.
class Budget {
 public:
  // `limit` in bytes; 0: none.
  explicit Budget(int64_t limit) : limit_(limit) {}

  int64_t limit() const { return limit_; }
  int64_t reserved() const;

  // Reserved memory, given back at the end of its life.
  class Share {
   public:
    Share(Budget& budget, int64_t bytes) : budget_(budget), bytes_(bytes) {}
    ~Share() { budget_.give_back(bytes_); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    Budget& budget_;
    int64_t bytes_;
  };

  // Waits until `bytes` fit, or no other job has reserved anything. Throws Error(kCancelled) soon after `cancel` is
  // set.
  Share reserve(int64_t bytes, const std::atomic<bool>& cancel);

 private:
  void give_back(int64_t bytes);

  const int64_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  int64_t reserved_ = 0;
};

}  // namespace sumi::engine
