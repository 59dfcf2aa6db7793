// Writes checkpoints larger than memory: tensors are produced one by one, as the file is written.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"

namespace sumi::tools {

struct StreamedTensor {
  std::string name;
  DType dtype;
  Shape shape;
  std::function<void(std::span<std::byte>)> fill;  // writes the tensor's little-endian bytes

  int64_t bytes() const { return shape.numel() * size_of(dtype); }
};

// A safetensors file, tensors in the order given and without gaps, with the metadata {"format": "pt"}.
void stream_safetensors(const std::filesystem::path& path, const std::vector<StreamedTensor>& tensors);

// What torch.save writes for {"state_dict": OrderedDict(...), "global_step": 0}: a zip64 archive of stored entries, its
// data.pkl in protocol 2, every storage on a 64-byte boundary. f32, f16, bf16, f64 and i64 tensors.
void stream_torch_checkpoint(const std::filesystem::path& path, const std::vector<StreamedTensor>& tensors);

}  // namespace sumi::tools
