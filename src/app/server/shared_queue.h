// What servers and workers keep in Redis, and every change of it that several of them could make at once. All keys
// begin with "sumi:".
//
//   job:ID       hash: all of a job but its pictures' bytes (see SharedJob); expires with its pictures once it is over
//   picture:ID:N a PNG
//   jobs         sorted set: ids of all jobs by the time of their creation
//   open         sorted set: ids of those that are not over
//   queue:MODEL:CLASS[:DEMAND]  stream: entries {id}; consumer group "workers", in which "-" has what was given back.
//                CLASS 0 for priorities above 0, 1 for 0, 2 below. DEMAND: the version and instruction set that a job
//                asks for. Goes with its last entry.
//   worker:NAME  what a living worker says of itself; expires when it says nothing for a while
//   cancel:ID    somebody has asked for it
//   result:HASH  the id of a job that has drawn what has this hash
//   channels     "events" (what happens to jobs), "work" (there is some), "cancels" (ids)
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/server/drawing.h"
#include "app/server/jobs.h"
#include "app/server/redis.h"

namespace sumi::app {

struct SharedQueueOptions {
  std::chrono::milliseconds heartbeat{10'000};  // a worker that has said nothing for so long has ended
  std::chrono::seconds results{24 * 3600};      // how long jobs that are over are kept
  int64_t most_deliveries = 3;                  // a job whose worker has ended so often fails
  int64_t most_kept = 1000;                     // jobs that are over; the oldest are forgotten
};

inline constexpr const char *kEventsChannel = "sumi:events", *kWorkChannel = "sumi:work",
                            *kCancelsChannel = "sumi:cancels";

// A job as Redis has it. Its view has no pictures' bytes.
struct SharedJob {
  JobView view = {};
  std::string submission = {};  // JSON
  bool whole = true;            // no picture of it has been forgotten
};

// An entry of a stream, taken by a worker.
struct Delivery {
  std::string stream, entry, id;
  int64_t count = 1;  // how often it has been taken
  std::string worker;
};

// A message of kEventsChannel: the job has changed, or it has come a step further, or there is a preview.
struct SharedEvent {
  std::string id;
  std::optional<std::pair<int64_t, int64_t>> step = {};         // done, steps
  std::optional<std::pair<int64_t, std::string>> preview = {};  // number, PNG
};
std::string to_text(const SharedEvent& event);
std::optional<SharedEvent> event_of(const std::string& text);  // nullopt: not of this version

// Any number of threads may use one. All functions throw as Redis::call. Each is one command or one script: done whole
// or not at all, and harmless when it is done twice.
class SharedQueue {
 public:
  SharedQueue(Redis& redis, const SharedQueueOptions& options) : redis_(redis), options_(options) {}
  const SharedQueueOptions& options() const { return options_; }

  enum class Submitted : unsigned char { kYes, kFull, kHeavy };
  // kFull: `most_open` jobs are not over already; kHeavy: with it, they would have more than `most_bytes`.
  Submitted submit(const SharedJob& job, const Submission& submission, int64_t most_open, int64_t most_bytes);
  std::optional<SharedJob> job(const std::string& id);
  std::vector<std::string> jobs(int64_t most);  // the newest, the oldest of them first
  std::vector<std::string> open_jobs();         // the oldest first

  Jobs::Cancelled cancel(const std::string& id);
  void drop(const std::string& id);    // one of which Redis has nothing but its place in lists
  bool forget(const std::string& id);  // false: it is not over
  bool forget_picture(const JobView& changed, int64_t number);

  // A worker's.
  void beat(const std::string& worker, const Identity& identity);
  void leave(const std::string& worker);
  std::vector<std::string> streams(const std::vector<std::string>& models, const Identity& identity) const;
  // The next job: one that this worker has been given without knowing it, one whose worker has ended, or a new one.
  std::optional<Delivery> take(const std::string& worker, const std::vector<std::string>& streams, bool claims);
  // False: it is over, and its entry has been removed.
  bool begin(const Delivery& delivery);
  enum class Standing : unsigned char { kOwn, kCancelled, kLost };
  Standing standing(const Delivery& delivery);  // kLost: it is over, or another's
  // Of a worker that has lost the job, nothing is taken from here on.
  void change(const Delivery& delivery, const std::map<std::string, std::string>& fields);
  void save_picture(const std::string& id, int64_t number, const std::string& png);
  std::shared_ptr<const std::string> picture(const std::string& id, int64_t number);
  // Once: false, and nothing changes, for a job that is over.
  bool end(const Delivery& delivery, JobState state, const std::string& error, ErrorKind kind);
  void give_back(const Delivery& delivery);  // for another worker, as if never taken
  void tell(const SharedEvent& event);
  void remember_result(const std::string& hash, const std::string& id);
  std::optional<SharedJob> result(const std::string& hash);  // one that is done and has all its pictures

 private:
  void forget_old();

  Redis& redis_;
  const SharedQueueOptions options_;
};

// The fields of a job's hash.
std::map<std::string, std::string> fields_of(const JobView& view);
std::string pictures_json(const std::vector<KeptPicture>& pictures);

// Of what decides the bytes of a job's pictures; `drawn_with` tells of the worker's options and files (drawn_with.h).
std::string result_hash(const Submission& submission, const std::string& model, const Identity& identity,
                        const std::string& drawn_with);

}  // namespace sumi::app
