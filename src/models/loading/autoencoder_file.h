// An autoencoder from a file or folder of its own, in place of a model's.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "io/checkpoint.h"
#include "models/config.h"

namespace sumi::models {

struct AutoencoderFile {
  std::shared_ptr<const io::Checkpoint> file;  // its tensors under the names of a CompVis checkpoint, and no others
  AutoencoderConfig config;
  bool states_scale = false;  // config.scale_factor is the file's own; else it is the model's
  bool tiny = false;          // a tiny autoencoder (taesd/taesd_file.h), beside which `config` stays the model's
};

// Opens `path`: an LDM autoencoder with or without `first_stage_model.` (`.vae.pt`, `.ckpt`, safetensors), a whole
// checkpoint, an autoencoder in diffusers' names (a file or its folder), a diffusers folder with vae/, or a tiny
// autoencoder (see taesd_of and open_taesd). `model` is the configuration of the model that it is for: what the file
// does not tell is taken from it. Throws Error(kData) if it holds no autoencoder, or one for latents of another number
// of channels; Error(kNoInput) if there is no such file.
AutoencoderFile open_autoencoder(const std::filesystem::path& path, const ModelConfig& model);

// The configuration of Stable Diffusion 1: what an autoencoder is opened for where there is no model.
ModelConfig sd1_config();

// The autoencoder that the web UI takes for a checkpoint NAME.safetensors: NAME.vae.pt, NAME.vae.ckpt or
// NAME.vae.safetensors beside it. Empty: there is none.
std::filesystem::path autoencoder_beside(const std::filesystem::path& checkpoint);

// `model` with the autoencoder's tensors in place of its own.
std::shared_ptr<const io::Checkpoint> with_autoencoder(std::shared_ptr<const io::Checkpoint> model,
                                                       std::shared_ptr<const io::Checkpoint> autoencoder);

}  // namespace sumi::models
