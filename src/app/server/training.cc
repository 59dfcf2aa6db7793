#include "app/server/training.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>
#include <system_error>

#include "base/check.h"
#include "base/parse_number.h"
#include "base/small_file.h"
#include "base/text_util.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMetrics = "metrics.csv";
constexpr size_t kMostRuns = 1000, kMostSamples = 10'000;
constexpr std::streamoff kTail = 64 << 10;  // of a log, which holds its last line
constexpr size_t kMostOfLine = 4096;        // longer lines are no trainer's
constexpr int64_t kMostOfReport = 4 << 20;  // bytes
constexpr int64_t kMostOfSample = 256LL << 20;
constexpr std::string_view kPng = "\x89PNG\r\n\x1a\n";

bool is_run(const fs::path& folder) {
  std::error_code error;
  return fs::is_regular_file(folder / kMetrics, error);
}

// Which columns of metrics.csv hold what. The header must outlive it.
class Columns {
 public:
  explicit Columns(std::string_view header) : names_(split(header)) {}

  // None: the line is broken.
  std::optional<TrainingStep> read(std::string_view line) const {
    const std::vector<std::string_view> values = split(line);
    if (values.size() != names_.size()) return std::nullopt;
    const auto step = number_in<int64_t>(value(values, "step"));
    if (!step || *step < 0 || *step >= INT64_MAX) return std::nullopt;
    return TrainingStep{
        .step = *step + 1, .loss = real(values, "loss"), .lr = real(values, "lr"), .seconds = real(values, "seconds")};
  }

 private:
  static std::vector<std::string_view> split(std::string_view line) {
    std::vector<std::string_view> parts;
    for (size_t at = 0; at <= line.size();) {
      const size_t end = std::min(line.find(',', at), line.size());
      parts.push_back(line.substr(at, end - at));
      at = end + 1;
    }
    return parts;
  }
  std::string_view value(const std::vector<std::string_view>& values, std::string_view name) const {
    const auto found = std::find(names_.begin(), names_.end(), name);
    return found == names_.end() ? std::string_view() : values[static_cast<size_t>(found - names_.begin())];
  }
  std::optional<double> real(const std::vector<std::string_view>& values, std::string_view name) const {
    const auto number = number_in<double>(value(values, name));
    return number && std::isfinite(*number) ? number : std::nullopt;
  }

  std::vector<std::string_view> names_;
};

// A line that ends in a newline, without it: the others are still being written.
bool next_line(std::istream& file, std::string& line) {
  while (std::getline(file, line) && !file.eof()) {
    if (line.size() <= kMostOfLine) return true;
  }
  return false;
}

// The last whole line, and the step before where the line is broken.
std::optional<TrainingStep> last_step(const fs::path& folder) {
  std::ifstream file(folder / kMetrics, std::ios::binary);
  std::string header, line;
  if (!next_line(file, header)) return std::nullopt;
  const Columns columns(header);
  const std::streamoff begin = file.tellg();
  file.seekg(0, std::ios::end);
  const std::streamoff end = file.tellg();
  file.seekg(std::max(begin, end - kTail));
  if (end - kTail > begin) next_line(file, line);  // a part of one
  std::optional<TrainingStep> last;
  while (next_line(file, line)) {
    if (const auto step = columns.read(line)) last = step;
  }
  return last;
}

// Whether a process of this machine has the lock that trainers take. Taking it to find out could turn a trainer away
// that begins at that moment.
bool is_locked(const fs::path& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) return false;
  const std::string inode = std::to_string(status.st_ino);
  std::ifstream locks("/proc/locks");
  std::string line;
  while (std::getline(locks, line)) {  // "1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF"
    std::istringstream words(line);
    std::string number, kind, mode, access, process, place;
    if (!(words >> number >> kind >> mode >> access >> process >> place)) continue;
    if (kind == "FLOCK" && access == "WRITE" && place.ends_with(":" + inode)) return true;
  }
  return false;
}

// "<tr><td>steps</td><td>1000 of 2000</td></tr>" in the report of a run that has ended.
int64_t steps_of_report(const fs::path& folder) {
  constexpr std::string_view kBefore = "<tr><td>steps</td><td>", kOf = " of ";
  try {
    const std::string html = read_small_file(folder / "report.html", kMostOfReport);
    const size_t begin = html.find(kBefore), of = html.find(kOf, begin), end = html.find('<', of);
    if (begin == std::string::npos || of == std::string::npos || end == std::string::npos) return 0;
    return number_in<int64_t>(std::string_view(html).substr(of + kOf.size(), end - of - kOf.size())).value_or(0);
  } catch (const Error&) {
    return 0;  // there is none yet
  }
}

double written_at(const fs::path& file) {
  struct stat status {};
  return stat(file.c_str(), &status) == 0 ? static_cast<double>(status.st_mtime) : 0.0;
}

