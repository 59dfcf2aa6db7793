#include "app/server/local_jobs.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "app/server/drawing.h"
#include "app/server/hide_folders.h"
#include "app/server/submission.h"
#include "app/server/together.h"
#include "base/check.h"
#include "base/log.h"

namespace sumi::app {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMostBeginnings = 3;     // of a job at which the server may have ended
constexpr size_t kMostClients = 1000;  // whose turns are remembered

// Of the pictures and prompts that come with it.
int64_t bytes_of(const Submission& submission) {
  size_t bytes = submission.request.init.size() + submission.request.mask.size();
  for (const std::string& prompt : submission.request.prompts) bytes += prompt.size();
  for (const Control& control : submission.request.controls) bytes += control.image.size();
  if (submission.upscaling) bytes += submission.upscaling->picture.size();
  return static_cast<int64_t>(bytes);
}

}  // namespace

struct LocalJobs::Entry {
  std::string id, client;
  int priority = 0;
  uint64_t arrival = 0;
  int64_t bytes = 0;
  std::string key;  // of jobs that can be drawn together
  std::unique_ptr<Drawing> drawing;
  bool cancelled = false;  // asked for; with the lock
};

LocalJobs::LocalJobs(Shelf& shelf, const Library& library, const LocalJobsOptions& options)
    : BookedJobs({.most_kept = options.most_kept,
                  .most_kept_bytes = options.most_kept_bytes,
                  .store = options.store,
                  .on_end = options.on_end}),
      shelf_(shelf),
      library_(library),
      options_(options) {
  if (options_.store != nullptr) take_up(options_.store->load());
  thread_ = std::thread([this] { draw_all(); });
}

LocalJobs::~LocalJobs() {
  {
    const Lock lock(mutex_);
    ending_ = true;
    if (drawing_ != nullptr) drawing_->cancel();
  }
  changed_.notify_all();
  thread_.join();
}

LocalJobs::EntryPtr LocalJobs::entry_of(Submission submission, const std::string& id) const {
  const auto meets = [](const std::string& wanted, const std::string& own) { return wanted.empty() || wanted == own; };
  const Identity own = own_identity();
  SUMI_CHECK_KIND(kUsage, meets(submission.version, own.version) && meets(submission.instructions, own.instructions),
                  "the job asks for version \"{}\" and instruction set \"{}\"; this is {} on {}", submission.version,
                  submission.instructions, own.version, own.instructions);
  auto entry = std::make_shared<Entry>();
  entry->id = id;
  entry->client = submission.client;
  entry->priority = submission.priority;
  entry->bytes = bytes_of(submission);
  entry->drawing = std::make_unique<Drawing>(shelf_, library_, std::move(submission));
  // Embeddings are found by words of any prompt of a request, so where there are some each job has its own.
  if (library_.list(FileKind::kEmbedding).empty())
    entry->key = together_key(entry->drawing->submission(), entry->drawing->model());
  return entry;
}

// Jobs of a server that has ended: those that were not over wait again.
void LocalJobs::take_up(const std::vector<StoredJob>& stored) {
  for (const StoredJob& job : stored) {
    JobView view = job.view;
    if (is_over(view.state)) {
      book_.add(std::move(view));
      continue;
    }
    view.state = JobState::kQueued;
    view.started = 0;
    view.done = view.steps = 0;
    view.warnings.clear();
    book_.add(std::move(view));
    if (options_.store->beginnings(job.view.id) >= kMostBeginnings) {
      book_.end(job.view.id, JobState::kFailed,
                fmt::format("the server has ended {} times while it drew this", kMostBeginnings),
                ErrorKind::kUnavailable);
      continue;
    }
    try {
      const EntryPtr entry = entry_of(job.submission, job.view.id);
      const Lock lock(mutex_);
      entry->arrival = ++arrivals_;
      queued_bytes_ += entry->bytes;
      queue_.push_back(entry);
    } catch (const std::exception&) {
      const Failure why = failure();
      book_.end(job.view.id, JobState::kFailed, why.error, why.kind);
    }
  }
  const Lock lock(mutex_);
  tell_places();
}

