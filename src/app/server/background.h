// Work that would hold up the server's thread: opening models, planning jobs, reading logs.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "app/server/http.h"

namespace sumi::app {

// One thread with a bounded queue. Any number of threads may use one.
class Background {
 public:
  static constexpr const char* kRetryAfter = "2";  // seconds, for clients that found it full
  explicit Background(size_t most_queued = 64);
  ~Background();  // waits for the call that runs, and drops those that wait
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Runs the call after those before it. False: the queue is full. The call must not throw.
  bool run(std::function<void()> call);

 private:
  void work();

  const size_t most_queued_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool ending_ = false;
  std::thread thread_;
};

// Answers the exchange with what `make` returns, in the background; what it throws becomes a refusal as a Router's,
// without this machine's folders. 503 with Retry-After where the queue is full. For a client that has gone before its
// turn, `make` is not called.
void answer_later(Background& background, const std::shared_ptr<HttpExchange>& exchange,
                  std::function<HttpReply()> make);

}  // namespace sumi::app
