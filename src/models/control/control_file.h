// A ControlNet's file: which kind it is, and its tensors under one set of names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "io/checkpoint.h"
#include "models/config.h"
#include "models/unet/topology.h"

namespace sumi::models {

class ControlNet;

struct ControlFile {
  std::shared_ptr<const io::Checkpoint> file;  // "control_model." and CompVis' names, and no others
  UNetConfig config;                           // of the way down
  // Its residuals are means over the whole picture, made for the half with the prompt alone (ControlNet 1.1's shuffle):
  // diffusers' config.json says so, or "shuffle" in the file's name, as A1111's web UI has it.
  bool pooled = false;
  int64_t weight_bytes() const;  // once bound
};

// The way down that a ControlNet for this model has: the UNet's, on latents alone.
UNetConfig control_config(const ModelConfig& model);

// Reads names and shapes: CompVis' layout (with or without "control_model.", alone or in a whole checkpoint) or
// diffusers' (a file, the folder of its config.json, or one with controlnet/). Throws Error(kNoInput) if there is no
// such file, Error(kData) with one sentence for a file of another kind (T2I-Adapter, LoRA, ControlNet-LoRA, a picture,
// …) and for a ControlNet that was made for another family of models.
std::shared_ptr<const ControlFile> open_control(const std::filesystem::path& path, const ModelConfig& model);

// Its network, with the file's tensors as they lie.
std::unique_ptr<ControlNet> bind_control(const ControlFile& file, Device device);

}  // namespace sumi::models
