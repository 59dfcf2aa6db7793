#include "engine/budget.h"

#include <chrono>

#include "engine/sample_latent.h"

namespace sumi::engine {

int64_t Budget::reserved() const {
  const std::lock_guard lock(mutex_);
  return reserved_;
}

Budget::Share Budget::reserve(int64_t bytes, const std::atomic<bool>& cancel) {
  std::unique_lock lock(mutex_);
  while (limit_ > 0 && reserved_ > 0 && reserved_ + bytes > limit_) {
    check_cancelled(&cancel);
    freed_.wait_for(lock, std::chrono::milliseconds(50));  // cancelling wakes nobody
  }
  reserved_ += bytes;
  return Share(*this, bytes);
}

void Budget::give_back(int64_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    reserved_ -= bytes;
  }
  freed_.notify_all();
}

}  // namespace sumi::engine
