#include "app/server/background.h"

#include <atomic>
#include <exception>
#include <utility>

#include "app/server/hide_folders.h"
#include "app/server/http_text.h"
#include "app/server/router.h"
#include "base/log.h"

namespace sumi::app {
namespace {

HttpReply reply_of(const std::function<HttpReply()>& make) {
  try {
    return make();
  } catch (const Error& error) {
    return refusal(status_of(error.kind()), without_folders(error.what()));
  } catch (const std::exception& error) {
    return refusal(500, without_folders(error.what()));
  }
}

}  // namespace

Background::Background(size_t most_queued) : most_queued_(most_queued), thread_([this] { work(); }) {}

Background::~Background() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool Background::run(std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    if (ending_ || queue_.size() >= most_queued_) return false;
    queue_.push_back(std::move(call));
  }
  changed_.notify_one();
  return true;
}

void Background::work() {
  for (;;) {
    std::function<void()> call;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ending_ || !queue_.empty(); });
      if (ending_) return;
      call = std::move(queue_.front());
      queue_.pop_front();
    }
    try {
      call();
    } catch (const std::exception& error) {
      warn("server: {}", error.what());  // the exchange that it held is answered with a 500
    }
  }
}

void answer_later(Background& background, const std::shared_ptr<HttpExchange>& exchange,
                  std::function<HttpReply()> make) {
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  exchange->on_gone([gone] { *gone = true; });
  const bool queued = background.run([exchange, gone, make = std::move(make)] {
    if (!*gone) exchange->reply(reply_of(make));
  });
  if (queued) return;
  HttpReply reply = refusal(503, "too much is asked at once; ask again in a moment");
  reply.headers.emplace_back("Retry-After", Background::kRetryAfter);
  exchange->reply(std::move(reply));
}

}  // namespace sumi::app
