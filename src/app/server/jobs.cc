#include "app/server/jobs.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "api/json.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/text_util.h"
#include "image/metadata.h"
#include "image/png.h"

namespace sumi::app {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr size_t kMostClients = 1000;  // whose turns are remembered

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

// 64 random bits: nobody guesses another's.
std::string new_id() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

// Bytes of names that are not UTF-8 are replaced.
std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string png_of(const Image& image, const std::string& parameters) {
  std::vector<image::PngText> texts;
  if (!parameters.empty()) texts.emplace_back(image::kParametersKey, parameters);
  const std::vector<std::byte> bytes = image::encode_png(image, texts);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Without the folders of this machine.
Settings without_folders(Settings settings, const std::string& model) {
  const auto cut = [](std::string& path) { path = std::filesystem::path(path).filename().string(); };
  settings.model = model;
  cut(settings.vae);
  cut(settings.config);
  for (Lora& lora : settings.loras) cut(lora.file);
  for (std::string& file : settings.embeddings) cut(file);
  return settings;
}

}  // namespace

const char* name_of(JobState state) {
  switch (state) {
    case JobState::kQueued: return "queued";
    case JobState::kRunning: return "running";
    case JobState::kDone: return "done";
    case JobState::kFailed: return "failed";
    default: return "cancelled";
  }
}

struct Jobs::Entry {
  JobView view;  // without what is computed: place
  Submission submission;
  std::optional<CheckedRequest> checked;
  uint64_t arrival = 0;
  Job* job = nullptr;  // while it runs
  bool cancel_asked = false;
  Clock::time_point first_step;
  std::vector<JobEvent> events;
  uint64_t last_event = 0;
  std::map<uint64_t, std::function<void(const JobEvent&)>> watches;
  int64_t bytes = 0;  // of the pictures
};

Jobs::Jobs(Shelf& shelf, const JobsOptions& options)
    : shelf_(shelf), options_(options), thread_([this] { draw_all(); }) {}

Jobs::~Jobs() {
  {
    const Lock lock(mutex_);
    ending_ = true;
    if (running_) {
      running_->cancel_asked = true;
      if (running_->job != nullptr) running_->job->cancel();
    }
  }
  changed_.notify_all();
  thread_.join();
  std::vector<std::function<void(const JobEvent&)>> calls;  // whose ends may end watches
  for (const auto& [id, entry] : jobs_) {
    const Lock lock(mutex_);
    for (auto& [number, call] : entry->watches) calls.push_back(std::move(call));
  }
}

std::string Jobs::submit(Submission submission) {
  SUMI_CHECK_KIND(kUsage, submission.priority >= -10 && submission.priority <= 10,
                  "`priority` must be from -10 to 10, not {}", submission.priority);
  auto entry = std::make_shared<Entry>();
  entry->view.model = shelf_.name_of(submission.model);
  entry->checked.emplace(submission.request);
  entry->view.request = api::to_json(submission.request);
  entry->view.id = new_id();
  entry->view.client = submission.client;
  entry->view.priority = submission.priority;
  entry->view.created = now();
  entry->submission = std::move(submission);
  entry->submission.request = {};  // checked has it
  {
    const Lock lock(mutex_);
    check_room();
    ++counts_.submitted;
    entry->arrival = ++arrivals_;
    jobs_[entry->view.id] = entry;
    queue_.push_back(entry);
    tell_places();
  }
  changed_.notify_all();
  return entry->view.id;
}

void Jobs::check_room() {
  const bool closing = draining_ || ending_, full = queue_.size() >= options_.most_queued;
  if (closing || full) ++counts_.refused;
  SUMI_CHECK_KIND(kUnavailable, !closing, "the server is closing down");
  if (full) throw QueueIsFull(fmt::format("{} jobs are waiting already; try again later", queue_.size()));
}

std::vector<std::shared_ptr<Jobs::Entry>> Jobs::order() const {
  std::vector<std::shared_ptr<Entry>> waiting(queue_.begin(), queue_.end()), next;
  std::map<std::string, uint64_t> turns = last_turn_;
  uint64_t turn = turns_;
  const auto rank = [&](const std::shared_ptr<Entry>& entry) {
    const auto last = turns.find(entry->view.client);
    return std::tuple(-entry->view.priority, last == turns.end() ? 0 : last->second, entry->arrival);
  };
  while (!waiting.empty()) {
    const auto best = std::min_element(waiting.begin(), waiting.end(),
                                       [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    turns[(*best)->view.client] = ++turn;
    next.push_back(*best);
    waiting.erase(best);
  }
  return next;
}

void Jobs::tell(Entry& entry, std::string name, std::string data) {
  // Of previews and places only the last is kept.
  const bool replaces = name == "preview" || name == "queued" || name == "step";
  if (replaces) std::erase_if(entry.events, [&](const JobEvent& event) { return event.name == name; });
  entry.events.push_back({++entry.last_event, std::move(name), std::move(data)});
  for (const auto& [number, call] : entry.watches) call(entry.events.back());
}

void Jobs::tell_places() {
  const auto next = order();
  for (size_t i = 0; i < next.size(); ++i) {
    Entry& entry = *next[i];
    const auto place = static_cast<int64_t>(i) + (running_ ? 1 : 0);
    if (entry.last_event > 0 && entry.view.place == place) continue;
    entry.view.place = place;
    tell(entry, "queued", text_of({{"place", place}}));
  }
}

std::shared_ptr<Jobs::Entry> Jobs::take_next(Lock& lock) {
  changed_.wait(lock, [&] { return ending_ || !queue_.empty(); });
  if (ending_) return nullptr;
  const std::shared_ptr<Entry> entry = order().front();
  queue_.erase(std::find(queue_.begin(), queue_.end(), entry));
  if (last_turn_.size() > kMostClients) last_turn_.clear();
  last_turn_[entry->view.client] = ++turns_;
  running_ = entry;
  entry->view.state = JobState::kRunning;
  entry->view.started = now();
  tell(*entry, "running", "{}");
  tell_places();
  return entry;
}

void Jobs::draw_all() {
  for (;;) {
    std::shared_ptr<Entry> entry;
    {
      Lock lock(mutex_);
      entry = take_next(lock);
    }
    if (!entry) return;
    const auto begin = Clock::now();
    draw(*entry);
    {
      const Lock lock(mutex_);
      counts_.seconds_drawing += std::chrono::duration<double>(Clock::now() - begin).count();
      running_.reset();
      tell_places();
    }
    changed_.notify_all();
  }
}

void Jobs::draw(Entry& entry) {
  JobState state = JobState::kFailed;
  std::string error;
  try {
    const Model model = shelf_.get(entry.submission.model);
    Job job = model.prepare(*entry.checked);
    run(entry, job);
    state = JobState::kDone;
  } catch (const Error& failure) {
    if (failure.kind() == ErrorKind::kCancelled) state = JobState::kCancelled;
    if (state == JobState::kFailed) error = failure.what();
  } catch (const std::bad_alloc&) {
    error = "out of memory";
  } catch (const std::exception& failure) {
    error = failure.what();
  }
  const Lock lock(mutex_);
  end(entry, state, std::move(error));
}

void Jobs::run(Entry& entry, Job& job) {
  struct Running {
    Jobs& jobs;
    Entry& entry;
    Running(Jobs& all, Entry& one, Job& job) : jobs(all), entry(one) {
      const Lock lock(jobs.mutex_);
      entry.view.settings = api::to_json(without_folders(job.settings(), entry.view.model));
      entry.job = &job;
      if (entry.cancel_asked) job.cancel();
    }
    ~Running() {
      const Lock lock(jobs.mutex_);
      entry.job = nullptr;
    }
  };
  const Running running(*this, entry, job);
  Hooks hooks;
  hooks.step = [&](const Step& step) {
    const Lock lock(mutex_);
    if (step.batch == 0 && step.done == 0) entry.first_step = Clock::now();
    counts_.steps += step.done > 0 ? 1 : 0;
    entry.view.steps = step.batches * step.steps;
    entry.view.done = step.batch * step.steps + step.done;
    Json json{{"done", entry.view.done}, {"steps", entry.view.steps}};
    if (entry.view.done > 0) {
      const double seconds = std::chrono::duration<double>(Clock::now() - entry.first_step).count();
      entry.view.seconds_left =
          seconds / static_cast<double>(entry.view.done) * static_cast<double>(entry.view.steps - entry.view.done);
      json["seconds_left"] = *entry.view.seconds_left;
    }
    tell(entry, "step", text_of(json));
  };
  hooks.warning = [&](const std::string& message) {
    const Lock lock(mutex_);
    entry.view.warnings.push_back(message);
    tell(entry, "warning", text_of({{"message", message}}));
  };
  hooks.picture = [&](Picture&& picture) {
    KeptPicture kept{.number = picture.number,
                     .seed = picture.seed,
                     .width = picture.image.width,
                     .height = picture.image.height,
                     .prompt = picture.prompt,
                     .parameters = picture.parameters,
                     .flagged = picture.flagged,
                     .png = std::make_shared<const std::string>(png_of(picture.image, picture.parameters))};
    const Lock lock(mutex_);
    entry.bytes += static_cast<int64_t>(kept.png->size());
    kept_bytes_ += static_cast<int64_t>(kept.png->size());
    ++counts_.pictures;
    const Json json{{"number", kept.number}, {"seed", kept.seed}, {"width", kept.width}, {"height", kept.height}};
    entry.view.pictures.push_back(std::move(kept));
    tell(entry, "picture", text_of(json));
  };
  if (entry.submission.previews) {
    hooks.preview = [&](Preview&& preview) {
      const std::string png = png_of(preview.image, "");
      const Json json{{"number", preview.number}, {"png", base64_of(std::as_bytes(std::span(png)))}};
      const Lock lock(mutex_);
      tell(entry, "preview", text_of(json));
    };
  }
  job.run(hooks);
}

void Jobs::end(Entry& entry, JobState state, std::string error) {
  entry.view.state = state;
  entry.view.error = std::move(error);
  entry.view.finished = now();
  entry.view.seconds_left.reset();
  entry.checked.reset();
  ++(state == JobState::kDone ? counts_.done : state == JobState::kFailed ? counts_.failed : counts_.cancelled);
  std::erase_if(entry.events, [](const JobEvent& event) { return event.name == "preview"; });
  const Json json = state == JobState::kFailed ? Json{{"error", entry.view.error}} : Json::object();
  tell(entry, name_of(state), text_of(json));
  if (const auto known = jobs_.find(entry.view.id); known != jobs_.end()) over_.push_back(known->second);
  forget_old();
}

void Jobs::forget_old() {
  while (over_.size() > options_.most_kept || (kept_bytes_ > options_.most_kept_bytes && over_.size() > 1)) {
    const std::shared_ptr<Entry> oldest = over_.front();
    over_.pop_front();
    kept_bytes_ -= oldest->bytes;
    jobs_.erase(oldest->view.id);
  }
}

bool Jobs::forget(const std::string& id) {
  const Lock lock(mutex_);
  const auto known = jobs_.find(id);
  if (known == jobs_.end() || !is_over(known->second->view.state)) return false;
  over_.erase(std::find(over_.begin(), over_.end(), known->second));
  kept_bytes_ -= known->second->bytes;
  jobs_.erase(known);
  return true;
}

std::optional<JobView> Jobs::view(const std::string& id) const {
  const Lock lock(mutex_);
  const auto known = jobs_.find(id);
  return known == jobs_.end() ? std::nullopt : std::optional(known->second->view);
}

std::optional<JobState> Jobs::state(const std::string& id) const {
  const Lock lock(mutex_);
  const auto known = jobs_.find(id);
  return known == jobs_.end() ? std::nullopt : std::optional(known->second->view.state);
}

std::vector<JobView> Jobs::list() const {
  const Lock lock(mutex_);
  std::vector<std::shared_ptr<Entry>> entries;
  for (const auto& [id, entry] : jobs_) entries.push_back(entry);
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a->arrival > b->arrival; });
  std::vector<JobView> views;
  for (const auto& entry : entries) {
    views.push_back(entry->view);
    for (KeptPicture& picture : views.back().pictures) picture.png.reset();
  }
  return views;
}

std::shared_ptr<const std::string> Jobs::picture(const std::string& id, int64_t number) const {
  const Lock lock(mutex_);
  const auto known = jobs_.find(id);
  if (known == jobs_.end()) return nullptr;
  for (const KeptPicture& picture : known->second->view.pictures) {
    if (picture.number == number) return picture.png;
  }
  return nullptr;
}

Jobs::Cancelled Jobs::cancel(const std::string& id) {
  {
    const Lock lock(mutex_);
    const auto known = jobs_.find(id);
    if (known == jobs_.end()) return Cancelled::kUnknown;
    const std::shared_ptr<Entry> entry = known->second;
    if (is_over(entry->view.state)) return Cancelled::kOver;
    entry->cancel_asked = true;
    if (entry->job != nullptr) entry->job->cancel();
    if (entry->view.state == JobState::kRunning) return Cancelled::kYes;
    queue_.erase(std::find(queue_.begin(), queue_.end(), entry));
    end(*entry, JobState::kCancelled, "");
    tell_places();
  }
  changed_.notify_all();
  return Cancelled::kYes;
}

std::unique_ptr<Jobs::Watch> Jobs::watch(const std::string& id, uint64_t after,
                                         std::function<void(const JobEvent&)> call) {
  const Lock lock(mutex_);
  const auto known = jobs_.find(id);
  if (known == jobs_.end()) return nullptr;
  const std::shared_ptr<Entry> entry = known->second;
  for (const JobEvent& event : entry->events) {
    if (event.number > after) call(event);
  }
  const uint64_t number = ++watches_;
  entry->watches[number] = std::move(call);
  return std::make_unique<Watch>([this, entry, number] {
    const Lock again(mutex_);
    entry->watches.erase(number);
  });
}

JobCounts Jobs::counts() const {
  const Lock lock(mutex_);
  JobCounts counts = counts_;
  counts.queued = static_cast<int64_t>(queue_.size());
  counts.running = running_ ? 1 : 0;
  return counts;
}

bool Jobs::drain(std::chrono::milliseconds patience) {
  Lock lock(mutex_);
  draining_ = true;
  return changed_.wait_for(lock, patience, [&] { return queue_.empty() && !running_; });
}

}  // namespace sumi::app
