#include "app/server/worker.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "app/server/drawn_with.h"
#include "app/server/submission.h"
#include "base/check.h"
#include "base/log.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kBeat{500};
constexpr milliseconds kPause{200};   // between tries to reach a Redis that has gone
constexpr milliseconds kLook{1'000};  // for work, where no message tells of it

std::string new_name() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host = {'h', 'o', 's', 't'};
  return fmt::format("{}-{}-{}", host.data(), getpid(), new_job_id().substr(0, 6));
}

// What a drawing tells goes to Redis from a thread of its own, so that no step waits for the network. Steps and
// previews that are overtaken are left out; everything else arrives, as soon as there is a Redis.
class Outbox {
 public:
  using Call = std::function<void()>;
  explicit Outbox(const std::atomic<bool>& stop) : stop_(stop), thread_([this] { send(); }) {}
  ~Outbox() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void add(Call call) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(std::move(call));
    changed_.notify_all();
  }
  // In place of the last one of its kind.
  void replace(int kind, Call call) {
    const std::lock_guard lock(mutex_);
    last_[static_cast<size_t>(kind)] = std::move(call);
    changed_.notify_all();
  }
  // Waits until everything is sent; false: it was told to stop while Redis was away.
  bool flush() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return (calls_.empty() && !sending_) || gave_up_; });
    return !gave_up_;
  }

 private:
  void send() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return closed_ || !calls_.empty() || last_[0] || last_[1]; });
      Call call;
      bool must = false;
      if (!calls_.empty()) {
        call = calls_.front();
        must = true;
      } else if (closed_) {
        return;
      } else {
        call = std::exchange(last_[last_[0] ? 0 : 1], nullptr);
      }
      sending_ = true;
      lock.unlock();
      const bool sent = try_call(call);
      lock.lock();
      sending_ = false;
      if (must && sent) calls_.pop_front();
      if (must && !sent) {
        if (stop_) gave_up_ = true;
        changed_.notify_all();
        if (gave_up_) return;
        changed_.wait_for(lock, kPause, [&] { return closed_; });
      }
      changed_.notify_all();
    }
  }
  static bool try_call(const Call& call) {
    try {
      call();
      return true;
    } catch (const RedisRefusal& refusal) {
      warn("{}", refusal.what());  // saying it again would not help
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

  const std::atomic<bool>& stop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Call> calls_;
  std::array<Call, 2> last_ = {};
  bool sending_ = false, closed_ = false, gave_up_ = false;
  std::thread thread_;
};

}  // namespace

struct Worker::Impl {
  Impl(const RedisAddress& address, Shelf& all, const Library& files, const WorkerOptions& options, std::string own)
      : shelf(all),
        library(files),
        redis(address, options.redis),
        beats(address, options.redis),
        queue(redis, options.queue),
        beat_queue(beats, options.queue),
        listener(address, {kWorkChannel}, options.redis),
        cancels(address, {kCancelsChannel}, options.redis),
        drawn_with(options.drawn_with),
        name(std::move(own)),
        identity(own_identity()) {
    std::vector<std::string> models;
    for (const ShelfEntry& entry : shelf.list()) models.push_back(entry.name);
    streams = queue.streams(models, identity);
    queue.beat(name, identity);
  }

  // Says that it lives, and looks whether the job that it draws has been cancelled.
  void beat(const std::atomic<bool>& over) {
    while (!over) {
      try {
        beat_queue.beat(name, identity);
        look_at_drawing();
        const auto end = Clock::now() + std::min<milliseconds>(kBeat, beat_queue.options().heartbeat / 4);
        // A message may be lost, or be for a job that begins just now: the next beat looks anyway.
        while (!over && Clock::now() < end) {
          if (cancels.wait(std::chrono::ceil<milliseconds>(end - Clock::now()))) look_at_drawing();
        }
      } catch (const std::exception&) {
        // Entries may look abandoned until everybody who lives has said so again.
        claims_from = Clock::now() + beat_queue.options().heartbeat;
        std::this_thread::sleep_for(kPause);
      }
    }
  }