std::string LocalJobs::submit(Submission submission) {
  JobView view = new_job(submission, shelf_.name_of(submission.model));
  const std::string id = view.id;
  const EntryPtr entry = entry_of(std::move(submission), id);
  {
    const Lock lock(mutex_);
    check_room(entry->bytes);
  }
  store(view, entry->drawing->submission());
  try {
    const Lock lock(mutex_);
    check_room(entry->bytes);  // others have come meanwhile
    entry->arrival = ++arrivals_;
    queued_bytes_ += entry->bytes;
    book_.add(std::move(view));
    queue_.push_back(entry);
    tell_places();
  } catch (...) {
    if (options_.store != nullptr) options_.store->remove(id);
    throw;
  }
  changed_.notify_all();
  return id;
}

void LocalJobs::store(const JobView& view, const Submission& submission) {
  if (options_.store == nullptr) return;
  try {
    options_.store->save(view, submission);
  } catch (const Error& error) {
    options_.store->remove(view.id);
    fail(ErrorKind::kUnavailable, "the job cannot be kept on the disk: {}", without_folders(error.what()));
  }
}

void LocalJobs::check_room(int64_t bytes) {
  const bool closing = draining_ || ending_, full = queue_.size() >= options_.most_queued;
  const bool heavy = !queue_.empty() && queued_bytes_ + bytes > options_.most_queued_bytes;
  if (closing || full || heavy) ++counts_.refused;
  SUMI_CHECK_KIND(kUnavailable, !closing, "the server is closing down");
  if (full) throw QueueIsFull(fmt::format("{} jobs are waiting already; try again later", queue_.size()));
  if (heavy) throw QueueIsFull("the pictures of the jobs that wait take too much memory; try again later");
}

