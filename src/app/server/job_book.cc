#include "app/server/job_book.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "base/base64.h"
#include "base/check.h"
#include "base/log.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

// Before the first event: a number that no earlier server has come to, for watchers that come back after a restart.
uint64_t first_event() { return static_cast<uint64_t>(seconds_now() * 1000) * 1000; }

int64_t size_of(const std::string& text) { return static_cast<int64_t>(text.size()); }

}  // namespace

struct JobBook::Entry {
  JobView view;  // pictures without their bytes where there is a store
  uint64_t arrival = 0;
  Clock::time_point first_step;
  std::vector<JobEvent> events;
  uint64_t last_event = 0;
  std::map<uint64_t, std::function<void(const JobEvent&)>> watches;
  int64_t bytes = 0;    // of the pictures and the request
  bool placed = false;  // its place has been told
  bool ending = false;  // its end is being written to the disk
};

JobBook::JobBook(const Options& options) : options_(options) {}

JobBook::~JobBook() {
  std::vector<std::function<void(const JobEvent&)>> calls;  // whose ends may end watches
  const Lock lock(*mutex_);
  for (const auto& [id, entry] : jobs_) {
    for (auto& [number, call] : entry->watches) calls.push_back(std::move(call));
    entry->watches.clear();
  }
}

std::shared_ptr<JobBook::Entry> JobBook::find(const std::string& id) const {
  const auto known = jobs_.find(id);
  return known == jobs_.end() ? nullptr : known->second;
}

void JobBook::tell(Entry& entry, std::string name, std::string data) {
  // Of previews, places and steps only the last is kept.
  const bool replaces = name == "preview" || name == "queued" || name == "step";
  if (replaces) std::erase_if(entry.events, [&](const JobEvent& event) { return event.name == name; });
  entry.events.push_back({++entry.last_event, std::move(name), std::move(data)});
  for (const auto& [number, call] : entry.watches) call(entry.events.back());
}

void JobBook::add(JobView view) {
  const Lock lock(*mutex_);
  auto entry = std::make_shared<Entry>();
  entry->arrival = ++arrivals_;
  entry->last_event = first_event();
  entry->bytes = size_of(view.request);
  for (const KeptPicture& picture : view.pictures) entry->bytes += picture.png ? size_of(*picture.png) : 0;
  entry->view = std::move(view);
  kept_bytes_ += entry->bytes;
  jobs_[entry->view.id] = entry;
  if (!is_over(entry->view.state)) {
    ++counts_.submitted;
    return;
  }
  over_.push_back(entry);
  const Json json = entry->view.state == JobState::kFailed ? Json{{"error", entry->view.error}} : Json::object();
  tell(*entry, name_of(entry->view.state), io::json_line(json));
  forget_old();
}

void JobBook::place(const std::string& id, int64_t place) {
  const Lock lock(*mutex_);
  const auto entry = find(id);
  if (!entry || (entry->placed && entry->view.place == place)) return;
  entry->placed = true;
  entry->view.place = place;
  tell(*entry, "queued", io::json_line(Json{{"place", place}}));
}

void JobBook::begin(const std::string& id) {
  const Lock lock(*mutex_);
  const auto entry = find(id);
  if (!entry || is_over(entry->view.state)) return;
  entry->view.state = JobState::kRunning;
  entry->view.started = seconds_now();
  tell(*entry, "running", "{}");
}

void JobBook::requeue(const std::string& id) {
  const Lock lock(*mutex_);
  const auto entry = find(id);
  if (!entry || is_over(entry->view.state)) return;
  entry->view.state = JobState::kQueued;
  entry->view.started = 0;
  entry->view.done = entry->view.steps = 0;
  entry->view.seconds_left.reset();
  tell(*entry, "queued", io::json_line(Json{{"place", entry->view.place}}));
}

void JobBook::settings(const std::string& id, std::string json) {
  change(id, [&](JobView& view) { view.settings = std::move(json); });
}

void JobBook::change(const std::string& id, const std::function<void(JobView&)>& change) {
  const Lock lock(*mutex_);
  if (const auto entry = find(id)) change(entry->view);
}

