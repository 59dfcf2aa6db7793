#include "train/run_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <sstream>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/fnv1a.h"
#include "base/log.h"
#include "base/small_file.h"
#include "io/checkpoint.h"
#include "io/safetensors.h"

namespace sumi::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "checkpoint-";
constexpr const char* kEnding = ".safetensors";
constexpr size_t kKept = 2;

// The step in a checkpoint's name; -1 for other names.
int64_t step_of(const std::string& name) {
  const size_t digits = std::strlen(kPrefix);
  if (!name.starts_with(kPrefix) || !name.ends_with(kEnding)) return -1;
  const std::string number = name.substr(digits, name.size() - digits - std::strlen(kEnding));
  const bool is_number = !number.empty() && number.size() <= 15 &&
                         std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
  return is_number ? std::stoll(number) : -1;
}

// The first group's notes have no number in their names.
std::string numbered(const char* key, size_t group) {
  return group == 0 ? std::string(key) : fmt::format("{}_{}", key, group);
}

constexpr const char* kHash = "fingerprint";  // of the notes and of all tensors, in the file's order

constexpr const char* kOlderHash = "hash";  // of tensors only, without the notes, in checkpoints of 0.1.0

void add_to(Fnv1a& hash, const std::string& name, const Tensor& value) {
  hash.add(name);
  const HostView<std::byte> bytes(value);
  hash.add(bytes.span());
}

// The tensor `kind`.`param`, which must be of the parameter's shape.
Tensor read(const io::Checkpoint& file, const char* kind, const NamedTensor& param) {
  const std::string name = std::string(kind) + "." + param.name;
  Tensor from = file.tensor(name);
  SUMI_CHECK(from.shape() == param.value.shape() && from.dtype() == DType::kF32,
             "{}: {} is {} {}, this run's is f32 {}", file.path().string(), name, name_of(from.dtype()),
             from.shape().str(), param.value.shape().str());
  return from;
}

}  // namespace

RunFolder::RunFolder(fs::path path, bool only_reads) : path_(std::move(path)) {
  if (only_reads) return;
  std::error_code error;
  fs::create_directories(path_, error);
  const std::string trouble = error ? error.message() : "another file has that name";
  SUMI_CHECK_KIND(kCannotCreate, fs::is_directory(path_, error), "{}: cannot be created: {}", path_.string(), trouble);
  lock_.emplace(
      path_, "trainer",
      fmt::format("another trainer is using {}; wait until it ends, or choose another `out`", path_.string()));
  error.clear();
  for (const fs::path& folder : {path_, path_ / "samples"}) sweep_temporary_files(folder);
  // Those of version 0.1.0, whose names do not say whose they are.
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename().string();
    std::error_code ignored;
    // ".NAME.safetensors.XXXXXX": left by a killed trainer.
    const bool is_temporary = name.find(".safetensors.") != std::string::npos || name.starts_with(".metrics.csv.") ||
                              name.starts_with(".report.html.");
    if (name.starts_with(".") && is_temporary) fs::remove(entry.path(), ignored);
  }
  for (const auto& entry : fs::directory_iterator(path_ / "samples", error)) {
    const std::string name = entry.path().filename().string();
    std::error_code ignored;
    if (name.starts_with(".") && name.find(".png.") != std::string::npos) fs::remove(entry.path(), ignored);
  }
}

RunFolder::~RunFolder() {
  if (metrics_ >= 0) close(metrics_);
}

std::vector<int64_t> RunFolder::checkpoints() const {
  std::vector<int64_t> steps;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    const int64_t step = step_of(entry.path().filename().string());
    if (step >= 0) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

fs::path RunFolder::checkpoint_path(int64_t step) const {
  return path_ / fmt::format("{}{:08}{}", kPrefix, step, kEnding);
}

void RunFolder::save(int64_t step, const std::deque<TrainedGroup>& groups,
                     const std::map<std::string, std::string>& notes) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::map<std::string, std::string> all = notes;
  all["step"] = std::to_string(step);
  for (size_t g = 0; g < groups.size(); ++g) {
    const auto& [params, optimizer, ema] = groups[g];
    for (size_t i = 0; i < params.size(); ++i) {
      tensors.emplace_back("param." + params[i].name, params[i].value);
      tensors.emplace_back("first." + params[i].name, optimizer->state().first[i]);
      tensors.emplace_back("second." + params[i].name, optimizer->state().second[i]);
      if (ema) tensors.emplace_back("ema." + params[i].name, ema->averages()[i].value);
    }
    all[numbered("optimizer_steps", g)] = std::to_string(optimizer->state().steps);
    if (ema) all[numbered("ema_updates", g)] = std::to_string(ema->updates());
  }
  Fnv1a hash;
  add_notes(hash, all);
  for (const auto& [name, value] : tensors) add_to(hash, name, value);
  all[kHash] = hash.hex();
  io::write_safetensors(checkpoint_path(step), tensors, all);
  std::error_code ignored;
  std::vector<int64_t> there = checkpoints();
  // Later checkpoints are damaged: this run resumed from an earlier one.
  for (; !there.empty() && there.back() > step; there.pop_back()) fs::remove(checkpoint_path(there.back()), ignored);
  for (size_t i = 0; i + kKept < there.size(); ++i) fs::remove(checkpoint_path(there[i]), ignored);
}

