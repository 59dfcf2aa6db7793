// Finds the files of a safety checker and reads its sizes.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "io/checkpoint.h"
#include "models/clip_pair/clip_vision.h"

namespace sumi::models {

struct SafetyFiles {
  std::shared_ptr<const io::Checkpoint> file;
  std::string prefix;  // before every name: "", or what a wrapper put there ("module.", "safety_checker.")
  std::string tower;   // before the picture tower's names: "vision_model.vision_model." or "vision_model."
  ClipVisionConfig vision;
  int64_t projection = 768, concepts = 17, special_concepts = 3;
};

// Opens diffusers' folder `safety_checker` (config.json and model.safetensors or pytorch_model.bin), a pipeline's
// folder that has it, or one file of such weights. Names and shapes are read, no weights. Sizes come from the shapes;
// the number of heads from config.json, where it lies beside the weights, else they have 64 channels each. Throws
// Error(kNoInput) where there is nothing, Error(kData) where it is no safety checker or config.json and
// preprocessor_config.json say something else than the weights.
SafetyFiles find_safety_checker(const std::filesystem::path& path);

}  // namespace sumi::models
