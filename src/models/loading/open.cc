#include "models/loading/open.h"

#include "models/loading/diffusers_folder.h"

namespace sumi::models {

std::unique_ptr<io::Checkpoint> open_model_files(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored) ? open_diffusers_folder(path) : io::open_checkpoint(path);
}

}  // namespace sumi::models
