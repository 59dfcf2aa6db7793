#include "engine/budget.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "core/host_memory.h"
#include "engine/sample_latent.h"

namespace sumi::engine {
namespace {

thread_local int t_jobs = 0;  // that the thread runs, one in another's hook

}  // namespace

// The allocator keeps freed blocks for reuse, and running jobs will free what they have.
MemoryLimits Budget::limits() const {
  MemoryLimits limits = memory_limits();
  const HostMemory host = host_memory();
  const std::lock_guard lock(mutex_);
  const int64_t comes_back = host.cached_bytes + std::min(reserved_, host.live_bytes);
  if (limits.available) *limits.available += comes_back;
  if (limits.address_space) *limits.address_space += comes_back;
  if (limit_ > 0) limits.available = std::min(limits.available.value_or(limit_), limit_);
  return limits;
}

bool Budget::fits(int64_t bytes) const {
  if (jobs_ == 0) return true;
  if (limit_ > 0) return weights_ + reserved_ + bytes <= limit_;
  const MemoryLimits machine = memory_limits();
  const HostMemory host = host_memory();
  const int64_t still_to_take = std::max<int64_t>(reserved_ - host.live_bytes, 0);
  return !machine.available || *machine.available + host.cached_bytes - still_to_take >= bytes;
}

Budget::Share::Share(Budget& budget, int64_t bytes) : budget_(budget), bytes_(bytes) {
  const std::lock_guard lock(budget_.mutex_);
  budget_.weights_ += bytes_;
}

Budget::Share::~Share() {
  {
    const std::lock_guard lock(budget_.mutex_);
    budget_.weights_ -= bytes_;
  }
  budget_.freed_.notify_all();
}

Budget::Running::Running(Budget& budget, int64_t bytes, const std::atomic<bool>& cancel)
    : budget_(budget), bytes_(bytes) {
  std::unique_lock lock(budget_.mutex_);
  auto& waiting = budget_.waiting_;
  const auto mine = waiting.insert(waiting.end(), 0);
  try {
    while (t_jobs == 0 && !(mine == waiting.begin() && budget_.fits(bytes))) {
      check_cancelled(&cancel);
      // Nobody tells of a cancellation, or of memory that another process freed.
      budget_.freed_.wait_for(lock, std::chrono::milliseconds(50));
    }
  } catch (const Error&) {
    waiting.erase(mine);
    throw;
  }
  waiting.erase(mine);
  ++budget_.jobs_;
  ++t_jobs;
  budget_.reserved_ += bytes;
  lock.unlock();
  budget_.freed_.notify_all();  // the next may fit too
}

Budget::Running::~Running() {
  {
    const std::lock_guard lock(budget_.mutex_);
    budget_.reserved_ -= bytes_;
    --budget_.jobs_;
  }
  --t_jobs;
  budget_.freed_.notify_all();
}

}  // namespace sumi::engine
