// The models that this machine has, and the one to use where none is named.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "io/checkpoint.h"

namespace sumi::app {

// The checkpoint to use without --ckpt: $SUMI_MODEL, the original's default path, the one model in sumi's data folder,
// or the bundled one. Throws Error(kNoInput) that says how to get one.
std::filesystem::path default_checkpoint();

// Bundled models, in the source tree or under the installation prefix; and those in sumi's data folder.
std::vector<std::filesystem::path> bundled_models();
std::vector<std::filesystem::path> own_models();

// Whether the file has tensors of the network with these names.
bool has_network(const io::Checkpoint& file, std::string_view prefix);

}  // namespace sumi::app
