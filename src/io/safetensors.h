// The safetensors format: eight bytes N, a JSON header of N bytes, the tensors' bytes.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "io/checkpoint.h"
#include "io/mapped_file.h"

namespace sumi::io {

// Limits beyond the format's own: nothing real comes near them.
inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;  // the format's
inline constexpr size_t kMaxTensors = 200'000;
inline constexpr size_t kMaxRank = 8;

// Opens a file and checks its whole header: types, shapes, and offsets that cover the file without holes or overlaps.
// Throws Error(kData) or Error(kNoInput), one sentence with the file, the rule and the tensor.
std::unique_ptr<Checkpoint> open_safetensors(const std::filesystem::path& path);
std::unique_ptr<Checkpoint> open_safetensors(std::shared_ptr<MappedFile> file);  // of one that is mapped already

// Whether the bytes begin as a safetensors file does.
bool looks_like_safetensors(std::span<const uint8_t> contents);

// Writes a file, whole or not at all, whose tensors' bytes come one after the other, so that they need not all be in
// memory.
class SafetensorsWriter {
 public:
  // The tensors in the order in which their bytes will come. Throws Error(kCannotCreate).
  SafetensorsWriter(const std::filesystem::path& path, const std::vector<TensorInfo>& tensors,
                    const std::map<std::string, std::string>& metadata = {});
  void write(const Tensor& tensor);  // on any device
  void write(const void* data, size_t bytes) { file_.write(data, bytes); }
  void commit() { file_.commit(); }

 private:
  SafetensorsWriter(const std::filesystem::path& path, const std::string& header);
  AtomicFile file_;
};

// Writes a file, whole or not at all. Tensors of any type and device, packed in the order given.
void write_safetensors(const std::filesystem::path& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace sumi::io
