#include "text/find_tokenizer.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.h"

namespace sumi::text {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRepositoryFolder = "models--openai--clip-vit-large-patch14";  // of CLIP ViT-L/14

// The snapshot folders of CLIP ViT-L/14 in the hub's cache, in the order of their names.
std::vector<fs::path> cached_snapshots(const fs::path& cache) {
  std::vector<fs::path> result;
  std::error_code error;
  fs::directory_iterator entries(cache / kRepositoryFolder / "snapshots", error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) result.push_back(entries->path());
  std::sort(result.begin(), result.end());
  return result;
}

// Whether both files are there, or tokenizer.json in their place. One without the other is an error, not a place to
// skip silently.
bool holds_tokenizer(const fs::path& folder) {
  std::error_code error;
  const bool vocabulary = fs::exists(folder / "vocab.json", error);
  const bool merges = fs::exists(folder / "merges.txt", error);
  if (!vocabulary && !merges) return fs::exists(folder / "tokenizer.json", error);
  SUMI_CHECK(vocabulary == merges, "{}: holds {} but no {}; a tokenizer is both files", folder.string(),
             vocabulary ? "vocab.json" : "merges.txt", vocabulary ? "merges.txt" : "vocab.json");
  return vocabulary;
}

}  // namespace

fs::path find_tokenizer(const std::optional<fs::path>& explicit_dir, const fs::path& model_path, const Places& places) {
  std::vector<fs::path> folders;
  if (explicit_dir) {
    folders = {*explicit_dir, *explicit_dir / "tokenizer"};
  } else {
    std::error_code error;
    if (!model_path.empty()) {
      const fs::path folder =
          fs::is_directory(model_path, error) ? model_path : fs::absolute(model_path, error).parent_path();
      folders = {folder, folder / "tokenizer"};
    }
    if (!places.data_folder.empty()) folders.push_back(places.data_folder / "tokenizer");
    if (!places.hub_cache.empty()) {
      const auto snapshots = cached_snapshots(places.hub_cache);
      folders.insert(folders.end(), snapshots.begin(), snapshots.end());
      if (snapshots.empty()) folders.push_back(places.hub_cache / kRepositoryFolder);
    }
  }
  std::string looked;
  for (const fs::path& folder : folders) {
    if (holds_tokenizer(folder)) return folder;
    looked += (looked.empty() ? "" : ", ") + folder.string();
  }
  fail(ErrorKind::kNoInput,
       "no tokenizer (vocab.json and merges.txt, or tokenizer.json) in {}; name the folder that has one with "
       "`tokenizer`",
       looked.empty() ? "any known place" : looked);
}

}  // namespace sumi::text
