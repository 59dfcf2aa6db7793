#include "app/server/shared_jobs.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "app/server/drawing.h"
#include "app/server/submission.h"
#include "base/check.h"
#include "base/log.h"

namespace sumi::app {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kListen{200};     // between looks at whether this ends
constexpr milliseconds kRefresh{2'000};  // messages can be lost: so often all that is not over is looked at
constexpr int64_t kMostListed = 500;
constexpr size_t kMostBytes = 64 << 20;  // of a submission
constexpr size_t kLongestName = 64;      // of a version or an instruction set

}  // namespace

SharedJobs::SharedJobs(const RedisAddress& address, Shelf& shelf, const Library& library,
                       const SharedJobsOptions& options)
    : BookedJobs({.most_kept = static_cast<size_t>(kMostListed), .on_end = options.on_end}),
      shelf_(shelf),
      library_(library),
      options_(options),
      redis_(address, options.redis),
      queue_(redis_, options.queue),
      listener_(address, {kEventsChannel}, options.redis) {
  for (const std::string& id : queue_.jobs(kMostListed)) refresh_one(id);
  refresh_all();
  thread_ = std::thread([this] { listen(); });
}

SharedJobs::~SharedJobs() {
  ending_ = true;
  thread_.join();
}

std::string SharedJobs::submit(Submission submission) {
  SUMI_CHECK_KIND(kUsage, submission.version.size() <= kLongestName && submission.instructions.size() <= kLongestName,
                  "`version` and `instructions` have at most {} characters", kLongestName);
  SUMI_CHECK_KIND(kUnavailable, !draining_, "the server is closing down");
  submission.model = shelf_.name_of(submission.model);
  SharedJob job{.view = new_job(submission, submission.model)};
  const Drawing checks(shelf_, library_, submission);
  job.submission = to_json(submission);
  SUMI_CHECK_KIND(kUsage, job.submission.size() <= kMostBytes, "the job has more than {} MB; send smaller pictures",
                  kMostBytes >> 20);
  const auto submitted =
      queue_.submit(job, submission, static_cast<int64_t>(options_.most_queued), options_.most_queued_bytes);
  if (submitted != SharedQueue::Submitted::kYes) {
    const std::lock_guard lock(mutex_);
    ++refused_;
    if (submitted == SharedQueue::Submitted::kHeavy)
      throw QueueIsFull("the pictures of the jobs that wait take too much memory; try again later");
    throw QueueIsFull(fmt::format("{} jobs are waiting already; try again later", options_.most_queued));
  }
  const std::lock_guard lock(refreshing_);
  if (!book_.state(job.view.id)) apply(job);  // else a message was quicker, and tells of more
  tell_places();
  return job.view.id;
}

std::shared_ptr<const std::string> SharedJobs::picture(const std::string& id, int64_t number) const {
  return book_.state(id) ? queue_.picture(id, number) : nullptr;
}

Jobs::Cancelled SharedJobs::cancel(const std::string& id) {
  const Cancelled cancelled = queue_.cancel(id);
  refresh(id);
  return cancelled;
}

bool SharedJobs::forget(const std::string& id) {
  if (!queue_.forget(id)) return false;
  book_.forget(id);
  return true;
}

bool SharedJobs::forget_picture(const std::string& id, int64_t number) {
  auto view = book_.view(id);
  if (!view || !is_over(view->state)) return false;
  const auto is_it = [&](const KeptPicture& picture) { return picture.number == number; };
  if (std::erase_if(view->pictures, is_it) == 0) return false;
  queue_.forget_picture(*view, number);
  return book_.forget_picture(id, number);
}

JobCounts SharedJobs::counts() const {
  JobCounts counts = book_.counts();
  for (const JobView& view : book_.list()) {
    counts.queued += view.state == JobState::kQueued ? 1 : 0;
    counts.running += view.state == JobState::kRunning ? 1 : 0;
    if (is_over(view.state) && view.started > 0) counts.seconds_drawing += view.finished - view.started;
  }
  const std::lock_guard lock(mutex_);
  counts.refused = refused_;
  return counts;
}

bool SharedJobs::drain(milliseconds) {
  draining_ = true;
  return true;
}

void SharedJobs::listen() {
  bool lost = false;  // told of already
  uint64_t connections = 0;
  auto refreshed = Clock::now();
  while (!ending_) {
    try {
      const auto message = listener_.wait(kListen);
      const bool again = std::exchange(connections, listener_.connections()) != listener_.connections();
      if (message) {
        if (const auto event = event_of(message->text)) on_event(*event);
      }
      if (again || Clock::now() - refreshed > kRefresh) {
        refresh_all();
        refreshed = Clock::now();
      }
      if (std::exchange(lost, false)) warn("the queue is there again");
    } catch (const std::exception& error) {
      if (!std::exchange(lost, true)) warn("{}; jobs wait until it is there again", error.what());
      std::this_thread::sleep_for(kListen);
    }
  }
}

void SharedJobs::on_event(const SharedEvent& event) {
  if (!event.step && !event.preview) return refresh(event.id);
  const std::lock_guard lock(refreshing_);
  if (event.step) book_.step(event.id, event.step->first, event.step->second);
  if (event.preview) book_.preview(event.id, event.preview->first, event.preview->second);
}

void SharedJobs::refresh(const std::string& id) {
  refresh_one(id);
  const std::lock_guard lock(refreshing_);
  tell_places();
}

void SharedJobs::refresh_one(const std::string& id) {
  const std::lock_guard lock(refreshing_);
  const auto job = queue_.job(id);
  if (job) {
    apply(*job);
  } else {
    // Redis has kept nothing, or another server has forgotten it.
    book_.end(id, JobState::kFailed, "the queue has lost this job: Redis was started again without its data",
              ErrorKind::kUnavailable);
    book_.forget(id);
    queue_.drop(id);
  }
}

void SharedJobs::refresh_all() {
  std::set<std::string> open;
  for (const std::string& id : queue_.open_jobs()) open.insert(id);
  for (const JobView& view : book_.list()) {
    if (!is_over(view.state)) open.insert(view.id);
  }
  for (const std::string& id : open) refresh_one(id);
  const std::lock_guard lock(refreshing_);
  tell_places();
}

// What is new in it becomes the book's, and events.
void SharedJobs::apply(const SharedJob& job) {
  const std::string& id = job.view.id;
  auto known = book_.view(id);
  if (!known) {
    JobView first = job.view;
    if (!is_over(first.state)) {
      first.state = JobState::kQueued;
      first.pictures.clear();
      first.warnings.clear();
    }
    book_.add(std::move(first));
    known = book_.view(id);
    if (!known) return;  // forgotten at once
  }
  if (is_over(known->state)) return;
  if (known->state == JobState::kRunning && job.view.state == JobState::kQueued) book_.requeue(id);
  if (known->state == JobState::kQueued && job.view.started > 0 && job.view.state != JobState::kQueued) book_.begin(id);
  if (!job.view.settings.empty() && known->settings.empty()) book_.settings(id, job.view.settings);
  for (size_t i = known->warnings.size(); i < job.view.warnings.size(); ++i) book_.warning(id, job.view.warnings[i]);
  for (const KeptPicture& picture : job.view.pictures) {
    const bool told = std::any_of(known->pictures.begin(), known->pictures.end(),
                                  [&](const KeptPicture& one) { return one.number == picture.number; });
    if (!told) book_.picture(id, picture);
  }
  // The last step's message may come after the end.
  if (is_over(job.view.state) && job.view.done > known->done) book_.step(id, job.view.done, job.view.steps);
  if (is_over(job.view.state)) book_.end(id, job.view.state, job.view.error, job.view.error_kind);
}

void SharedJobs::tell_places() {
  std::vector<JobView> waiting = book_.list();
  std::erase_if(waiting, [](const JobView& view) { return view.state != JobState::kQueued; });
  const auto rank = [](const JobView& view) {
    return std::pair(view.priority > 0 ? 0 : view.priority == 0 ? 1 : 2, view.created);
  };
  std::sort(waiting.begin(), waiting.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  for (size_t i = 0; i < waiting.size(); ++i) book_.place(waiting[i].id, static_cast<int64_t>(i));
}

}  // namespace sumi::app
