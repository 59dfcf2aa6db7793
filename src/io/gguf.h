// GGUF files: metadata, a directory of tensors and their bytes, as ggml's programs write them. (ggml's docs/gguf.md)
//
// Read: versions 2 and 3, tensors of f32, f16, bf16, f64, whole numbers, q8_0, q4_0, q4_1, q5_0, q5_1, q4_K, q5_K and
// q6_K, as they lie in the mapped file. Dimensions are stored innermost first, and turned round here.
// A tensor whose kept shape (`comfy.gguf.orig_shape.`) has rows that are no whole blocks is widened to f32.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "io/checkpoint.h"
#include "io/mapped_file.h"

namespace sumi::io {

// Checks everything that the header says against the file's size. Texts and numbers of the metadata are kept as texts,
// lists as their lengths. Throws Error(kData), one sentence with the file, the rule and the tensor or key.
std::unique_ptr<Checkpoint> open_gguf(std::shared_ptr<MappedFile> file);

// Writes a file, whole or not at all, whose tensors' bytes come one after the other, so that they need not all be in
// memory. Rank 0 is written as one value of rank 1. Throws Error(kCannotCreate), and Error(kUsage) for what the format
// cannot hold: more than 4 dimensions, empty tensors, booleans, unsigned types and 8-bit floats.
class GgufWriter {
 public:
  GgufWriter(const std::filesystem::path& path, const std::vector<TensorInfo>& tensors,
             const std::map<std::string, std::string>& metadata = {});
  void write(const Tensor& tensor);  // on any device; of the type that was announced
  void commit() { file_.commit(); }

 private:
  AtomicFile file_;
};

}  // namespace sumi::io
