// Jobs that this process draws, one network call after the other.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "app/server/job_book.h"
#include "app/server/job_store.h"
#include "app/server/jobs.h"
#include "app/server/library.h"
#include "app/server/shelf.h"

namespace sumi::app {

struct LocalJobsOptions {
  size_t most_queued = 100;               // jobs; more are refused
  int64_t most_queued_bytes = 1LL << 30;  // of pictures and prompts that wait, as they were sent
  size_t most_kept = 500;                 // jobs that are over; the oldest are forgotten
  int64_t most_kept_bytes = 512 << 20;    // of their pictures, where they are kept in memory
  // Pictures of several jobs in one network call, where nothing but prompts and seeds sets them apart; 1: each job by
  // itself. A picture has the bytes that it has alone.
  int64_t most_together = 4;
  JobStore* store = nullptr;                        // keeps jobs on disk: those that it has are taken up again
  std::function<void(const JobView&)> on_end = {};  // of each job, once it is over
};

// The next job is the one with the highest priority; of those, of the client whose last turn is longest ago; of those,
// the oldest.
class LocalJobs : public BookedJobs {
 public:
  // All three must outlive it.
  LocalJobs(Shelf& shelf, const Library& library, const LocalJobsOptions& options);
  ~LocalJobs() override;  // cancels what runs and waits for it; with a store the jobs wait there

  std::string submit(Submission submission) override;
  std::shared_ptr<const std::string> picture(const std::string& id, int64_t number) const override {
    return book_.png(id, number);
  }
  Cancelled cancel(const std::string& id) override;
  bool forget(const std::string& id) override { return book_.forget(id); }
  bool forget_picture(const std::string& id, int64_t number) override { return book_.forget_picture(id, number); }
  bool move(const std::string& id, const std::string& before) override;
  JobCounts counts() const override;
  bool drain(std::chrono::milliseconds patience) override;

 private:
  struct Entry;
  using EntryPtr = std::shared_ptr<Entry>;
  using Lock = std::unique_lock<std::mutex>;

  EntryPtr entry_of(Submission submission, const std::string& id) const;
  void store(const JobView& view, const Submission& submission);
  void take_up(const std::vector<StoredJob>& stored);
  // With the lock.
  void check_room(int64_t bytes);
  std::vector<EntryPtr> order() const;  // of the queue, the next first
  std::vector<EntryPtr> take_next(Lock& lock);
  void tell_places();

  void draw_all();
  void draw_together(const std::vector<EntryPtr>& entries);
  void draw_alone(const EntryPtr& entry);
  void end(Entry& entry, JobState state, const std::string& error, ErrorKind kind);
  void end_as_failed(const std::string& id);
  void add_stage(const char* stage, double seconds);

  Shelf& shelf_;
  const Library& library_;
  const LocalJobsOptions options_;
  mutable std::mutex mutex_;  // taken before the book's
  std::condition_variable changed_;
  std::deque<EntryPtr> queue_;
  std::vector<EntryPtr> running_;
  class Drawing* drawing_ = nullptr;           // what is drawn now
  std::map<std::string, uint64_t> last_turn_;  // of clients, when one of their jobs was taken
  uint64_t turns_ = 0, arrivals_ = 0;
  int64_t queued_bytes_ = 0;
  bool draining_ = false, ending_ = false;
  JobCounts counts_;  // what the book does not count
  std::thread thread_;
};

}  // namespace sumi::app
