// Files of upscaling models with synthetic weights, in every form they come in.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "io/safetensors.h"
#include "tests/support/fake_checkpoint.h"
#include "tests/support/temp_folder.h"
#include "tests/support/torch_file.h"
#include "tools/synthetic.h"

namespace sumi::test {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

inline NamedTensors synthetic_tensors(const Shapes& shapes) {
  NamedTensors tensors;
  for (const auto& [name, shape] : shapes) {
    Tensor value = Tensor::empty(shape);
    const HostEdit<float> values(value);
    tools::synthetic_values(name, shape, 0, values.span());
    tensors.emplace_back(name, value);
  }
  return tensors;
}

// The small model of the reference vectors: "x4", "x2" or "old".
inline NamedTensors tiny_upscaler(const std::string& kind) {
  return synthetic_tensors(manifest_shapes("upscaler/tiny_" + kind));
}

// A real model's shapes (64 features, 23 blocks, growth 32) or smaller ones.
inline Shapes rrdb_shapes(int64_t features, int64_t blocks, int64_t growth, int64_t inputs = 3,
                          int64_t upsamplings = 2) {
  Shapes shapes;
  const auto conv = [&](const std::string& name, int64_t in, int64_t out) {
    shapes[name + ".weight"] = {out, in, 3, 3};
    shapes[name + ".bias"] = Shape{out};
  };
  conv("conv_first", inputs, features);
  for (int64_t i = 0; i < blocks * 15; ++i) {
    const int64_t k = i % 5;
    conv("body." + std::to_string(i / 15) + ".rdb" + std::to_string(i / 5 % 3 + 1) + ".conv" + std::to_string(k + 1),
         features + k * growth, k < 4 ? growth : features);
  }
  conv("conv_body", features, features);
  for (int64_t i = 1; i <= upsamplings; ++i) conv("conv_up" + std::to_string(i), features, features);
  conv("conv_hr", features, features);
  conv("conv_last", features, 3);
  return shapes;
}

inline Shapes compact_shapes(int64_t features, int64_t convolutions, int64_t scale) {
  Shapes shapes;
  for (int64_t i = 0; i <= convolutions + 1; ++i) {
    const std::string name = "body." + std::to_string(2 * i);
    const int64_t out = i <= convolutions ? features : 3 * scale * scale;
    shapes[name + ".weight"] = {out, i == 0 ? 3 : features, 3, 3};
    shapes[name + ".bias"] = Shape{out};
    if (i <= convolutions) shapes["body." + std::to_string(2 * i + 1) + ".weight"] = Shape{features};
  }
  return shapes;
}

inline NamedTensors with_names(NamedTensors tensors, const std::function<std::string(const std::string&)>& name) {
  for (auto& [key, value] : tensors) key = name(key);
  return tensors;
}

// What torch.save writes for {wrapper: {name: tensor}}, or without a wrapper for the tensors alone.
inline void write_pth(const std::filesystem::path& path, const NamedTensors& tensors, const std::string& wrapper) {
  std::vector<std::pair<std::string, std::string>> entries, storages;
  for (const auto& [name, value] : tensors) {
    const std::string key = std::to_string(storages.size());
    std::vector<int64_t> strides(static_cast<size_t>(value.rank()), 1);
    for (size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * value.dim(static_cast<int>(i));
    entries.emplace_back(
        name, pickle::tensor({.sizes = value.shape().dims(), .strides = strides, .key = key, .stored = value.numel()}));
    const HostView<std::byte> bytes(value);
    storages.emplace_back(key, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.span().size()));
  }
  std::string code = pickle::dict(entries);
  if (!wrapper.empty()) code = pickle::dict({{wrapper, code}});
  write_file(path, zip(torch_parts(pickle::whole(code), storages)));
}

}  // namespace sumi::test
