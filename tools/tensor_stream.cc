#include "tools/tensor_stream.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/check.h"
#include "tools/torch_zip.h"

namespace sumi::tools {
namespace {

// Calls write(tensor, bytes) for each tensor in turn, in one buffer as large as the largest.
template <class Write> void for_each_filled(const std::vector<StreamedTensor>& tensors, const Write& write) {
  int64_t largest = 0;
  for (const auto& tensor : tensors) largest = std::max(largest, tensor.bytes());
  std::vector<std::byte> buffer(static_cast<size_t>(largest));
  for (const auto& tensor : tensors) {
    const std::span<std::byte> bytes(buffer.data(), static_cast<size_t>(tensor.bytes()));
    tensor.fill(bytes);
    write(tensor, bytes);
  }
}

std::string upper_name(DType dtype) {
  std::string name(name_of(dtype));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
  return name;
}

std::string storage_class(DType dtype) {
  switch (dtype) {
    case DType::kF32: return "FloatStorage";
    case DType::kF16: return "HalfStorage";
    case DType::kBF16: return "BFloat16Storage";
    case DType::kF64: return "DoubleStorage";
    case DType::kI64: return "LongStorage";
    default: fail(ErrorKind::kUsage, "torch checkpoints of {} tensors are not supported", name_of(dtype));
  }
}

}  // namespace

void stream_safetensors(const std::filesystem::path& path, const std::vector<StreamedTensor>& tensors) {
  nlohmann::ordered_json header;
  header["__metadata__"] = {{"format", "pt"}};
  int64_t offset = 0;
  for (const auto& tensor : tensors) {
    header[tensor.name] = {{"dtype", upper_name(tensor.dtype)},
                           {"shape", tensor.shape.dims()},
                           {"data_offsets", {offset, offset + tensor.bytes()}}};
    offset += tensor.bytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the format lets spaces follow the JSON: they align the data
  std::string length;
  for (int i = 0; i < 8; ++i) length.push_back(static_cast<char>(static_cast<uint64_t>(text.size()) >> (8 * i)));

  AtomicFile file(path);
  file.write(length.data(), length.size());
  file.write(text.data(), text.size());
  for_each_filled(tensors, [&](const StreamedTensor&, std::span<const std::byte> bytes) {
    file.write(bytes.data(), bytes.size());
  });
  file.commit();
}

void stream_torch_checkpoint(const std::filesystem::path& path, const std::vector<StreamedTensor>& tensors) {
  std::vector<PickledTensor> pickled;
  pickled.reserve(tensors.size());
  for (const auto& tensor : tensors) pickled.push_back({tensor.name, storage_class(tensor.dtype), tensor.shape.dims()});
  AtomicFile file(path);
  TorchZipWriter zip(file);
  zip.add("archive/data.pkl", pickle_state_dict(pickled));
  zip.add("archive/byteorder", "little");
  size_t index = 0;
  for_each_filled(tensors, [&](const StreamedTensor&, std::span<const std::byte> bytes) {
    zip.add("archive/data/" + std::to_string(index++), bytes);
  });
  zip.add("archive/version", "3\n");
  zip.finish();
  file.commit();
}

}  // namespace sumi::tools