std::vector<LocalJobs::EntryPtr> LocalJobs::order() const {
  std::vector<EntryPtr> waiting(queue_.begin(), queue_.end()), next;
  std::map<std::string, uint64_t> turns = last_turn_;
  uint64_t turn = turns_;
  const auto rank = [&](const EntryPtr& entry) {
    const auto last = turns.find(entry->client);
    return std::tuple(-entry->priority, last == turns.end() ? 0 : last->second, entry->arrival);
  };
  while (!waiting.empty()) {
    const auto best = std::min_element(waiting.begin(), waiting.end(),
                                       [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    turns[(*best)->client] = ++turn;
    next.push_back(*best);
    waiting.erase(best);
  }
  return next;
}

void LocalJobs::tell_places() {
  const auto next = order();
  for (size_t i = 0; i < next.size(); ++i)
    book_.place(next[i]->id, static_cast<int64_t>(i) + static_cast<int64_t>(running_.size()));
}

bool LocalJobs::move(const std::string& id, const std::string& before) {
  const Lock lock(mutex_);
  const auto of = [&](const std::string& name) {
    return std::find_if(queue_.begin(), queue_.end(), [&](const EntryPtr& entry) { return entry->id == name; });
  };
  const auto moved = of(id);
  if (moved == queue_.end()) return false;
  const EntryPtr entry = *moved;
  std::vector<EntryPtr> own;  // of this client, in their order, without it
  for (const EntryPtr& other : order()) {
    if (other->client == entry->client && other != entry) own.push_back(other);
  }
  const auto target =
      before.empty() ? own.end()
                     : std::find_if(own.begin(), own.end(), [&](const EntryPtr& other) { return other->id == before; });
  if (!before.empty() && target == own.end()) return false;
  if (target != own.end()) {
    entry->priority = (*target)->priority;
  } else if (!own.empty()) {
    entry->priority = own.back()->priority;
  }
  const int priority = entry->priority;
  own.insert(target, entry);
  // The arrivals that they have, in the new order: towards other clients nothing changes.
  std::vector<uint64_t> arrivals;
  for (const EntryPtr& one : own) arrivals.push_back(one->arrival);
  std::sort(arrivals.begin(), arrivals.end());
  for (size_t i = 0; i < own.size(); ++i) own[i]->arrival = arrivals[i];
  book_.change(id, [&](JobView& view) { view.priority = priority; });
  tell_places();
  return true;
}

std::vector<LocalJobs::EntryPtr> LocalJobs::take_next(Lock& lock) {
  changed_.wait(lock, [&] { return ending_ || !queue_.empty(); });
  if (ending_) return {};
  const std::vector<EntryPtr> next = order();
  int64_t pictures = next[0]->key.empty() ? 0 : pictures_of(next[0]->drawing->submission());
  running_ = {next[0]};
  for (size_t i = 1; i < next.size() && !next[0]->key.empty(); ++i) {
    if (next[i]->key != next[0]->key) continue;
    const int64_t more = pictures_of(next[i]->drawing->submission());
    if (pictures + more > options_.most_together) continue;
    pictures += more;
    running_.push_back(next[i]);
  }
  if (last_turn_.size() > kMostClients) last_turn_.clear();
  for (const EntryPtr& entry : running_) {
    queue_.erase(std::find(queue_.begin(), queue_.end(), entry));
    queued_bytes_ -= entry->bytes;
    last_turn_[entry->client] = ++turns_;
    book_.begin(entry->id);
  }
  tell_places();
  return running_;
}

void LocalJobs::draw_all() {
  for (;;) {
    std::vector<EntryPtr> entries;
    {
      Lock lock(mutex_);
      entries = take_next(lock);
    }
    if (entries.empty()) return;
    const auto begin = Clock::now();
    bool failed = false;
    try {
      entries.size() > 1 ? draw_together(entries) : draw_alone(entries[0]);
    } catch (...) {
      // What telling of a job needed was not there: no memory. The next job may fare better.
      const Lock lock(mutex_);
      drawing_ = nullptr;
      failed = true;
    }
    for (size_t i = 0; failed && i < entries.size(); ++i) end_as_failed(entries[i]->id);
    {
      const Lock lock(mutex_);
      counts_.seconds_drawing += std::chrono::duration<double>(Clock::now() - begin).count();
      running_.clear();
      tell_places();
    }
    changed_.notify_all();
  }
}

void LocalJobs::end_as_failed(const std::string& id) {
  try {
    book_.end(id, JobState::kFailed, "out of memory", ErrorKind::kUnavailable);
  } catch (const std::exception&) {
    warn("there is no memory left to tell of a job");
  }
}

void LocalJobs::add_stage(const char* stage, double seconds) {
  const Lock lock(mutex_);
  counts_.stage_seconds[stage] += seconds;
}

// What ends with the server stays as it was where jobs outlive it.
void LocalJobs::end(Entry& entry, JobState state, const std::string& error, ErrorKind kind) {
  {
    const Lock lock(mutex_);
    if (ending_ && !entry.cancelled && state == JobState::kCancelled && options_.store != nullptr) return;
  }
  book_.end(entry.id, state, error, kind);
}

void LocalJobs::draw_alone(const EntryPtr& entry) {
  {
    const Lock lock(mutex_);
    drawing_ = entry->drawing.get();
    if (entry->cancelled || ending_) drawing_->cancel();
  }
  Failure how{JobState::kDone};
  const std::string& id = entry->id;
  if (options_.store != nullptr) options_.store->add_beginning(id);
  try {
    entry->drawing->run({.prepared = [&](std::string settings) { book_.settings(id, std::move(settings)); },
                         .step = [&](int64_t done, int64_t steps) { book_.step(id, done, steps); },
                         .warning = [&](const std::string& sentence) { book_.warning(id, sentence); },
                         .preview = [&](int64_t number, const std::string& png) { book_.preview(id, number, png); },
                         .picture = [&](KeptPicture picture) { book_.picture(id, std::move(picture)); },
                         .stage = [&](const char* stage, double seconds) { add_stage(stage, seconds); }});
  } catch (...) {
    how = failure();
  }
  {
    const Lock lock(mutex_);
    drawing_ = nullptr;
    entry->drawing.reset();
  }
  end(*entry, how.state, how.error, how.kind);
}

void LocalJobs::draw_together(const std::vector<EntryPtr>& entries) {
  std::vector<const Submission*> submissions;
  for (const EntryPtr& entry : entries) submissions.push_back(&entry->drawing->submission());
  // Of a picture of the whole, whose it is and which of its own.
  const auto owner_of = [&](int64_t number) {
    size_t owner = 0;
    for (; number >= pictures_of(*submissions[owner]); ++owner) number -= pictures_of(*submissions[owner]);
    return std::pair(owner, number);
  };
  bool drawn = false;
  std::unique_ptr<Drawing> drawing;  // outlives what points to it
  try {
    drawing = std::make_unique<Drawing>(shelf_, library_, joined(submissions));
    {
      const Lock lock(mutex_);
      drawing_ = drawing.get();
      const bool all = std::all_of(entries.begin(), entries.end(), [](const auto& entry) { return entry->cancelled; });
      if (all || ending_) drawing->cancel();
    }
    const auto each = [&](const auto& call) {
      for (size_t i = 0; i < entries.size(); ++i) call(i, entries[i]->id);
    };
    drawing->run(
        {.prepared =
             [&](const std::string& settings) {
               each([&](size_t i, const std::string& id) {
                 book_.settings(id, settings_of_one(settings, *submissions[i]));
               });
             },
         .step = [&](int64_t done,
                     int64_t steps) { each([&](size_t, const std::string& id) { book_.step(id, done, steps); }); },
         .warning = [&](const std::string& s) { each([&](size_t, const std::string& id) { book_.warning(id, s); }); },
         .preview =
             [&](int64_t number, const std::string& png) {
               const auto [owner, own] = owner_of(number);
               if (submissions[owner]->previews) book_.preview(entries[owner]->id, own, png);
             },
         .picture =
             [&](KeptPicture picture) {
               const auto [owner, own] = owner_of(picture.number);
               picture.number = own;
               book_.picture(entries[owner]->id, std::move(picture));
             },
         .stage = [&](const char* stage, double seconds) { add_stage(stage, seconds); }});
    drawn = true;
    const Lock lock(mutex_);
    ++counts_.batches;
  } catch (...) {
    // Too much memory for all at once, or one that cannot be drawn: each by itself then, to its own end.
  }
  {
    const Lock lock(mutex_);
    drawing_ = nullptr;
  }
  for (const EntryPtr& entry : entries) {
    if (!drawn) {
      draw_alone(entry);
    } else {
      end(*entry, JobState::kDone, "", {});
    }
  }
}

Jobs::Cancelled LocalJobs::cancel(const std::string& id) {
  bool ended = false;
  {
    const Lock lock(mutex_);
    const auto known = book_.state(id);
    if (!known) return Cancelled::kUnknown;
    if (is_over(*known)) return Cancelled::kOver;
    const auto is_it = [&](const EntryPtr& entry) { return entry->id == id; };
    const auto queued = std::find_if(queue_.begin(), queue_.end(), is_it);
    if (queued != queue_.end()) {
      queued_bytes_ -= (*queued)->bytes;
      queue_.erase(queued);
      ended = true;
      tell_places();
    }
    const auto running = std::find_if(running_.begin(), running_.end(), is_it);
    if (running != running_.end()) {
      (*running)->cancelled = true;
      const bool all = std::all_of(running_.begin(), running_.end(), [&](const EntryPtr& entry) {
        return entry->cancelled || is_over(book_.state(entry->id).value_or(JobState::kDone));
      });
      // One of several that are drawn together ends by itself; the others go on.
      const bool alone = drawing_ != nullptr && drawing_ == (*running)->drawing.get();
      if (drawing_ != nullptr && (all || alone)) drawing_->cancel();
      ended = ended || running_.size() > 1;
    }
  }
  if (ended) book_.end(id, JobState::kCancelled, "");
  changed_.notify_all();
  return Cancelled::kYes;
}

JobCounts LocalJobs::counts() const {
  JobCounts counts = book_.counts();
  const Lock lock(mutex_);
  counts.refused = counts_.refused;
  counts.batches = counts_.batches;
  counts.seconds_drawing = counts_.seconds_drawing;
  counts.stage_seconds = counts_.stage_seconds;
  counts.queued = static_cast<int64_t>(queue_.size());
  counts.running = static_cast<int64_t>(running_.size());
  return counts;
}

bool LocalJobs::drain(std::chrono::milliseconds patience) {
  Lock lock(mutex_);
  draining_ = true;
  return changed_.wait_for(lock, patience, [&] { return queue_.empty() && running_.empty(); });
}

}  // namespace sumi::app