  // Ends it where it has been cancelled, or is another worker's by now.
  void look_at_drawing() {
    Delivery delivery;
    {
      const std::lock_guard lock(mutex);
      if (drawing == nullptr) return;
      delivery = held;
    }
    const SharedQueue::Standing standing = beat_queue.standing(delivery);
    if (standing == SharedQueue::Standing::kOwn) return;
    const std::lock_guard lock(mutex);
    if (drawing == nullptr || held.entry != delivery.entry) return;
    cancelled = standing == SharedQueue::Standing::kCancelled;
    drawing->cancel();
  }

  void run(const std::atomic<bool>& stop) {
    std::atomic<bool> over{false};
    claims_from = Clock::now() + queue.options().heartbeat;
    std::thread heart([&] { beat(over); });
    bool lost = false;
    while (!stop) {
      try {
        const bool claims = Clock::now() >= claims_from.load();
        const auto delivery = queue.take(name, streams, claims);
        if (std::exchange(lost, false)) warn("the queue is there again");
        if (delivery) {
          work(*delivery, stop);
        } else {
          wait(stop);
        }
      } catch (const std::exception& error) {
        if (!std::exchange(lost, true)) warn("{}; waiting until it is there again", error.what());
        std::this_thread::sleep_for(kPause);
      }
    }
    over = true;
    heart.join();
    try {
      queue.leave(name);
    } catch (const std::exception&) {
      // It will be taken for ended soon enough.
    }
  }

  void wait(const std::atomic<bool>& stop) {
    const auto end = Clock::now() + kLook;
    while (!stop && Clock::now() < end) {
      if (listener.wait(kPause)) return;
    }
  }

  void work(const Delivery& delivery, const std::atomic<bool>& stop) {
    const auto job = queue.job(delivery.id);
    if (!queue.begin(delivery) || !job) return;
    if (delivery.count > queue.options().most_deliveries) {
      queue.end(delivery, JobState::kFailed,
                fmt::format("{} workers have ended while they drew it", queue.options().most_deliveries),
                ErrorKind::kUnavailable);
      return;
    }
    if (queue.standing(delivery) == SharedQueue::Standing::kCancelled) {
      queue.end(delivery, JobState::kCancelled, "", {});
      return;
    }
    draw(delivery, *job, stop);
  }

  // An earlier job that was the same has its pictures copied. False: there is none, or Redis has gone: then it is
  // drawn.
  bool reuse(const Delivery& delivery, const std::string& hash) {
    try {
      return copy(delivery, queue.result(hash));
    } catch (const std::exception&) {
      return false;
    }
  }

  bool copy(const Delivery& delivery, const std::optional<SharedJob>& known) {
    if (!known) return false;
    for (const KeptPicture& picture : known->view.pictures) {
      const auto png = queue.picture(known->view.id, picture.number);
      if (!png) return false;
      queue.save_picture(delivery.id, picture.number, *png);
    }
    queue.change(delivery, {{"warnings", nlohmann::json(known->view.warnings).dump()},
                            {"pictures", pictures_json(known->view.pictures)},
                            {"settings", known->view.settings},
                            {"done", std::to_string(known->view.done)},
                            {"steps", std::to_string(known->view.steps)}});
    queue.end(delivery, JobState::kDone, "", {});
    return true;
  }

  // What is told of a job while it is drawn, on its way to Redis.
  struct Told {
    std::vector<KeptPicture> pictures = {};
    std::vector<std::string> warnings = {};
    int64_t done = 0, steps = 0;
  };

