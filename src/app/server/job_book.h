// What a server knows of its jobs: states, events with those who watch them, finished pictures. How jobs are queued and
// drawn is not decided here (local_jobs.h, redis_jobs.h).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/server/job_store.h"
#include "app/server/jobs.h"

namespace sumi::app {

// Any number of threads may use one.
class JobBook {
 public:
  struct Options {
    size_t most_kept = 500;               // jobs that are over; the oldest are forgotten
    int64_t most_kept_bytes = 512 << 20;  // of their pictures and requests; of those on disk, the requests alone
    JobStore* store = nullptr;            // keeps pictures on disk instead; it must outlive the book
    std::function<void(const JobView&)> on_end = {};  // of each job, once it is over
  };
  explicit JobBook(const Options& options);
  ~JobBook();  // what watches hold is let go

  void add(JobView view);  // a new job, or one from before; its id must be new
  // "queued", unless the place is the one told last.
  void place(const std::string& id, int64_t place);
  void begin(const std::string& id);                       // "running"
  void settings(const std::string& id, std::string json);  // as resolved
  void step(const std::string& id, int64_t done, int64_t steps);
  void warning(const std::string& id, const std::string& message);
  void preview(const std::string& id, int64_t number, const std::string& png);
  // With a store, the file is there when this returns. A picture whose number is there already replaces it.
  void picture(const std::string& id, KeptPicture picture);
  void end(const std::string& id, JobState state, std::string error, ErrorKind kind = ErrorKind::kInternal);
  void requeue(const std::string& id);  // what was running waits again
  // Changes what has no event of its own: `change` must not use this object.
  void change(const std::string& id, const std::function<void(JobView&)>& change);

  std::optional<JobView> view(const std::string& id) const;
  std::optional<JobState> state(const std::string& id) const;
  std::vector<JobView> list() const;
  std::shared_ptr<const std::string> png(const std::string& id, int64_t number) const;
  bool forget(const std::string& id);
  bool forget_picture(const std::string& id, int64_t number);
  std::unique_ptr<Jobs::Watch> watch(const std::string& id, uint64_t after, std::function<void(const JobEvent&)> call);
  JobCounts counts() const;  // without `queued`, `running`, `refused`, `batches` and the stages

 private:
  struct Entry;
  using Lock = std::unique_lock<std::mutex>;

  std::shared_ptr<Entry> find(const std::string& id) const;     // with the lock
  void tell(Entry& entry, std::string name, std::string data);  // with the lock
  void keep(const std::string& id, KeptPicture picture);
  void save(const JobView& view) const;  // where there is a store; a disk that fails is a warning
  void forget_old();                     // with the lock
  void end_now(const std::string& id, JobState state, std::string error, ErrorKind kind);

  const Options options_;
  const std::shared_ptr<std::mutex> mutex_ = std::make_shared<std::mutex>();  // of watches too, which may outlive this
  std::mutex saving_;  // held while a job's files change; taken before the other
  std::map<std::string, std::shared_ptr<Entry>> jobs_;
  std::deque<std::shared_ptr<Entry>> over_;  // in the order of ending
  uint64_t arrivals_ = 0, watches_ = 0;
  int64_t kept_bytes_ = 0;
  JobCounts counts_;
};

// Jobs that are told of from a book.
class BookedJobs : public Jobs {
 public:
  std::optional<JobView> view(const std::string& id) const override { return book_.view(id); }
  std::optional<JobState> state(const std::string& id) const override { return book_.state(id); }
  std::vector<JobView> list() const override { return book_.list(); }
  std::unique_ptr<Watch> watch(const std::string& id, uint64_t after,
                               std::function<void(const JobEvent&)> call) override {
    return book_.watch(id, after, std::move(call));
  }

 protected:
  explicit BookedJobs(const JobBook::Options& options) : book_(options) {}

  JobBook book_;
};

}  // namespace sumi::app
