// Training runs as their folders tell of them: metrics.csv, samples/STEP.png, the trainer's lock, report.html.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sumi::app {

// Steps are counted as done: the first line of metrics.csv, which says 0, is of step 1.
struct TrainingRun {
  std::string name;  // the folder's
  std::filesystem::path folder;
  int64_t step = 0;              // done
  int64_t steps = 0;             // of the whole run; 0: not known, since only the report of one that has ended tells
  bool running = false;          // a trainer of this machine has its lock
  std::optional<double> loss{};  // of the last step; none: it was no number
  double updated = 0;            // when metrics.csv was written, seconds since 1970
};

struct TrainingStep {
  int64_t step = 0;
  std::optional<double> loss{}, lr{}, seconds{};  // none: no number
};

// Looks into the folders each time. Any number of threads may use one.
class TrainingRuns {
 public:
  // Each folder is one run (it has metrics.csv), or has runs as its subfolders. Of two runs with one name the second is
  // called "NAME (2)".
  explicit TrainingRuns(std::vector<std::filesystem::path> folders) : folders_(std::move(folders)) {}

  bool any() const { return !folders_.empty(); }
  std::vector<TrainingRun> list() const;
  // The folder of a run, looked up in the listing; none: there is no such run.
  std::optional<std::filesystem::path> folder_of(const std::string& name) const;

 private:
  std::vector<std::filesystem::path> folders_;
};

// The steps of a run, at most `most` of them (2 at least), evenly chosen, the last among them. Lines that are broken or
// not whole yet are left out. Throws Error(kNoInput) where there is no file.
std::vector<TrainingStep> read_training_log(const std::filesystem::path& folder, size_t most = 2000);
// After which steps there are sheets of samples, ascending.
std::vector<int64_t> training_samples(const std::filesystem::path& folder);
// The sheet of that step, a PNG; throws Error(kNoInput) where there is none.
std::string read_training_sample(const std::filesystem::path& folder, int64_t step);

}  // namespace sumi::app