  DrawingCalls calls_of(const Delivery& delivery, Outbox& outbox, Told& told) {
    return {.prepared =
                [&](const std::string& settings) {
                  outbox.add([&, settings] { queue.change(delivery, {{"settings", settings}}); });
                },
            .step =
                [&](int64_t done, int64_t steps) {
                  told.done = done;
                  told.steps = steps;
                  outbox.replace(0, [this, id = delivery.id, done, steps] {
                    queue.tell({.id = id, .step = {{done, steps}}});
                  });
                },
            .warning =
                [&](const std::string& sentence) {
                  told.warnings.push_back(sentence);
                  const std::string all = io::json_line(nlohmann::json(told.warnings));
                  outbox.add([&, all] { queue.change(delivery, {{"warnings", all}}); });
                },
            .preview =
                [&](int64_t number, const std::string& png) {
                  outbox.replace(1, [this, id = delivery.id, number, png] {
                    queue.tell({.id = id, .preview = {{number, png}}});
                  });
                },
            .picture =
                [&](KeptPicture picture) {
                  const auto png = std::exchange(picture.png, nullptr);
                  const int64_t number = picture.number;
                  told.pictures.push_back(std::move(picture));
                  const std::string all = pictures_json(told.pictures);
                  outbox.add([&, number, png, all] {
                    queue.save_picture(delivery.id, number, *png);
                    queue.change(delivery, {{"pictures", all}});
                  });
                }};
  }

  // A worker that is told to stop lets the job go.
  void run_until(const std::atomic<bool>& stop, Drawing& own, const Delivery& delivery, const DrawingCalls& calls) {
    hold(&own, delivery);
    std::atomic<bool> drawn{false};
    std::thread watcher([&] {
      while (!drawn && !stop) std::this_thread::sleep_for(kPause);
      if (!drawn) own.cancel();
    });
    const auto end_watch = [&] {
      drawn = true;
      watcher.join();
      hold(nullptr, {});
    };
    try {
      own.run(calls);
    } catch (...) {
      end_watch();
      throw;
    }
    end_watch();
  }

  void draw(const Delivery& delivery, const SharedJob& job, const std::atomic<bool>& stop) {
    Failure how{.state = JobState::kDone};
    std::string hash;
    Outbox outbox(stop);
    Told told;
    try {
      const Submission submission = parse_stored_submission(job.submission);
      Drawing own(shelf, library, submission);
      hash = result_hash(submission, own.model(), identity, drawn_with + prints.of(shelf, library, own.model()));
      if (reuse(delivery, hash)) return;
      run_until(stop, own, delivery, calls_of(delivery, outbox, told));
    } catch (...) {
      how = failure();
    }
    const bool gives_back = how.state == JobState::kCancelled && !was_cancelled();
    outbox.add([&] {
      if (gives_back) return queue.give_back(delivery);
      queue.change(delivery, {{"done", std::to_string(told.done)}, {"steps", std::to_string(told.steps)}});
      queue.end(delivery, how.state, how.error, how.kind);
      if (how.state == JobState::kDone && !hash.empty()) queue.remember_result(hash, delivery.id);
    });
    outbox.flush();
  }

  void hold(Drawing* one, const Delivery& delivery) {
    const std::lock_guard lock(mutex);
    drawing = one;
    held = delivery;
    if (one != nullptr) cancelled = false;
  }
  bool was_cancelled() {
    const std::lock_guard lock(mutex);
    return cancelled;
  }

  Shelf& shelf;
  const Library& library;
  Redis redis, beats;
  SharedQueue queue, beat_queue;
  RedisListener listener, cancels;
  const std::string drawn_with;
  FilePrints prints;
  const std::string name;
  const Identity identity;
  std::vector<std::string> streams;
  std::mutex mutex;
  Drawing* drawing = nullptr;  // what is drawn now
  Delivery held;
  bool cancelled = false;  // by a client
  std::atomic<Clock::time_point> claims_from{};
};

Worker::Worker(const RedisAddress& address, Shelf& shelf, const Library& library, const WorkerOptions& options)
    : name_(options.name.empty() ? new_name() : options.name) {
  impl_ = std::make_unique<Impl>(address, shelf, library, options, name_);
}

Worker::~Worker() = default;

void Worker::run(const std::atomic<bool>& stop) { impl_->run(stop); }

}  // namespace sumi::app
