// A small safety checker of synthetic weights, as its vectors in tests/data/safety were made with.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "io/json_file.h"
#include "io/safetensors.h"
#include "tests/support/temp_folder.h"
#include "tools/synthetic.h"

namespace sumi::test {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

inline std::filesystem::path safety_data() { return std::filesystem::path(SUMI_TEST_DATA) / "safety"; }

inline NamedTensors synthetic_safety() {
  NamedTensors tensors;
  const nlohmann::json manifest = io::read_json_file(safety_data() / "manifest.json");
  for (const auto& [name, entry] : manifest.items()) {
    const Shape shape(entry[1].get<std::vector<int64_t>>());
    Tensor value = Tensor::empty(shape);
    const HostEdit<float> values(value);
    tools::synthetic_values(name, shape, 0, values.span());
    tensors.emplace_back(name, value);
  }
  return tensors;
}

// Diffusers' folder of it: config.json, preprocessor_config.json and model.safetensors.
inline void write_safety_folder(const std::filesystem::path& folder, const NamedTensors& tensors = synthetic_safety()) {
  std::filesystem::create_directories(folder);
  for (const char* name : {"config.json", "preprocessor_config.json"})
    std::filesystem::copy_file(safety_data() / name, folder / name);
  io::write_safetensors(folder / "model.safetensors", tensors);
}

}  // namespace sumi::test
