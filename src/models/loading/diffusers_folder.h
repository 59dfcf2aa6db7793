// A diffusers folder as one checkpoint: its components' tensors under the names and shapes of a CompVis file.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "io/checkpoint.h"

namespace sumi::models {

// Opens the folder of a model_index.json: unet, vae and text_encoder, each in one file or in shards, safetensors or
// torch, full precision where there is a choice or the `variant` ("fp16") that is asked for. The UNet must be there;
// what else is missing shows when it is needed. Tensors are views of the mapped files. A tensor that has no CompVis
// name keeps its own behind the component's prefix. Throws Error(kData) or Error(kNoInput): a folder that is no model,
// a shard that leads elsewhere, an index that does not fit its shards, a tensor that is there twice.
std::unique_ptr<io::Checkpoint> open_diffusers_folder(const std::filesystem::path& folder,
                                                      const std::string& variant = {});

}  // namespace sumi::models
