// Where the file of a LoRA named in a prompt is.
#pragma once

#include <filesystem>
#include <string>

namespace sumi::engine {

// NAME.safetensors, .pt or .ckpt in `chosen` if it is given; else beside the model, in its loras/ or Lora/, or in the
// data folder's loras/ (empty: there is none). Throws Error(kNoInput) that lists the folders searched.
std::filesystem::path find_lora(const std::string& name, const std::filesystem::path& chosen,
                                const std::filesystem::path& model, const std::filesystem::path& data_folder);

}  // namespace sumi::engine
