#include "io/safetensors.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <numeric>

#include "base/text_util.h"
#include "io/mapped_tensors.h"
#include "io/safetensors_header.h"
#include "io/sniff.h"

namespace sumi::io {
namespace {

uint64_t read_u64(const uint8_t* bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | bytes[i];
  return value;
}

// The bytes that shape and type need; throws where they do not fit 63 bits.
uint64_t size_of_tensor(const TensorInfo& info, const std::string& file) {
  uint64_t product = static_cast<uint64_t>(size_of(info.dtype));
  bool zero = false;
  for (int64_t dim : info.shape) zero = zero || dim == 0;
  for (int64_t dim : info.shape) {
    if (zero) break;
    SUMI_CHECK(!__builtin_mul_overflow(product, static_cast<uint64_t>(dim), &product) &&
                   product <= static_cast<uint64_t>(INT64_MAX),
               "{}: tensor \"{}\" of shape {} is larger than any file", file, strip_control(info.name),
               info.shape.str());
  }
  return zero ? 0 : product;
}

// Each tensor has exactly the bytes it needs, and together they cover [0, data) once.
void check_offsets(const std::vector<HeaderEntry>& entries, uint64_t data, const std::string& file) {
  std::vector<size_t> order(entries.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(entries[a].begin, entries[a].end) < std::pair(entries[b].begin, entries[b].end);
  });
  uint64_t at = 0;
  for (size_t i : order) {
    const HeaderEntry& e = entries[i];
    const std::string name = strip_control(e.info.name);
    SUMI_CHECK(e.begin <= e.end, "{}: tensor \"{}\" ends at {}, before it begins at {}", file, name, e.end, e.begin);
    SUMI_CHECK(e.end <= data, "{}: tensor \"{}\" ends at byte {} of {} bytes of data; is the download complete?", file,
               name, e.end, data);
    const uint64_t needed = size_of_tensor(e.info, file);
    SUMI_CHECK(e.end - e.begin == needed, "{}: tensor \"{}\" of shape {} needs {} bytes and has {}", file, name,
               e.info.shape.str(), needed, e.end - e.begin);
    SUMI_CHECK(e.begin >= at, "{}: tensor \"{}\" overlaps the one before it (byte {})", file, name, e.begin);
    SUMI_CHECK(e.begin == at, "{}: there is a hole before tensor \"{}\" (bytes {} to {})", file, name, at, e.begin);
    at = e.end;
  }
  SUMI_CHECK(at == data, "{}: {} bytes follow the last tensor", file, data - at);
}

class SafetensorsFile : public MappedTensors {
 public:
  explicit SafetensorsFile(std::shared_ptr<MappedFile> file) : MappedTensors(std::move(file)) {
    format_ = "safetensors";
    const std::string name = path_.string();
    const std::span<const uint8_t> bytes = file_->contents();
    check_is_a_model(bytes, path_);
    SUMI_CHECK(bytes.size() >= 8, "{}: {} bytes are too few for a safetensors file", name, bytes.size());
    const uint64_t header_bytes = read_u64(bytes.data());
    SUMI_CHECK(header_bytes <= kMaxSafetensorsHeader, "{}: the header claims {} bytes; the format allows {}", name,
               header_bytes, kMaxSafetensorsHeader);
    SUMI_CHECK(header_bytes <= bytes.size() - 8,
               "{}: the header claims {} bytes of a file of {}; is the download complete?", name, header_bytes,
               bytes.size());
    SUMI_CHECK(header_bytes > 0 && bytes[8] == '{', "{}: the header is not a JSON object", name);
    SafetensorsHeader header = parse_safetensors_header(
        {reinterpret_cast<const char*>(bytes.data()) + 8, static_cast<size_t>(header_bytes)}, name);
    check_offsets(header.entries, bytes.size() - 8 - header_bytes, name);
    metadata_ = std::move(header.metadata);
    for (HeaderEntry& entry : header.entries) {
      offsets_.push_back(8 + header_bytes + entry.begin);
      tensors_.push_back(std::move(entry.info));
    }
    index();
    file_->check_intact();
  }
};

}  // namespace

std::unique_ptr<Checkpoint> open_safetensors(const std::filesystem::path& path) {
  return open_safetensors(MappedFile::open(path));
}

std::unique_ptr<Checkpoint> open_safetensors(std::shared_ptr<MappedFile> file) {
  return std::make_unique<SafetensorsFile>(std::move(file));
}

bool looks_like_safetensors(std::span<const uint8_t> contents) {
  return contents.size() >= 9 && contents[8] == '{' && read_u64(contents.data()) <= contents.size() - 8;
}

namespace {

// The length and the JSON, padded to whole words.
std::string header_bytes(const std::filesystem::path& path, const std::vector<TensorInfo>& tensors,
                         const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  for (const auto& [key, value] : metadata)
    SUMI_CHECK_KIND(kCannotCreate, !find_invalid_utf8(key) && !find_invalid_utf8(value),
                    "{}: the metadata \"{}\" is not UTF-8", path.string(), strip_control(key));
  if (!metadata.empty()) header["__metadata__"] = metadata;
  int64_t at = 0;
  for (const TensorInfo& tensor : tensors) {
    SUMI_CHECK_KIND(kCannotCreate,
                    tensor.name != "__metadata__" && !header.contains(tensor.name) && !find_invalid_utf8(tensor.name),
                    "{}: cannot hold a tensor named \"{}\": the name is taken or not UTF-8", path.string(),
                    strip_control(tensor.name));
    SUMI_CHECK_KIND(kCannotCreate, !is_quantized(tensor.dtype), "{}: safetensors has no type {}, which \"{}\" has",
                    path.string(), name_of(tensor.dtype), strip_control(tensor.name));
    std::string dtype(name_of(tensor.dtype));
    std::transform(dtype.begin(), dtype.end(), dtype.begin(), [](unsigned char c) { return std::toupper(c); });
    const int64_t end = at + bytes_of(tensor.dtype, tensor.shape.numel());
    header[tensor.name] = {{"dtype", dtype}, {"shape", tensor.shape.dims()}, {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(text.size() >> (8 * i));
  return length + text;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, const std::vector<TensorInfo>& tensors,
                                     const std::map<std::string, std::string>& metadata)
    : SafetensorsWriter(path, header_bytes(path, tensors, metadata)) {}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, const std::string& header) : file_(path) {
  file_.write(header);
}

void SafetensorsWriter::write(const Tensor& tensor) {
  const HostView<std::byte> bytes(tensor);
  write(bytes.data(), static_cast<size_t>(bytes.size()));
}

void write_safetensors(const std::filesystem::path& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<TensorInfo> infos;
  for (const auto& [name, tensor] : tensors) infos.push_back({name, tensor.dtype(), tensor.shape()});
  SafetensorsWriter writer(path, infos, metadata);
  for (const auto& [name, tensor] : tensors) writer.write(tensor);
  writer.commit();
}

}  // namespace sumi::io
