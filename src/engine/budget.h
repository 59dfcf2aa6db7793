// The memory that an engine's models and running jobs share.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>

#include "engine/memory_plan.h"

namespace sumi::engine {

// Counts the weights that are loaded and what running jobs have reserved. A job that does not fit beside them waits
// until others end, in the order of arrival.
class Budget {
 public:
  // `limit` in bytes; 0: what the machine can give.
  explicit Budget(int64_t limit) : limit_(limit) {}

  // What a job may take that runs alone: the machine's limits and the budget's, memory that running jobs hold included.
  MemoryLimits limits() const;

  // Memory of a loaded model, counted as long as it lives; never waits.
  class Share {
   public:
    Share(Budget& budget, int64_t bytes);
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    Budget& budget_;
    int64_t bytes_;
  };

  // Memory of a running job, reserved as long as it lives. Waits until it fits, or no other job runs. A thread that
  // runs a job already (a hook that runs another) does not wait, for it would wait for itself. Throws Error(kCancelled)
  // soon after `cancel` is set.
  class Running {
   public:
    Running(Budget& budget, int64_t bytes, const std::atomic<bool>& cancel);
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    Budget& budget_;
    int64_t bytes_;
  };

 private:
  bool fits(int64_t bytes) const;  // with the mutex

  const int64_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  int64_t jobs_ = 0, reserved_ = 0, weights_ = 0;
  std::list<int> waiting_;  // one entry a job, the first to arrive first
};

}  // namespace sumi::engine
