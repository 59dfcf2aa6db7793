// Which files of a diffusers folder hold a component's weights, and the check that none leads out of the folder.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sumi::io {

// `folder / relative`, after following links. A link may lead to a file in the folder itself or, where the folder is a
// snapshot of the Hugging Face cache (REPO/snapshots/REVISION), to REPO/blobs. Throws Error(kData) for any other,
// Error(kNoInput) where there is no such file.
std::filesystem::path file_in_folder(const std::filesystem::path& folder, const std::filesystem::path& relative);

struct WeightFiles {
  std::vector<std::filesystem::path> files;
  std::filesystem::path index;            // empty for a component in one file
  std::map<std::string, size_t> file_of;  // what the index promises: tensor → files[i]
};

// The weights of `component` ("unet", "vae", "text_encoder"); nothing where the folder has none. Of several forms:
// full precision before `fp16` and `bf16`, one file before shards, safetensors before torch. A `variant` must match:
// Error(kNoInput) where a component has weights, but none of that variant.
std::optional<WeightFiles> find_weights(const std::filesystem::path& folder, std::string_view component,
                                        std::string_view variant);

}  // namespace sumi::io