std::vector<fs::path> runs_in(const fs::path& folder) {
  if (is_run(folder)) return {folder};
  std::vector<fs::path> runs;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator() && runs.size() < kMostRuns; entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (!name.starts_with('.') && strip_control(name) == name && is_run(entries->path())) runs.push_back(*entries);
  }
  std::sort(runs.begin(), runs.end());
  return runs;
}

std::string folder_name(const fs::path& folder) {
  const auto says = [](const std::string& name) { return !name.empty() && name != "." && name != ".."; };
  std::error_code error;
  std::string name = folder.filename().string();
  if (!says(name)) name = fs::weakly_canonical(folder, error).filename().string();
  return says(name) ? name : "run";
}

// The folders of all runs by their names, in the order of listing.
std::vector<std::pair<std::string, fs::path>> named_runs(const std::vector<fs::path>& folders) {
  std::vector<std::pair<std::string, fs::path>> named;
  std::set<std::string> taken;
  for (const fs::path& folder : folders) {
    for (const fs::path& run : runs_in(folder)) {
      const std::string name = folder_name(run);
      std::string own = name;
      for (int number = 2; !taken.insert(own).second; ++number) own = fmt::format("{} ({})", name, number);
      named.emplace_back(own, run);
    }
  }
  return named;
}

// Steps of a log, of which every `stride`-th is kept: it doubles whenever there are too many.
class Thinned {
 public:
  explicit Thinned(size_t most) : most_(most) {}
  void add(const TrainingStep& step) {
    last_ = step;
    if (count_++ % stride_ != 0) return;
    kept_.push_back(step);
    if (kept_.size() < most_) return;
    for (size_t i = 0; 2 * i < kept_.size(); ++i) kept_[i] = kept_[2 * i];
    kept_.resize((kept_.size() + 1) / 2);
    stride_ *= 2;
  }
  std::vector<TrainingStep> take() && {
    if (last_ && kept_.back().step != last_->step) kept_.push_back(*last_);
    return std::move(kept_);
  }

 private:
  size_t most_, count_ = 0, stride_ = 1;
  std::vector<TrainingStep> kept_;  // fewer than most_
  std::optional<TrainingStep> last_;
};

// "00001000.png" → 1000; -1: another name.
int64_t step_of_sample(const std::string& name) {
  constexpr std::string_view kEnding = ".png";
  if (!name.ends_with(kEnding)) return -1;
  const auto step = number_in<int64_t>(std::string_view(name).substr(0, name.size() - kEnding.size()));
  return step && fmt::format("{:08}.png", *step) == name ? *step : -1;
}

}  // namespace

std::vector<TrainingRun> TrainingRuns::list() const {
  std::vector<TrainingRun> runs;
  for (const auto& [name, folder] : named_runs(folders_)) {
    TrainingRun run{.name = name, .folder = folder, .updated = written_at(folder / kMetrics)};
    if (const auto last = last_step(folder)) {
      run.step = last->step;
      run.loss = last->loss;
    }
    run.running = is_locked(folder / ".lock");
    if (const int64_t steps = steps_of_report(folder); steps >= run.step) run.steps = steps;
    runs.push_back(std::move(run));
  }
  return runs;
}

std::optional<fs::path> TrainingRuns::folder_of(const std::string& name) const {
  for (const auto& [own, folder] : named_runs(folders_)) {
    if (own == name) return folder;
  }
  return std::nullopt;
}

std::vector<TrainingStep> read_training_log(const fs::path& folder, size_t most) {
  std::ifstream file(folder / kMetrics, std::ios::binary);
  SUMI_CHECK_KIND(kNoInput, file, "{}: cannot be read", (folder / kMetrics).string());
  std::string header, line;
  if (!next_line(file, header)) return {};
  const Columns columns(header);
  Thinned thinned(std::max<size_t>(most, 2));
  while (next_line(file, line)) {
    if (const auto step = columns.read(line)) thinned.add(*step);
  }
  return std::move(thinned).take();
}

std::vector<int64_t> training_samples(const fs::path& folder) {
  std::vector<int64_t> steps;
  std::error_code error;
  fs::directory_iterator entries(folder / "samples", error);
  for (; !error && entries != fs::directory_iterator() && steps.size() < kMostSamples; entries.increment(error)) {
    std::error_code ignored;
    const int64_t step = step_of_sample(entries->path().filename().string());
    if (step >= 0 && entries->is_regular_file(ignored)) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::string read_training_sample(const fs::path& folder, int64_t step) {
  const std::vector<int64_t> there = training_samples(folder);
  SUMI_CHECK_KIND(kNoInput, std::binary_search(there.begin(), there.end(), step), "there are no samples of step {}",
                  step);
  std::string png = read_small_file(folder / "samples" / fmt::format("{:08}.png", step), kMostOfSample);
  SUMI_CHECK_KIND(kNoInput, png.starts_with(kPng), "the samples of step {} are no PNG", step);
  return png;
}

}  // namespace sumi::app