void JobBook::step(const std::string& id, int64_t done, int64_t steps) {
  const Lock lock(*mutex_);
  const auto entry = find(id);
  if (!entry || is_over(entry->view.state)) return;
  JobView& view = entry->view;
  if (done == 0 || view.steps == 0) entry->first_step = Clock::now();
  if (!view.upscaling) counts_.steps += std::max<int64_t>(done - view.done, 0);
  view.steps = steps;
  view.done = done;
  Json json{{"done", done}, {"steps", steps}};
  if (done > 0) {
    const double seconds = std::chrono::duration<double>(Clock::now() - entry->first_step).count();
    view.seconds_left = seconds / static_cast<double>(done) * static_cast<double>(steps - done);
    json["seconds_left"] = *view.seconds_left;
  }
  tell(*entry, "step", io::json_line(json));
}

void JobBook::warning(const std::string& id, const std::string& message) {
  const Lock lock(*mutex_);
  const auto entry = find(id);
  if (!entry || is_over(entry->view.state)) return;
  entry->view.warnings.push_back(message);
  tell(*entry, "warning", io::json_line(Json{{"message", message}}));
}

void JobBook::preview(const std::string& id, int64_t number, const std::string& png) {
  const Json json{{"number", number}, {"png", base64_of(std::as_bytes(std::span(png)))}};
  std::string text = io::json_line(json);
  const Lock lock(*mutex_);
  const auto entry = find(id);
  if (entry && !is_over(entry->view.state)) tell(*entry, "preview", std::move(text));
}

void JobBook::picture(const std::string& id, KeptPicture picture) {
  const std::lock_guard saving(saving_);
  if (is_over(state(id).value_or(JobState::kCancelled))) return;
  if (options_.store != nullptr && picture.png) {
    options_.store->save_picture(id, picture.number, *picture.png);
    picture.png.reset();
  }
  keep(id, std::move(picture));
  if (options_.store == nullptr) return;
  if (const auto now = view(id)) save(*now);
}

void JobBook::keep(const std::string& id, KeptPicture picture) {
  const Lock lock(*mutex_);
  const auto entry = find(id);
  if (!entry || is_over(entry->view.state)) return;
  const Json json{
      {"number", picture.number}, {"seed", picture.seed}, {"width", picture.width}, {"height", picture.height}};
  std::vector<KeptPicture>& kept = entry->view.pictures;
  const auto before = std::find_if(kept.begin(), kept.end(), [&](const auto& p) { return p.number == picture.number; });
  const int64_t bytes =
      (picture.png ? size_of(*picture.png) : 0) - (before != kept.end() && before->png ? size_of(*before->png) : 0);
  entry->bytes += bytes;
  kept_bytes_ += bytes;
  if (before != kept.end()) {
    *before = std::move(picture);
  } else {
    ++counts_.pictures;
    kept.push_back(std::move(picture));
  }
  tell(*entry, "picture", io::json_line(json));
}

void JobBook::end(const std::string& id, JobState state, std::string error, ErrorKind kind) {
  const std::lock_guard saving(saving_);
  try {
    end_now(id, state, std::move(error), kind);
  } catch (...) {
    const Lock lock(*mutex_);
    if (const auto entry = find(id)) entry->ending = false;
    throw;
  }
}

void JobBook::end_now(const std::string& id, JobState state, std::string error, ErrorKind kind) {
  JobView ended;
  {
    const Lock lock(*mutex_);
    const auto entry = find(id);
    if (!entry || is_over(entry->view.state) || std::exchange(entry->ending, true)) return;
    ended = entry->view;
  }
  ended.state = state;
  ended.error = std::move(error);
  ended.error_kind = kind;
  ended.finished = seconds_now();
  ended.seconds_left.reset();
  save(ended);  // before anyone is told
  if (options_.on_end) options_.on_end(ended);
  const Lock lock(*mutex_);
  const auto entry = find(id);
  if (!entry) return;
  entry->view = std::move(ended);
  ++(state == JobState::kDone ? counts_.done : state == JobState::kFailed ? counts_.failed : counts_.cancelled);
  std::erase_if(entry->events, [](const JobEvent& event) { return event.name == "preview"; });
  const Json json = state == JobState::kFailed ? Json{{"error", entry->view.error}} : Json::object();
  over_.push_back(entry);
  tell(*entry, name_of(state), io::json_line(json));
  forget_old();
}

