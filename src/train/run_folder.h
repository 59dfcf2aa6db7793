// A training run's files on disk: checkpoints to resume from, and a table of its losses.
//
//   DIR/.lock                    locked while a trainer uses the folder
//   DIR/checkpoint-00001000.safetensors   the whole state of a run; the last two are kept
//   DIR/metrics.csv              one line per step
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fnv1a.h"
#include "base/folder_lock.h"
#include "train/adamw.h"

namespace sumi::train {

// Parameters with their optimizer and averages.
struct TrainedGroup {
  std::vector<NamedTensor> params;  // names are unique over all groups
  std::unique_ptr<AdamW> optimizer;
  std::unique_ptr<Ema> ema;  // null: not averaged

  // The trained model's values: averages if there are any.
  const std::vector<NamedTensor>& results() const { return ema ? ema->averages() : params; }
};

// The number under `key` of a checkpoint's notes. Throws Error(kData), with `source` in the message, if there is none.
int64_t count_in(const std::map<std::string, std::string>& notes, const std::string& key, const std::string& source);

// Adds all notes except the checkpoint's own hash.
void add_notes(Fnv1a& hash, const std::map<std::string, std::string>& notes);

class RunFolder {
 public:
  // Creates the folder if needed and locks it. Throws Error(kCannotCreate), or Error(kUnavailable) if another trainer
  // holds the lock. With `only_reads` it does neither, and must not be asked to write.
  explicit RunFolder(std::filesystem::path path, bool only_reads = false);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Steps of the checkpoints in the folder, ascending. Removes temporary files left by a killed trainer.
  std::vector<int64_t> checkpoints() const;
  std::filesystem::path checkpoint_path(int64_t step) const;

  // Writes a checkpoint atomically, then removes later checkpoints and all earlier ones but the last two. `notes` are
  // kept as the file's metadata.
  void save(int64_t step, const std::deque<TrainedGroup>& groups, const std::map<std::string, std::string>& notes);
  // The notes of the checkpoint of `step`. Reads the whole file and checks its hash; throws Error(kData) if it is
  // damaged.
  std::map<std::string, std::string> notes(int64_t step) const;
  // Restores the groups from the checkpoint of `step`, in place. Throws Error(kData) if its tensors differ in name or
  // shape.
  void restore(int64_t step, std::deque<TrainedGroup>& groups) const;

  // Removes the lines of metrics.csv from `step` on, or creates the file, atomically. add_metrics() then appends a
  // line.
  void begin_metrics(const std::string& header, int64_t step);
  void add_metrics(const std::string& line);

 private:
  std::filesystem::path path_;
  std::optional<FolderLock> lock_;
  int metrics_ = -1;
};

}  // namespace sumi::train
