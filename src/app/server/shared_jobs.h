// Jobs whose queue is in Redis, drawn by whoever takes them: `sumi work` on this machine or on others. Servers of one
// queue know each other's jobs, and what was acknowledged outlives all of them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "app/server/job_book.h"
#include "app/server/jobs.h"
#include "app/server/library.h"
#include "app/server/shared_queue.h"
#include "app/server/shelf.h"

namespace sumi::app {

struct SharedJobsOptions {
  size_t most_queued = 100;               // jobs that are not over, of all servers; more are refused
  int64_t most_queued_bytes = 1LL << 30;  // of them, with the pictures that come with them
  SharedQueueOptions queue = {};
  RedisOptions redis = {};
  std::function<void(const JobView&)> on_end = {};
};

// Differs from LocalJobs: jobs are drawn in the order of their coming within three classes of priority (above 0, 0,
// below), whoever's they are, and cannot be moved; each is drawn by itself. While Redis cannot be reached, new jobs are
// refused (Error(kUnavailable)) and the others stay as they were told last.
class SharedJobs : public BookedJobs {
 public:
  // Shelf and library check requests; workers have files of the same names. Throws Error(kUnavailable) where Redis
  // cannot be reached.
  SharedJobs(const RedisAddress& address, Shelf& shelf, const Library& library, const SharedJobsOptions& options);
  ~SharedJobs() override;

  std::string submit(Submission submission) override;
  std::shared_ptr<const std::string> picture(const std::string& id, int64_t number) const override;
  Cancelled cancel(const std::string& id) override;
  bool forget(const std::string& id) override;
  bool forget_picture(const std::string& id, int64_t number) override;
  bool move(const std::string&, const std::string&) override { return false; }
  JobCounts counts() const override;
  // Takes no more work. What waits is drawn by others: nothing is left to wait for.
  bool drain(std::chrono::milliseconds patience) override;

 private:
  void listen();
  void on_event(const SharedEvent& event);
  void refresh(const std::string& id);
  void refresh_one(const std::string& id);  // without places
  void refresh_all();
  void apply(const SharedJob& job);
  void tell_places();

  Shelf& shelf_;
  const Library& library_;
  const SharedJobsOptions options_;
  mutable Redis redis_;
  mutable SharedQueue queue_;
  std::mutex refreshing_;  // one at a time brings the book up to date
  mutable std::mutex mutex_;
  int64_t refused_ = 0;
  std::atomic<bool> draining_{false}, ending_{false};
  RedisListener listener_;
  std::thread thread_;
};

}  // namespace sumi::app
