// From the path of a checkpoint to networks that run.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "io/checkpoint.h"
#include "models/stable_diffusion.h"

namespace sumi::engine {

struct LoraChoice {
  std::filesystem::path file;
  double weight = 1.0;
};

struct ModelOptions {
  std::filesystem::path checkpoint;
  std::filesystem::path config;  // LDM YAML; empty: found or detected
  Device device = Device::kCpu;
  std::optional<DType> dtype;                       // weights rounded to this type; none: as the file has them
  std::optional<diffusion::Prediction> prediction;  // none: as the configuration has it
  bool exact = false;                               // see models::LoadOptions
  DType activations = DType::kF32;                  // see models::LoadOptions
  std::vector<LoraChoice> loras = {};
};

// A checkpoint of which only names, types and shapes have been read.
struct OpenModel {
  std::shared_ptr<const io::Checkpoint> stored;      // as the file has it
  std::shared_ptr<const io::Checkpoint> checkpoint;  // as the networks see it: the same, unless a type was requested
  models::ModelConfig config;
  Device device = Device::kCpu;
  bool exact = false;
  DType activations = DType::kF32;
  struct Lora {
    std::shared_ptr<const io::Checkpoint> file;
    double weight;
  };
  std::vector<Lora> loras;
};

// Throws Error(kUnavailable) if this build does not have the backend, Error(kData) or Error(kNoInput) for the file.
OpenModel open_model(const ModelOptions& options);

// Binds the networks that `options` names; device, exactness and checkpoint are the opened model's.
models::StableDiffusion load_model(const OpenModel& model, models::LoadOptions options = {});

// What the opened model's LoRAs change of its networks, finished.
nn::Adapters load_adapters(const OpenModel& model, const models::StableDiffusion& networks);

// Backends that can run the networks here.
std::vector<Device> available_devices();

}  // namespace sumi::engine
