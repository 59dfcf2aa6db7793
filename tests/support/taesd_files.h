// Files of tiny autoencoders with synthetic weights, in every form they come in.
#pragma once

#include <filesystem>
#include <string>

#include "tests/support/upscaler_files.h"

namespace sumi::test {

// The tensors of the original's file of one half ("decoder", "encoder"), or of diffusers' ("diffusers").
inline NamedTensors tiny_autoencoder(const std::string& kind) {
  return synthetic_tensors(manifest_shapes("taesd/" + kind));
}

// A folder as AutoencoderTiny.save_pretrained leaves it.
inline void write_tiny_folder(const std::filesystem::path& folder, const std::string& config =
                                                                       R"({"_class_name": "AutoencoderTiny",
  "act_fn": "relu", "upsample_fn": "nearest", "upsampling_scaling_factor": 2, "latent_channels": 4,
  "scaling_factor": 1.0, "shift_factor": 0.0, "in_channels": 3, "out_channels": 3})") {
  std::filesystem::create_directories(folder);
  write_file(folder / "config.json", config);
  io::write_safetensors(folder / "diffusion_pytorch_model.safetensors", tiny_autoencoder("diffusers"));
}

}  // namespace sumi::test