void JobBook::save(const JobView& view) const {
  if (options_.store == nullptr) return;
  try {
    options_.store->save(view);
  } catch (const std::exception& error) {
    warn("the job {} is not kept on the disk: {}", view.id, error.what());
  }
}

void JobBook::forget_old() {
  while (over_.size() > options_.most_kept || (kept_bytes_ > options_.most_kept_bytes && over_.size() > 1)) {
    const std::shared_ptr<Entry> oldest = over_.front();
    over_.pop_front();
    kept_bytes_ -= oldest->bytes;
    if (options_.store != nullptr) options_.store->remove(oldest->view.id);
    jobs_.erase(oldest->view.id);
  }
}

bool JobBook::forget(const std::string& id) {
  const std::lock_guard saving(saving_);
  {
    const Lock lock(*mutex_);
    const auto entry = find(id);
    const auto ended = std::find(over_.begin(), over_.end(), entry);
    if (!entry || ended == over_.end()) return false;
    over_.erase(ended);
    kept_bytes_ -= entry->bytes;
    jobs_.erase(id);
  }
  if (options_.store != nullptr) options_.store->remove(id);
  return true;
}

bool JobBook::forget_picture(const std::string& id, int64_t number) {
  const std::lock_guard saving(saving_);
  JobView changed;
  {
    const Lock lock(*mutex_);
    const auto entry = find(id);
    if (!entry || !is_over(entry->view.state)) return false;
    std::vector<KeptPicture>& kept = entry->view.pictures;
    const auto found = std::find_if(kept.begin(), kept.end(), [&](const auto& p) { return p.number == number; });
    if (found == kept.end()) return false;
    const int64_t bytes = found->png ? size_of(*found->png) : 0;
    kept.erase(found);
    entry->bytes -= bytes;
    kept_bytes_ -= bytes;
    changed = entry->view;
  }
  if (options_.store == nullptr) return true;
  save(changed);
  options_.store->remove_picture(id, number);
  return true;
}

std::optional<JobView> JobBook::view(const std::string& id) const {
  const Lock lock(*mutex_);
  const auto entry = find(id);
  return entry ? std::optional(entry->view) : std::nullopt;
}

std::optional<JobState> JobBook::state(const std::string& id) const {
  const Lock lock(*mutex_);
  const auto entry = find(id);
  return entry ? std::optional(entry->view.state) : std::nullopt;
}

std::vector<JobView> JobBook::list() const {
  const Lock lock(*mutex_);
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

std::shared_ptr<const std::string> JobBook::png(const std::string& id, int64_t number) const {
  {
    const Lock lock(*mutex_);
    const auto entry = find(id);
    if (!entry) return nullptr;
    const std::vector<KeptPicture>& kept = entry->view.pictures;
    const auto found = std::find_if(kept.begin(), kept.end(), [&](const auto& p) { return p.number == number; });
    if (found == kept.end()) return nullptr;
    if (found->png || options_.store == nullptr) return found->png;
  }
  return options_.store->picture(id, number);
}

std::unique_ptr<Jobs::Watch> JobBook::watch(const std::string& id, uint64_t after,
                                            std::function<void(const JobEvent&)> call) {
  const Lock lock(*mutex_);
  const auto entry = find(id);
  if (!entry) return nullptr;
  for (const JobEvent& event : entry->events) {
    if (event.number > after) call(event);
  }
  const uint64_t number = ++watches_;
  entry->watches[number] = std::move(call);
  return std::make_unique<Jobs::Watch>([mutex = mutex_, entry, number] {
    const Lock again(*mutex);
    entry->watches.erase(number);
  });
}

JobCounts JobBook::counts() const {
  const Lock lock(*mutex_);
  return counts_;
}

}  // namespace sumi::app
