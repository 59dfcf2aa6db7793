#include "app/server/job_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "app/server/job_json.h"
#include "app/server/submission.h"
#include "base/atomic_file.h"
#include "base/check.h"
#include "base/log.h"
#include "base/small_file.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int64_t kMostBytes = 1 << 30;  // of a file that is read
constexpr const char *kJob = "job.json", *kSubmission = "submission.json", *kBegun = "begun";

std::string text_of(const JobView& view) {
  Json json{{"id", view.id},
            {"model", view.model},
            {"vae", view.vae},
            {"client", view.client},
            {"priority", view.priority},
            {"state", name_of(view.state)},
            {"created", view.created},
            {"started", view.started},
            {"finished", view.finished},
            {"error", view.error},
            {"request", view.request},
            {"settings", view.settings},
            {"done", view.done},
            {"steps", view.steps},
            {"upscaling", view.upscaling},
            {"warnings", view.warnings}};
  json["pictures"] = json_of(view.pictures);
  return io::json_line(json);
}

JobView view_of(const std::string& text) {
  const Json json = Json::parse(text);
  const std::string state = json.at("state");
  const auto known = state_of(state);
  SUMI_CHECK_KIND(kData, known, "there is no state \"{}\"", state);
  JobView view{.id = json.at("id"),
               .model = json.at("model"),
               .vae = json.at("vae"),
               .client = json.at("client"),
               .priority = json.at("priority"),
               .state = *known,
               .done = json.at("done"),
               .steps = json.at("steps"),
               .created = json.at("created"),
               .started = json.at("started"),
               .finished = json.at("finished"),
               .error = json.at("error"),
               .request = json.at("request"),
               .settings = json.at("settings"),
               .upscaling = json.at("upscaling"),
               .warnings = json.at("warnings"),
               .pictures = pictures_of(json.at("pictures"))};
  // What other code reads again as JSON.
  if (!Json::accept(view.request) || (!view.settings.empty() && !Json::accept(view.settings)))
    fail(ErrorKind::kData, "its request is no JSON");
  return view;
}

void write_file(const fs::path& path, const std::string& bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

bool is_id(const std::string& name) {
  return name.size() == 16 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

fs::path made_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder / "jobs", error);
  SUMI_CHECK_KIND(kCannotCreate, !error, "{}: cannot be created: {}", folder.string(), error.message());
  return folder;
}

}  // namespace

JobStore::JobStore(const fs::path& folder)
    : folder_(made_folder(folder)),
      lock_(folder_, "server",
            fmt::format("another server keeps its jobs in {}; stop it, or choose another folder", folder_.string())) {}

fs::path JobStore::folder_of(const std::string& id) const { return folder_ / "jobs" / id; }

std::vector<StoredJob> JobStore::load() const {
  std::vector<StoredJob> jobs;
  std::error_code error;
  for (fs::directory_iterator it(folder_ / "jobs", error), end; !error && it != end; it.increment(error)) {
    const fs::directory_entry& entry = *it;
    const std::string id = entry.path().filename().string();
    if (!is_id(id)) continue;
    std::error_code ignored;
    // Not there, rather than not to be looked into.
    const bool no_job = fs::status(entry.path() / kJob, ignored).type() == fs::file_type::not_found;
    if (no_job && fs::is_directory(entry.path(), ignored)) {
      fs::remove_all(entry.path(), ignored);  // of a server that ended before the job was taken
      continue;
    }
    sweep_temporary_files(entry.path());
    try {
      StoredJob job{.view = view_of(read_small_file(entry.path() / kJob, kMostBytes)), .submission = {}};
      SUMI_CHECK_KIND(kData, job.view.id == id, "it calls itself {}", job.view.id);
      if (!is_over(job.view.state))
        job.submission = parse_stored_submission(read_small_file(entry.path() / kSubmission, kMostBytes));
      std::erase_if(job.view.pictures, [&](const KeptPicture& picture) {
        return !fs::exists(entry.path() / fmt::format("{}.png", picture.number), ignored);
      });
      jobs.push_back(std::move(job));
    } catch (const std::exception& trouble) {
      warn("{}: this job is left out: {}", entry.path().string(), trouble.what());
    }
  }
  std::sort(jobs.begin(), jobs.end(),
            [](const StoredJob& a, const StoredJob& b) { return a.view.created < b.view.created; });
  return jobs;
}

void JobStore::save(const JobView& view, const Submission& submission) {
  const fs::path folder = folder_of(view.id);
  std::error_code error;
  fs::create_directories(folder, error);
  SUMI_CHECK_KIND(kUnavailable, !error, "{}: cannot be created: {}", folder.string(), error.message());
  // A folder without job.json is no job: it comes last.
  write_file(folder / kSubmission, to_json(submission));
  write_file(folder / kJob, text_of(view));
}

void JobStore::save(const JobView& view) {
  const fs::path folder = folder_of(view.id);
  write_file(folder / kJob, text_of(view));
  if (!is_over(view.state)) return;
  std::error_code ignored;
  fs::remove(folder / kSubmission, ignored);
  fs::remove(folder / kBegun, ignored);
}

// A byte each: short enough to need no care for the rest.
void JobStore::add_beginning(const std::string& id) noexcept {
  const int file = open((folder_of(id) / kBegun).c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0666);
  if (file < 0) return;
  if (write(file, "x", 1) == 1) fsync(file);
  close(file);
}

int JobStore::beginnings(const std::string& id) const noexcept {
  std::error_code error;
  const auto bytes = fs::file_size(folder_of(id) / kBegun, error);
  return error ? 0 : static_cast<int>(std::min<uintmax_t>(bytes, 1000));
}

void JobStore::save_picture(const std::string& id, int64_t number, const std::string& png) {
  write_file(folder_of(id) / fmt::format("{}.png", number), png);
}

std::shared_ptr<const std::string> JobStore::picture(const std::string& id, int64_t number) const {
  try {
    return std::make_shared<const std::string>(
        read_small_file(folder_of(id) / fmt::format("{}.png", number), kMostBytes));
  } catch (const Error&) {
    return nullptr;
  }
}

void JobStore::remove(const std::string& id) noexcept {
  std::error_code ignored;
  fs::remove(folder_of(id) / kJob, ignored);  // first: without it the rest is no job
  fs::remove_all(folder_of(id), ignored);
}

void JobStore::remove_picture(const std::string& id, int64_t number) noexcept {
  std::error_code ignored;
  fs::remove(folder_of(id) / (std::to_string(number) + ".png"), ignored);
}

}  // namespace sumi::app