std::map<std::string, std::string> RunFolder::notes(int64_t step) const {
  const auto file = io::open_checkpoint(checkpoint_path(step));
  const bool has_notes = file->metadata().contains(kHash);
  if (const auto hash = file->metadata().find(has_notes ? kHash : kOlderHash); hash != file->metadata().end()) {
    Fnv1a found;
    if (has_notes) add_notes(found, file->metadata());
    for (const io::TensorInfo& info : file->tensors()) add_to(found, info.name, file->tensor(info.name));
    SUMI_CHECK(found.hex() == hash->second, "{}: is damaged: its hash does not match its contents",
               file->path().string());
  }
  return file->metadata();
}

void RunFolder::restore(int64_t step, std::deque<TrainedGroup>& groups) const {
  const auto file = io::open_checkpoint(checkpoint_path(step));
  size_t used = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    auto& [params, optimizer, ema] = groups[g];
    AdamW::State state{.steps = count_in(file->metadata(), numbered("optimizer_steps", g), file->path().string()),
                       .first = {},
                       .second = {}};
    std::vector<Tensor> averages;
    for (NamedTensor& param : params) {
      param.value.copy_from(read(*file, "param", param));
      state.first.push_back(read(*file, "first", param));
      state.second.push_back(read(*file, "second", param));
      if (ema) averages.push_back(read(*file, "ema", param));
      used += ema ? 4 : 3;
    }
    optimizer->restore(state);
    if (ema) ema->restore(averages, count_in(file->metadata(), numbered("ema_updates", g), file->path().string()));
  }
  SUMI_CHECK(used == file->tensors().size(), "{}: holds {} tensors, this run has {}: it belongs to another run",
             file->path().string(), file->tensors().size(), used);
}

void add_notes(Fnv1a& hash, const std::map<std::string, std::string>& notes) {
  for (const auto& [key, value] : notes) {
    if (key == kHash) continue;
    hash.add(key);
    hash.add(value);
  }
}

int64_t count_in(const std::map<std::string, std::string>& notes, const std::string& key, const std::string& source) {
  const auto found = notes.find(key);
  int64_t value = -1;
  if (found != notes.end()) {
    const char *begin = found->second.data(), *end = begin + found->second.size();
    const auto [stopped, trouble] = std::from_chars(begin, end, value);
    if (trouble != std::errc() || stopped != end) value = -1;
  }
  SUMI_CHECK(value >= 0, "{}: has no \"{}\": it is not a checkpoint of this kind of training run", source, key);
  return value;
}

void RunFolder::begin_metrics(const std::string& header, int64_t step) {
  const fs::path path = path_ / "metrics.csv";
  std::string kept = header + "\n";
  std::error_code error;
  if (step > 0 && fs::exists(path, error)) {
    constexpr int64_t kMost = int64_t{1} << 30;  // ten million steps
    std::istringstream old(read_small_file(path, kMost));
    std::string line;
    std::getline(old, line);
    // A line cut short by a kill has no newline; its step will be repeated.
    while (std::getline(old, line) && !old.eof()) {
      if (std::atoll(line.c_str()) < step) kept += line + "\n";
    }
  }
  AtomicFile whole(path);
  whole.write(kept);
  whole.commit();
  metrics_ = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  SUMI_CHECK_KIND(kCannotCreate, metrics_ >= 0, "{}: cannot be written: {}", path.string(), std::strerror(errno));
}

void RunFolder::add_metrics(const std::string& line) {
  const std::string text = line + "\n";
  SUMI_CHECK_KIND(kIo, write(metrics_, text.data(), text.size()) == static_cast<ssize_t>(text.size()),
                  "{}/metrics.csv: cannot be written: {}", path_.string(), std::strerror(errno));
}

}  // namespace sumi::train
