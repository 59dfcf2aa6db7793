// The jobs of a server: submitted, queued, drawn one after the other, watched, cancelled, kept. Knows nothing of HTTP.
//
//   Jobs jobs(shelf, {});
//   const std::string id = jobs.submit({.request = {.prompts = {"a red apple"}}, .client = "127.0.0.1"});
//   const auto watch = jobs.watch(id, 0, [](const JobEvent& event) { … });
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "app/server/shelf.h"
#include "sumi/error.h"
#include "sumi/request.h"

namespace sumi::app {

enum class JobState : unsigned char { kQueued, kRunning, kDone, kFailed, kCancelled };
const char* name_of(JobState state);  // "queued", …
inline bool is_over(JobState state) { return state != JobState::kQueued && state != JobState::kRunning; }

struct Submission {
  Request request;
  std::string model = {};   // a name of the shelf; empty: the first
  std::string client = {};  // whose it is: the queue takes turns between clients
  int priority = 0;         // -10 to 10; the higher is drawn before the lower
  bool previews = false;    // whether pictures in the making are wanted
};

struct KeptPicture {
  int64_t number = 0;  // in the job
  uint64_t seed = 0;
  int64_t width = 0, height = 0;
  std::string prompt = {}, parameters = {};
  bool flagged = false;
  std::shared_ptr<const std::string> png = {};
};

// What is known of a job at one moment.
struct JobView {
  std::string id = {}, model = {}, client = {};
  int priority = 0;
  JobState state = JobState::kQueued;
  int64_t place = 0;                              // queued: how many will be drawn before it
  int64_t done = 0, steps = 0;                    // of all batches
  std::optional<double> seconds_left = {};        // running, once a step is done
  double created = 0, started = 0, finished = 0;  // seconds since 1970; 0: not yet
  std::string error = {};                         // failed: a sentence
  std::string request = {}, settings = {};        // JSON; settings once it has begun
  std::vector<std::string> warnings = {};
  std::vector<KeptPicture> pictures = {};
};

// What happens to a job: "queued" {"place"}, "running", "step" {"done", "steps", "seconds_left"}, "preview" {"number",
// "png" in base64}, "warning" {"message"}, "picture" {"number", "seed", "width", "height"}, then one of "done",
// "failed" {"error"}, "cancelled". Numbered from 1 within the job.
struct JobEvent {
  uint64_t number = 0;
  std::string name = {};
  std::string data = {};  // JSON
};
inline bool ends(const JobEvent& event) {
  return event.name == "done" || event.name == "failed" || event.name == "cancelled";
}

class QueueIsFull : public Error {
 public:
  explicit QueueIsFull(const std::string& sentence) : Error(ErrorKind::kUnavailable, sentence) {}
};

struct JobsOptions {
  size_t most_queued = 100;             // more are refused
  size_t most_kept = 500;               // jobs that are over; the oldest are forgotten
  int64_t most_kept_bytes = 512 << 20;  // of their pictures
};

// What a server counts, since it began.
struct JobCounts {
  int64_t submitted = 0, done = 0, failed = 0, cancelled = 0, refused = 0, pictures = 0, steps = 0;
  int64_t queued = 0, running = 0;  // now
  double seconds_drawing = 0;
};

// Any number of threads may use one.
class Jobs {
 public:
  Jobs(Shelf& shelf, const JobsOptions& options);
  ~Jobs();  // cancels what runs and waits for it
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  // Checks the request as far as no model is needed and queues it. Returns the job's id. Throws Error(kUsage) for what
  // is wrong with it, QueueIsFull, Error(kUnavailable) where no more work is taken.
  std::string submit(Submission submission);

  std::optional<JobView> view(const std::string& id) const;
  std::optional<JobState> state(const std::string& id) const;
  std::vector<JobView> list() const;  // the newest first; without pictures' bytes
  std::shared_ptr<const std::string> picture(const std::string& id, int64_t number) const;  // null: there is none

  enum class Cancelled : unsigned char { kYes, kOver, kUnknown };
  Cancelled cancel(const std::string& id);  // within a step
  bool forget(const std::string& id);       // one that is over, with its pictures

  // A watch on a job's events, until it is destroyed.
  class Watch {
   public:
    explicit Watch(std::function<void()> end) : end_(std::move(end)) {}
    ~Watch() { end_(); }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    std::function<void()> end_;
  };
  // Calls `call` with what has happened after event number `after` (previews only the last), then with what happens, in
  // order, on the thread where it does, with locks held: it must not wait, nor use this object. Null: no such job.
  std::unique_ptr<Watch> watch(const std::string& id, uint64_t after, std::function<void(const JobEvent&)> call);

  JobCounts counts() const;
  // Takes no more work; what is queued is still drawn. True once nothing is left, or false after `patience`.
  bool drain(std::chrono::milliseconds patience);

 private:
  struct Entry;
  using Lock = std::unique_lock<std::mutex>;

  void check_room();  // with the lock
  void draw_all();
  std::shared_ptr<Entry> take_next(Lock& lock);
  std::vector<std::shared_ptr<Entry>> order() const;  // of the queue, the next first
  void draw(Entry& entry);
  void run(Entry& entry, Job& job);
  void tell(Entry& entry, std::string name, std::string data);  // with the lock
  void tell_places();                                           // with the lock
  void end(Entry& entry, JobState state, std::string error);    // with the lock
  void forget_old();                                            // with the lock

  Shelf& shelf_;
  const JobsOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Entry>> jobs_;
  std::deque<std::shared_ptr<Entry>> queue_, over_;  // in the order of arrival, of ending
  std::map<std::string, uint64_t> last_turn_;        // of clients, when one of their jobs was taken
  uint64_t turns_ = 0, arrivals_ = 0, watches_ = 0;
  int64_t kept_bytes_ = 0;
  std::shared_ptr<Entry> running_;
  bool draining_ = false, ending_ = false;
  JobCounts counts_;
  std::thread thread_;
};

}  // namespace sumi::app
