#include "train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "base/check.h"
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

// The first group's notes have plain names.
std::string numbered(const char* key, size_t group) {
  return group == 0 ? std::string(key) : fmt::format("{}_{}", key, group);
}

void copy_into(const io::Checkpoint& file, const std::string& name, const Tensor& to) {
  const Tensor from = file.tensor(name);
  SUMI_CHECK(from.shape() == to.shape() && from.dtype() == DType::kF32, "{}: {} is {}, this run's is {}",
             file.path().string(), name, from.shape().str(), to.shape().str());
  std::memcpy(to.raw(), from.raw(), static_cast<size_t>(to.bytes()));
}

}  // namespace

RunFolder::RunFolder(fs::path path, bool only_reads) : path_(std::move(path)) {
  if (only_reads) return;
  std::error_code error;
  fs::create_directories(path_, error);
  SUMI_CHECK_KIND(kCannotCreate, fs::is_directory(path_), "{}: cannot be made: {}", path_.string(), error.message());
  lock_ = open((path_ / ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666);
  SUMI_CHECK_KIND(kCannotCreate, lock_ >= 0, "{}: cannot be written to: {}", path_.string(), std::strerror(errno));
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    close(lock_);
    fail(ErrorKind::kUnavailable, "another trainer works in {}; wait for its end, or choose another --out",
         path_.string());
  }
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename().string();
    std::error_code ignored;
    // ".NAME.safetensors.XXXXXX": what a killed trainer was writing.
    if (name.starts_with(".") && name.find(".safetensors.") != std::string::npos) fs::remove(entry.path(), ignored);
  }
}

RunFolder::~RunFolder() {
  if (metrics_ >= 0) close(metrics_);
  if (lock_ >= 0) close(lock_);
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
  io::write_safetensors(checkpoint_path(step), tensors, all);
  const std::vector<int64_t> there = checkpoints();
  for (size_t i = 0; i + kKept < there.size(); ++i) {
    std::error_code ignored;
    fs::remove(checkpoint_path(there[i]), ignored);
  }
}

std::map<std::string, std::string> RunFolder::restore(int64_t step, std::deque<TrainedGroup>& groups) const {
  const auto file = io::open_checkpoint(checkpoint_path(step));
  const auto number = [&](const std::string& key) {
    const auto found = file->metadata().find(key);
    SUMI_CHECK(found != file->metadata().end(), "{}: no \"{}\" in it: not a trainer's checkpoint, or of another kind",
               file->path().string(), key);
    return std::stoll(found->second);
  };
  for (size_t g = 0; g < groups.size(); ++g) {
    auto& [params, optimizer, ema] = groups[g];
    AdamW::State state{.steps = number(numbered("optimizer_steps", g)), .first = {}, .second = {}};
    std::vector<Tensor> averages;
    for (const NamedTensor& param : params) {
      copy_into(*file, "param." + param.name, param.value);
      state.first.push_back(file->tensor("first." + param.name));
      state.second.push_back(file->tensor("second." + param.name));
      if (ema) averages.push_back(file->tensor("ema." + param.name));
    }
    optimizer->restore(state);
    if (ema) ema->restore(averages, number(numbered("ema_updates", g)));
  }
  return file->metadata();
}

void RunFolder::begin_metrics(const std::string& header, int64_t step) {
  const fs::path path = path_ / "metrics.csv";
  std::string kept = header + "\n";
  if (std::ifstream old(path); step > 0 && old.is_open()) {
    std::string line;
    std::getline(old, line);
    // A line cut short by a kill has no newline, and is of a step that will be done again.
    while (std::getline(old, line) && !old.eof()) {
      if (std::atoll(line.c_str()) < step) kept += line + "\n";
    }
  }
  metrics_ = open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0666);
  SUMI_CHECK_KIND(kCannotCreate, metrics_ >= 0, "{}: cannot be written: {}", path.string(), std::strerror(errno));
  add_metrics(kept.substr(0, kept.size() - 1));
}

void RunFolder::add_metrics(const std::string& line) {
  const std::string text = line + "\n";
  SUMI_CHECK_KIND(kIo, write(metrics_, text.data(), text.size()) == static_cast<ssize_t>(text.size()),
                  "{}/metrics.csv: cannot be written: {}", path_.string(), std::strerror(errno));
}

}  // namespace sumi::train
