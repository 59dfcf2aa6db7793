// What a training run keeps on disk: checkpoints it can go on from, and a table of its losses.
//
//   DIR/.lock                    held while a trainer works here
//   DIR/checkpoint-00001000.safetensors   everything to go on: see Snapshot; the last two are kept
//   DIR/metrics.csv              one line a step
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fnv1a.h"
#include "train/adamw.h"

namespace sumi::train {

// Parameters with what trains them.
struct TrainedGroup {
  std::vector<NamedTensor> params;  // names differ from those of other groups
  std::unique_ptr<AdamW> optimizer;
  std::unique_ptr<Ema> ema;  // null: not averaged

  // What the trained model has: averages where there are any.
  const std::vector<NamedTensor>& results() const { return ema ? ema->averages() : params; }
};

// The number under `key` of a checkpoint's notes. Throws Error(kData), in a sentence that begins with `source`, where
// there is none.
int64_t count_in(const std::map<std::string, std::string>& notes, const std::string& key, const std::string& source);

// Adds all notes but the hash that a checkpoint keeps of itself.
void add_notes(Fnv1a& hash, const std::map<std::string, std::string>& notes);

class RunFolder {
 public:
  // Makes the folder if need be and holds its lock. Throws Error(kCannotCreate), or Error(kUnavailable) where another
  // trainer holds it. One that `only_reads` does neither, and must not be asked to write.
  explicit RunFolder(std::filesystem::path path, bool only_reads = false);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Steps of the checkpoints there, ascending. Temporary files that a killed trainer has left are removed.
  std::vector<int64_t> checkpoints() const;
  std::filesystem::path checkpoint_path(int64_t step) const;

  // Writes everything whole, then removes later checkpoints and all others but the last two. `notes` are kept as the
  // file's metadata.
  void save(int64_t step, const std::deque<TrainedGroup>& groups, const std::map<std::string, std::string>& notes);
  // The notes of the checkpoint of `step`. Throws Error(kData) where it is broken: all its bytes are read, and have a
  // hash.
  std::map<std::string, std::string> notes(int64_t step) const;
  // Restores from it, in place. Throws Error(kData) where it does not fit.
  void restore(int64_t step, std::deque<TrainedGroup>& groups) const;

  // Drops the lines of metrics.csv from `step` on, or begins it, whole or not at all; then each call adds one.
  void begin_metrics(const std::string& header, int64_t step);
  void add_metrics(const std::string& line);

 private:
  std::filesystem::path path_;
  int lock_ = -1;
  int metrics_ = -1;
};

}  // namespace sumi::train
