#include "app/cli/find_model.h"

#include <algorithm>
#include <cstdlib>

#include "app/places.h"
#include "base/check.h"
#include "models/loading/open.h"
#include "models/loading/prefixes.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOriginalCheckpoint = "models/ldm/stable-diffusion-v1/model.ckpt";

bool is_checkpoint_name(const fs::path& path) {
  const std::string ending = path.extension().string();
  return !path.filename().string().starts_with(".") &&
         (ending == ".ckpt" || ending == ".safetensors" || ending == ".gguf");
}

bool has_unet(const fs::path& path) {
  try {
    return has_network(*models::open_model_files(path), models::kUNetPrefix);
  } catch (const Error&) {
    return false;
  }
}

// Checkpoints in a folder OWNER--NAME of `sumi pull`. It may also hold LoRAs or a CLIP model.
void add_pulled(const fs::path& folder, std::vector<fs::path>& found) {
  if (folder.filename().string().find("--") == std::string::npos) return;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    if (is_checkpoint_name(entries->path()) && has_unet(entries->path())) found.push_back(entries->path());
  }
}

// Model folders and files that `sumi pull` or a person put into the data folder; "random-…" are made-up weights.
std::vector<fs::path> models_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const fs::path& path = entries->path();
    const std::string name = path.filename().string();
    if (name.starts_with(".") || name.starts_with("random-")) continue;
    std::error_code ignored;
    if (fs::exists(path / "model_index.json", ignored) || is_checkpoint_name(path)) {
      found.push_back(path);
    } else {
      add_pulled(path, found);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

bool has_network(const io::Checkpoint& file, std::string_view prefix) {
  return std::any_of(file.tensors().begin(), file.tensors().end(),
                     [&](const io::TensorInfo& info) { return info.name.starts_with(prefix); });
}

std::vector<fs::path> own_models() {
  const fs::path data = find_places().data_folder;
  return data.empty() ? std::vector<fs::path>() : models_in(data / "models");
}

// build/sumi and build/release/sumi belong to models/NAME/NAME.safetensors of their source tree, PREFIX/bin/sumi to
// PREFIX/share/sumi/models.
std::vector<fs::path> bundled_models() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (error || folder.empty()) return {};
  std::vector<fs::path> found = models_in(folder / "../share/sumi/models");
  for (const char* source : {"..", "../.."}) {
    if (!fs::exists(folder / source / "CMakeLists.txt", error)) continue;
    for (const auto& entry : fs::directory_iterator(folder / source / "models", error)) {
      for (fs::path& model : models_in(entry.path())) found.push_back(std::move(model));
    }
  }
  for (fs::path& path : found) path = fs::weakly_canonical(path, error);
  std::sort(found.begin(), found.end());
  return found;
}

fs::path default_checkpoint() {
  if (const char* named = std::getenv("SUMI_MODEL"); named != nullptr && *named != '\0') return named;
  std::error_code error;
  if (fs::exists(kOriginalCheckpoint, error)) return kOriginalCheckpoint;
  const std::vector<fs::path> found = own_models(), bundled = bundled_models();
  if (found.size() == 1) return found[0];
  if (found.empty() && !bundled.empty()) return bundled[0];
  const fs::path data = find_places().data_folder;
  const std::string folder = data.empty() ? "no data folder: HOME is not set" : (data / "models").string();
  SUMI_CHECK_KIND(kUsage, found.empty(), "{} holds {} models; choose one with --ckpt, or with SUMI_MODEL", folder,
                  found.size());
  fail(ErrorKind::kNoInput,
       "no model: name one with --ckpt FILE or SUMI_MODEL, or fetch one with `sumi pull OWNER/NAME` (looked for {} and "
       "in {})",
       kOriginalCheckpoint, folder);
}

}  // namespace sumi::app
