// Synthetic checkpoints: every value is a function of its tensor's name, its flat index and the tensor's shape, so that
// anyone can make the same 1.07 billion weights again and compare engines without a download.
//
//   seed = FNV-1a 64 of the name
//   u[i] = (splitmix64(seed + (i+1) * 0x9E3779B97F4A7C15) >> 40) * 2^-23 - 1, in [-1, 1)
//   rank 1 named "...weight": 1 + 0.1 u;   other rank 1: 0.05 u
//   rank 2 up with "embedding" in the name: 0.05 u;   other rank 2 up: sqrt(3 / prod(shape[1:])) u
// All arithmetic in float32.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "core/tensor.h"
#include "tools/checkpoint_layout.h"

namespace sumi::tools {

// Values first, first+1, … of the tensor `name` of `shape`.
void synthetic_values(std::string_view name, const Shape& shape, int64_t first, std::span<float> out);

// The tensor of a layout entry: synthetic values rounded to `dtype` (f32, f16, bf16), or the real noise schedule and
// position ids where the entry is one of those.
Tensor synthetic_tensor(const LayoutEntry& entry, DType dtype = DType::kF32);

enum class CheckpointFormat { kSafetensors, kTorch, kDiffusers };

struct SyntheticOptions {
  std::string size = "tiny";  // "sd1" or "tiny"
  DType dtype = DType::kF32;  // f32, f16 or bf16
  CheckpointFormat format = CheckpointFormat::kSafetensors;
  std::string variant;              // diffusers: "fp16" gives model.fp16.safetensors, …
  std::filesystem::path tokenizer;  // diffusers: a folder whose vocab.json and merges.txt are
                                    // copied; empty: the made-up byte vocabulary
};

// Writes the checkpoint at `path`: a file, or for kDiffusers a folder. A single file is written whole or not at all.
void write_synthetic(const std::filesystem::path& path, const SyntheticOptions& options);

// Writes a made-up vocabulary in CLIP's two files: the 256 bytes, each also as a word's end, and the two marks at
// CLIP's ids; no merges, so a prompt is spelled byte by byte. It lets a synthetic model run where CLIP's own is not at
// hand.
void write_byte_vocabulary(const std::filesystem::path& folder);

}  // namespace sumi::tools
