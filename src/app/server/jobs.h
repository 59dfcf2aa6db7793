// The jobs of a server: submitted, queued, drawn, watched, cancelled, kept. Knows nothing of HTTP.
//
//   LocalJobs jobs(shelf, library, {});  // local_jobs.h; drawn by this process, one after the other
//   const std::string id = jobs.submit({.request = {.prompts = {"a red apple"}}, .client = "127.0.0.1"});
//   const auto watch = jobs.watch(id, 0, [](const JobEvent& event) { … });
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sumi/error.h"
#include "sumi/request.h"

namespace sumi::app {

enum class JobState : unsigned char { kQueued, kRunning, kDone, kFailed, kCancelled };
const char* name_of(JobState state);                      // "queued", …
std::optional<JobState> state_of(std::string_view name);  // nullopt: none is called so
inline bool is_over(JobState state) { return state != JobState::kQueued && state != JobState::kRunning; }

// A larger version of a picture, in place of a drawing.
struct Upscaling {
  std::string picture = {};   // whole, "data:image/png;base64,…"
  std::string upscaler = {};  // a name of the library, or a filter: "lanczos", "bicubic", "bilinear", "nearest", …
  double scale = 2.0;         // of both sides, above 0 and at most 64
  // In place of `scale` a size that the result covers, in pixels; 0: not given.
  int64_t width = 0, height = 0;
  bool crop = false;  // what reaches beyond that size is cut off on both sides
};

inline constexpr const char* kOwnVae = "own";

// Files are named as the library names them (`loras`, `controls`, …), pictures are given whole.
struct Submission {
  Request request = {};
  std::optional<Upscaling> upscaling = {};  // then `request` is not looked at
  std::string model = {};                   // a name of the shelf; empty: the first
  // A name of the library in place of the model's own autoencoder; "own": that one, even where another lies beside the
  // model; empty: as the model is opened.
  std::string vae = {};
  std::string client = {};  // whose it is: the queue takes turns between clients
  int priority = 0;         // -10 to 10; the higher is drawn before the lower
  bool previews = false;    // whether pictures in the making are wanted
  // By whom it must be drawn, as Engine::version() and instruction_set() name them: pictures have the same bytes
  // wherever both are the same. Empty: by anyone.
  std::string version = {}, instructions = {};
};

struct KeptPicture {
  int64_t number = 0;  // in the job
  uint64_t seed = 0;
  int64_t width = 0, height = 0;
  std::string prompt = {}, parameters = {};
  bool flagged = false;
  std::shared_ptr<const std::string> png = {};
};

double seconds_now();  // since 1970
// 64 random bits in hexadecimal: nobody guesses another's.
std::string new_job_id();

// What is known of a job at one moment.
struct JobView {
  std::string id = {}, model = {}, vae = {}, client = {};
  int priority = 0;
  JobState state = JobState::kQueued;
  int64_t place = 0;                              // queued: how many will be drawn before it
  int64_t done = 0, steps = 0;                    // of all batches
  std::optional<double> seconds_left = {};        // running, once a step is done
  double created = 0, started = 0, finished = 0;  // seconds since 1970; 0: not yet
  std::string error = {};                         // failed: a sentence
  ErrorKind error_kind = ErrorKind::kInternal;
  // JSON: the request as it was submitted (of an upscaling {"picture", "upscaler", "scale"}), pictures in it as
  // "data:"; the settings once it has begun, without this machine's folders.
  std::string request = {}, settings = {};
  bool upscaling = false;
  std::vector<std::string> warnings = {};
  std::vector<KeptPicture> pictures = {};
};

// What happens to a job: "queued" {"place"}, "running", "step" {"done", "steps", "seconds_left"} (the first with done
// 0, once all about the request is known to be right and the weights are there), "preview" {"number", "png" in base64},
// "warning" {"message"}, "picture" {"number", "seed", "width", "height"}, then one of "done", "failed" {"error"},
// "cancelled". Numbered from 1 within the job.
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
  static constexpr int kRetryAfter = 30;  // seconds, for clients that ask again
  explicit QueueIsFull(const std::string& sentence) : Error(ErrorKind::kUnavailable, sentence) {}
};

// What a server counts, since it began.
struct JobCounts {
  int64_t submitted = 0, done = 0, failed = 0, cancelled = 0, refused = 0, pictures = 0, steps = 0;
  int64_t queued = 0, running = 0;  // now
  int64_t batches = 0;              // of jobs that were drawn together, two at least
  double seconds_drawing = 0;
  // Of `seconds_drawing`: "open" (a model, and planning the job), "prepare" (up to the first step: weights, prompts,
  // pictures given), "sample", "decode", "write" (the PNG).
  std::map<std::string, double> stage_seconds = {};
};

// Any number of threads may use one.
class Jobs {
 public:
  Jobs() = default;
  virtual ~Jobs() = default;
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  // Checks the request as far as no model is needed and queues it. Returns the job's id. Throws Error(kUsage) for what
  // is wrong with it, QueueIsFull, Error(kUnavailable) where no more work is taken.
  virtual std::string submit(Submission submission) = 0;

  virtual std::optional<JobView> view(const std::string& id) const = 0;
  virtual std::optional<JobState> state(const std::string& id) const = 0;
  virtual std::vector<JobView> list() const = 0;  // the newest first; without pictures' bytes
  // A PNG; null: there is none.
  virtual std::shared_ptr<const std::string> picture(const std::string& id, int64_t number) const = 0;

  enum class Cancelled : unsigned char { kYes, kOver, kUnknown };
  virtual Cancelled cancel(const std::string& id) = 0;                     // within a step
  virtual bool forget(const std::string& id) = 0;                          // one that is over, with its pictures
  virtual bool forget_picture(const std::string& id, int64_t number) = 0;  // of a job that is over
  // Moves a queued job before another that waits (empty: to the end), which gives it the other's priority. Clients
  // take turns all the same: the order is of one client's jobs. False: either does not wait, or they are of two
  // clients.
  virtual bool move(const std::string& id, const std::string& before) = 0;

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
  virtual std::unique_ptr<Watch> watch(const std::string& id, uint64_t after,
                                       std::function<void(const JobEvent&)> call) = 0;

  virtual JobCounts counts() const = 0;
  // Takes no more work; what is queued is still drawn. True once nothing is left, or false after `patience`.
  virtual bool drain(std::chrono::milliseconds patience) = 0;
};

}  // namespace sumi::app
