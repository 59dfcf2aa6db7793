// From a path to a model's tensors under the engine's names.
#pragma once

#include <filesystem>
#include <memory>

#include "io/checkpoint.h"

namespace sumi::models {

// Opens a model: a diffusers folder (see open_diffusers_folder), or one file (see io::open_checkpoint) whose tensors
// are renamed if they have a family's own names. No weight is read. Throws Error(kData) or Error(kNoInput), naming the
// file and the rule. `variant`: of a folder, see open_diffusers_folder; Error(kUsage) for one with a single file.
std::unique_ptr<io::Checkpoint> open_model_files(const std::filesystem::path& path, const std::string& variant = {});

}  // namespace sumi::models
