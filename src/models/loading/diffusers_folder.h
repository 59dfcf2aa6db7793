// A diffusers folder as one checkpoint: its components' tensors under the names and shapes of a CompVis file.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "io/checkpoint.h"

namespace sumi::models {

// Opens the folder of a model_index.json: unet, vae and text_encoder, each in one file or in shards, safetensors or
// torch, in full precision if there is a choice, or in the requested `variant` ("fp16"). The UNet must be there; other
// missing parts are reported when they are needed. Tensors are views of the mapped files. A tensor that has no CompVis
// name keeps its own behind the component's prefix. Throws Error(kData) or Error(kNoInput): a folder that is not a
// model, a shard outside of it, an index that does not match its shards, a duplicate tensor.
std::unique_ptr<io::Checkpoint> open_diffusers_folder(const std::filesystem::path& folder,
                                                      const std::string& variant = {});

// The weights of one component's folder ("…/vae"), in one file, under its own names; null where it has none. Throws
// as open_diffusers_folder, and Error(kData) for shards.
std::unique_ptr<io::Checkpoint> open_diffusers_component(const std::filesystem::path& folder);

}  // namespace sumi::models
