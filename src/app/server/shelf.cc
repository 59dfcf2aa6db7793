#include "app/server/shelf.h"

#include <sys/stat.h>

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

int64_t written_at(const fs::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? static_cast<int64_t>(status.st_mtime) : 0;
}

ModelOptions with_vae(ModelOptions options, const std::string& vae) {
  if (vae.empty()) return options;
  options.vae = vae;
  options.name += "|" + vae;
  return options;
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
    entries_.push_back({options, name, bytes_of(path), written_at(path)});
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

std::optional<Model> Shelf::find_open(const Entry& entry, const std::string& vae, bool uses) {
  const std::lock_guard lock(mutex_);
  const auto known = std::find_if(open_.begin(), open_.end(),
                                  [&](const Open& open) { return open.entry == &entry && open.vae == vae; });
  if (known == open_.end()) return std::nullopt;
  if (uses) open_.splice(open_.begin(), open_, known);
  return known->model;
}

void Shelf::make_room(const Entry& entry) {
  const std::lock_guard lock(mutex_);
  int64_t bytes = entry.bytes;
  for (const Open& open : open_) bytes += open.entry->bytes;
  while (most_bytes_ > 0 && bytes > most_bytes_ && !open_.empty()) {
    bytes -= open_.back().entry->bytes;
    const std::string name = open_.back().name;
    open_.pop_back();
    engine_.close(name);
  }
}

Model Shelf::get(const std::string& name, const std::string& vae) {
  const Entry& entry = find(name);
  const std::lock_guard one_at_a_time(opening_);
  if (auto known = find_open(entry, vae, true)) return *known;
  make_room(entry);
  ModelOptions options = with_vae(entry.options, vae);
  Model model = engine_.open(options);
  const std::lock_guard lock(mutex_);
  open_.push_front({&entry, vae, options.name, model});
  return model;
}

Model Shelf::look(const std::string& name, const std::string& vae) {
  const Entry& entry = find(name);
  const std::lock_guard one_at_a_time(opening_);
  if (auto known = find_open(entry, vae, false)) return *known;
  ModelOptions options = with_vae(entry.options, vae);
  Model model = engine_.open(options);
  engine_.close(options.name);  // who holds it keeps it
  return model;
}

std::vector<ShelfEntry> Shelf::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<ShelfEntry> out;
  for (const Entry& entry : entries_) {
    const bool loaded = std::any_of(open_.begin(), open_.end(),
                                    [&](const Open& o) { return o.entry == &entry && o.model.info().loaded; });
    out.push_back({entry.name, entry.options.path, entry.bytes, loaded, entry.created});
  }
  return out;
}

}  // namespace sumi::app
