#include "app/server/shelf.h"

#include <algorithm>
#include <filesystem>

#include "base/check.h"
#include "base/text_util.h"
#include "engine/resolve.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

int64_t bytes_of(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return static_cast<int64_t>(fs::file_size(path, error));
  int64_t sum = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path, error)) {
    std::error_code ignored;
    if (entry.is_regular_file(ignored)) sum += static_cast<int64_t>(entry.file_size(ignored));
  }
  return sum;
}

}  // namespace

Shelf::Shelf(const EngineOptions& engine, const std::vector<ModelOptions>& models, int64_t most_bytes)
    : engine_(engine), most_bytes_(most_bytes > 0 ? most_bytes : engine.memory_budget) {
  SUMI_CHECK_KIND(kUsage, !models.empty(), "no model to draw with");
  for (const ModelOptions& options : models) {
    std::error_code error;
    const fs::path path = options.path;
    SUMI_CHECK_KIND(kNoInput, fs::exists(path, error), "{}: there is no such model", options.path);
    std::string name = options.name.empty() ? engine::model_name(path) : options.name;
    const auto taken = [&] {
      return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.name == name; });
    };
    const bool twice = std::any_of(entries_.begin(), entries_.end(),
                                   [&](const Entry& entry) { return entry.options.path == options.path; });
    SUMI_CHECK_KIND(kUsage, !twice, "the model {} is given twice", options.path);
    if (taken()) name = fs::absolute(path, error).parent_path().filename().string() + "/" + name;
    if (taken()) name = options.path;
    entries_.push_back({options, name, bytes_of(path)});
    entries_.back().options.name = name;
  }
}

const Shelf::Entry& Shelf::find(const std::string& name) const {
  if (name.empty()) return entries_.front();
  for (const Entry& entry : entries_) {
    const std::string file = fs::path(entry.options.path).filename().string();
    if (name == entry.name || name == entry.options.path || name == file) return entry;
  }
  std::string names;
  for (const Entry& entry : entries_) names += (names.empty() ? "" : ", ") + entry.name;
  fail(ErrorKind::kUsage, "there is no model \"{}\" here; choose one of {}", excerpt(name), names);
}

std::string Shelf::name_of(const std::string& name) const { return find(name).name; }

void Shelf::make_room(const Entry& entry) {
  int64_t bytes = entry.bytes;
  for (const auto& [open, model] : open_) bytes += open->bytes;
  while (most_bytes_ > 0 && bytes > most_bytes_ && !open_.empty()) {
    const Entry& oldest = *open_.back().first;
    bytes -= oldest.bytes;
    open_.pop_back();
    engine_.close(oldest.name);
  }
}

Model Shelf::get(const std::string& name) {
  const Entry& entry = find(name);
  const std::lock_guard lock(mutex_);
  const auto known = std::find_if(open_.begin(), open_.end(), [&](const auto& open) { return open.first == &entry; });
  if (known != open_.end()) {
    open_.splice(open_.begin(), open_, known);
    return open_.front().second;
  }
  make_room(entry);
  open_.emplace_front(&entry, engine_.open(entry.options));
  return open_.front().second;
}

std::vector<ShelfEntry> Shelf::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<ShelfEntry> out;
  for (const Entry& entry : entries_) {
    const auto open = std::find_if(open_.begin(), open_.end(), [&](const auto& o) { return o.first == &entry; });
    out.push_back({entry.name, entry.options.path, entry.bytes, open != open_.end() && open->second.info().loaded});
  }
  return out;
}

}  // namespace sumi::app
