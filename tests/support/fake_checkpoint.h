// A checkpoint of names and shapes without values, for tests of what is inferred from them.
#pragma once

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "io/checkpoint.h"

namespace sumi::test {

using Shapes = std::map<std::string, Shape>;

class FakeCheckpoint : public io::Checkpoint {
 public:
  explicit FakeCheckpoint(const Shapes& shapes, const std::string& format = "safetensors",
                          const std::filesystem::path& path = "fake.ckpt") {
    for (const auto& [name, shape] : shapes) tensors_.push_back({name, DType::kF32, shape});
    format_ = format;
    path_ = path;
    index();
  }
  Tensor tensor(std::string_view name) const override { return Tensor::zeros(find(name)->shape); }
};

// Names and shapes of "sd1" or "tiny".
inline Shapes manifest_shapes(const std::string& size) {
  std::ifstream file(std::string(SUMI_TEST_DATA) + "/" + size + "_manifest.json");
  const auto json = nlohmann::json::parse(file);
  Shapes shapes;
  for (const auto& [name, entry] : json.items()) shapes[name] = Shape(entry[1].get<std::vector<int64_t>>());
  return shapes;
}

}  // namespace sumi::test
