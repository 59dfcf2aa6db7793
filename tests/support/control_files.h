// Files of ControlNets with synthetic weights, in every layout they come in.
#pragma once

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/support/upscaler_files.h"

namespace sumi::test {

// The small ControlNet of the reference vectors, in CompVis' names.
inline NamedTensors tiny_control() { return synthetic_tensors(manifest_shapes("tiny_controlnet")); }

// The same names in diffusers'.
inline std::map<std::string, std::string> diffusers_names_of_control() {
  std::ifstream file(std::string(SUMI_TEST_DATA) + "/tiny_controlnet_names.json");
  std::map<std::string, std::string> names;
  const auto json = nlohmann::json::parse(file);
  for (const auto& [diffusers, compvis] : json.at("controlnet").items()) names[compvis.at(0)] = diffusers;
  return names;
}

inline NamedTensors tiny_control_of_diffusers() {
  const auto names = diffusers_names_of_control();
  return with_names(tiny_control(), [&](const std::string& name) { return names.at(name); });
}

// A folder as ControlNetModel.save_pretrained writes it; `config` is JSON.
inline void write_control_folder(const std::filesystem::path& folder, const std::string& config = "{}") {
  write_file(folder / "config.json", config);
  io::write_safetensors(folder / "diffusion_pytorch_model.safetensors", tiny_control_of_diffusers());
}

}  // namespace sumi::test
