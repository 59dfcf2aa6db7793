// Where the tokenizer's files are on this machine; declared in clip_tokenizer.h.
#include <algorithm>
#include <cstdlib>

#include "base/check.h"
#include "text/clip_tokenizer.h"

namespace sumi::text {
namespace {

namespace fs = std::filesystem;

// An environment variable's value; unset and empty are the same.
std::optional<fs::path> environment_path(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value) return std::nullopt;
  return fs::path(value);
}

std::optional<fs::path> home_path(const fs::path& below) {
  const auto home = environment_path("HOME");
  if (!home) return std::nullopt;
  return *home / below;
}

std::optional<fs::path> find_hub_cache() {
  if (auto cache = environment_path("HF_HUB_CACHE")) return cache;
  if (const auto home = environment_path("HF_HOME")) return *home / "hub";
  return home_path(".cache/huggingface/hub");
}

// The snapshot folders of CLIP ViT-L/14 in the hub's cache, in the order of their names.
std::vector<fs::path> cached_snapshots(const fs::path& cache) {
  std::vector<fs::path> result;
  std::error_code error;
  fs::directory_iterator entries(cache / "models--openai--clip-vit-large-patch14/snapshots", error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) result.push_back(entries->path());
  std::sort(result.begin(), result.end());
  return result;
}

// Whether both files are there. One without the other is an error, not a place to skip silently.
bool holds_tokenizer(const fs::path& folder) {
  std::error_code error;
  const bool vocabulary = fs::exists(folder / "vocab.json", error);
  const bool merges = fs::exists(folder / "merges.txt", error);
  SUMI_CHECK(vocabulary == merges, "{}: holds {} but no {}; a tokenizer is both files", folder.string(),
             vocabulary ? "vocab.json" : "merges.txt", vocabulary ? "merges.txt" : "vocab.json");
  return vocabulary;
}

}  // namespace

std::optional<fs::path> find_data_folder() {
  if (auto own = environment_path("SUMI_HOME")) return own;
  if (const auto shared = environment_path("XDG_DATA_HOME")) return *shared / "sumi";
  return home_path(".local/share/sumi");
}

fs::path data_folder() {
  const auto folder = find_data_folder();
  SUMI_CHECK_KIND(kNoInput, folder, "no data folder: set SUMI_HOME, XDG_DATA_HOME or HOME to a folder");
  return *folder;
}

fs::path find_tokenizer(const std::optional<fs::path>& explicit_dir, const fs::path& model_path) {
  std::vector<fs::path> places;
  if (explicit_dir) {
    places = {*explicit_dir, *explicit_dir / "tokenizer"};
  } else {
    std::error_code error;
    if (!model_path.empty()) {
      const fs::path folder =
          fs::is_directory(model_path, error) ? model_path : fs::absolute(model_path, error).parent_path();
      places = {folder, folder / "tokenizer"};
    }
    if (const auto data = find_data_folder()) places.push_back(*data / "tokenizer");
    if (auto cache = find_hub_cache()) {
      const auto snapshots = cached_snapshots(*cache);
      places.insert(places.end(), snapshots.begin(), snapshots.end());
      if (snapshots.empty()) places.push_back(*cache / "models--openai--clip-vit-large-patch14");
    }
  }
  std::string looked;
  for (const fs::path& place : places) {
    if (holds_tokenizer(place)) return place;
    looked += (looked.empty() ? "" : ", ") + place.string();
  }
  fail(ErrorKind::kNoInput,
       "no tokenizer (vocab.json and merges.txt) in {}; `sumi pull tokenizer` fetches one, --tokenizer DIR names one",
       looked.empty() ? "any known place" : looked);
}

}  // namespace sumi::text
