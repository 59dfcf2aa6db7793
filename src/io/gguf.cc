#include "io/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include "base/text_util.h"
#include "core/quantized.h"
#include "io/mapped_tensors.h"
#include "io/sniff.h"

namespace sumi::io {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint64_t kMostTensors = 200'000, kMostEntries = 100'000;
constexpr uint64_t kMostText = 16 << 20;  // of one metadata value
constexpr uint64_t kMostKept = 64 << 20;  // of all that are kept
constexpr uint64_t kMostDims = 4;
// GGUF's own limit is 63 bytes, less than the names of a Stable Diffusion need: stable-diffusion.cpp builds ggml with
// GGML_MAX_NAME 160, the end mark included.
constexpr size_t kMostName = 159;
constexpr uint32_t kAlignment = 32;
// Where ComfyUI's programs keep the shape of a tensor that is stored flat: a list of whole numbers.
const std::string kKeptShape = "comfy.gguf.orig_shape.";

// ggml's numbers of types.
struct TypeRow {
  uint32_t number;
  DType dtype;
};
constexpr TypeRow kTypes[] = {{0, DType::kF32},  {1, DType::kF16},  {2, DType::kQ4},   {3, DType::kQ4_1},
                              {6, DType::kQ5_0}, {7, DType::kQ5_1}, {8, DType::kQ8},   {12, DType::kQ4K},
                              {13, DType::kQ5K}, {14, DType::kQ6K}, {24, DType::kI8},  {25, DType::kI16},
                              {26, DType::kI32}, {27, DType::kI64}, {28, DType::kF64}, {30, DType::kBF16}};
// Types that are known and not read.
constexpr std::pair<uint32_t, const char*> kOtherTypes[] = {
    {9, "q8_1"},     {10, "q2_K"},  {11, "q3_K"},   {15, "q8_K"},  {16, "iq2_xxs"}, {17, "iq2_xs"},
    {18, "iq3_xxs"}, {19, "iq1_s"}, {20, "iq4_nl"}, {21, "iq3_s"}, {22, "iq2_s"},   {23, "iq4_xs"},
    {29, "iq1_m"},   {34, "tq1_0"}, {35, "tq2_0"},  {39, "mxfp4"}};

// Metadata types: their sizes; 0: texts and lists.
enum : uint32_t { kInt32 = 5, kBool = 7, kText = 8, kList = 9 };
constexpr std::array<uint64_t, 13> kValueBytes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

class Header {
 public:
  Header(std::span<const uint8_t> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  template <class... Args> void require(bool condition, fmt::format_string<Args...> what, Args&&... args) const {
    if (!condition)
      fail(ErrorKind::kData, "{}: {} (byte {})", file_, fmt::format(what, std::forward<Args>(args)...), at_);
  }
  uint64_t number(uint64_t width) {
    require(width <= bytes_.size() - at_, "the GGUF header is cut short; is the download complete?");
    uint64_t value = 0;
    for (uint64_t i = width; i-- > 0;) value = value << 8 | bytes_[at_ + i];
    at_ += width;
    return value;
  }
  std::string text(uint64_t most, const char* what) {
    const uint64_t length = number(8);
    require(length <= most && length <= bytes_.size() - at_, "{} has {} bytes", what, length);
    std::string out(reinterpret_cast<const char*>(bytes_.data()) + at_, length);
    at_ += length;
    return out;
  }
  void skip(uint64_t bytes) {
    require(bytes <= bytes_.size() - at_, "the GGUF header is cut short; is the download complete?");
    at_ += bytes;
  }
  uint64_t at() const { return at_; }

 private:
  std::span<const uint8_t> bytes_;
  const std::string& file_;
  uint64_t at_ = 0;
};

std::string shown(const std::string& name) { return shorten(strip_control(name), 100); }

class GgufFile : public MappedTensors {
 public:
  explicit GgufFile(std::shared_ptr<MappedFile> file) : MappedTensors(std::move(file)) {
    format_ = "GGUF";
    const std::string name = path_.string();
    check_is_a_model(file_->contents(), path_);
    Header header(file_->contents(), name);
    header.require(header.number(4) == kMagic, "is no GGUF file");
    const uint64_t version = header.number(4);
    header.require(version != 0x02000000 && version != 0x03000000, "is a big-endian GGUF file, which is not read");
    header.require(version == 2 || version == 3, "is GGUF of version {}; 2 and 3 are read", version);
    const uint64_t tensors = header.number(8), entries = header.number(8);
    header.require(tensors <= kMostTensors, "claims {} tensors", tensors);
    header.require(entries <= kMostEntries, "claims {} metadata entries", entries);
    for (uint64_t i = 0; i < entries; ++i) read_entry(header);
    for (uint64_t i = 0; i < tensors; ++i) read_tensor(header);
    place(header);
    index();
    file_->check_intact();
  }

  Tensor tensor(std::string_view name) const override {
    const auto wide = widened_.find(name);
    if (wide == widened_.end()) return MappedTensors::tensor(name);
    file_->check_intact();
    const TensorInfo& info = *find(name);
    Tensor out = Tensor::empty(info.shape, DType::kF32);
    const HostEdit<float> values(out);
    const int64_t block = block_of(wide->second), bytes = bytes_of_block(wide->second);
    const uint8_t* from = file_->contents().data() + offset_of(info);
    for (int64_t i = 0; i < out.numel() / block; ++i)
      dequantize_block(wide->second, from + i * bytes, values.data() + i * block);
    return out;
  }
  bool is_copied(std::string_view name) const override {
    return widened_.contains(name) || MappedTensors::is_copied(name);
  }

 private:
  void read_entry(Header& header) {
    const std::string key = header.text(65535, "a metadata key");
    header.require(!key.empty(), "a metadata key is empty");
    header.require(keys_.insert(key).second, "the metadata key \"{}\" is there twice", shown(key));
    const auto type = static_cast<uint32_t>(header.number(4));
    header.require(type < kValueBytes.size(), "the metadata \"{}\" has the unknown type {}", shown(key), type);
    std::string value;
    if (type == kText) {
      value = header.text(kMostText, "a metadata text");
    } else if (type == kList) {
      value = read_list(header, key);
    } else {
      const uint64_t bits = header.number(kValueBytes[type]);
      header.require(type != kBool || bits <= 1, "the metadata \"{}\" is {}, not true or false", shown(key), bits);
      value = number_text(type, bits);
      if (key == "general.alignment") {
        header.require(type == 4 && bits >= 8 && bits <= 1 << 20 && (bits & (bits - 1)) == 0,
                       "the alignment {} is no power of two from 8 to 2^20 (or no u32)", value);
        alignment_ = bits;
      }
    }
    header.require(key != "general.alignment" || type == 4, "the alignment is no whole number of 32 bits");
    kept_ += key.size() + value.size() + 64;
    header.require(kept_ <= kMostKept, "has more than {} MB of metadata", kMostKept >> 20);
    metadata_[key] = std::move(value);
  }

  // Passes over a list; of whole numbers of one to eight entries, such as shapes, the text is "1,2,3".
  std::string read_list(Header& header, const std::string& key) {
    const auto type = static_cast<uint32_t>(header.number(4));
    const uint64_t count = header.number(8);
    header.require(type < kValueBytes.size() && type != kList, "the metadata list \"{}\" is of the type {}", shown(key),
                   type);
    if (type == kText) {
      header.require(count <= file_->contents().size() / 8, "the metadata list \"{}\" claims {} texts", shown(key),
                     count);
      for (uint64_t i = 0; i < count; ++i) header.skip(header.number(8));
      return fmt::format("{} texts", count);
    }
    header.require(count <= file_->contents().size() / kValueBytes[type], "the metadata list \"{}\" claims {} values",
                   shown(key), count);
    constexpr uint64_t kShown = 8;
    if (count > kShown) {
      header.skip(count * kValueBytes[type]);
      return fmt::format("{} values", count);
    }
    std::string text;
    for (uint64_t i = 0; i < count; ++i)
      text += (i == 0 ? "" : ",") + number_text(type, header.number(kValueBytes[type]));
    return text;
  }

  static std::string number_text(uint32_t type, uint64_t bits) {
    switch (type) {
      case 0:
      case 2:
      case 4:
      case 10: return std::to_string(bits);
      case 1: return std::to_string(static_cast<int8_t>(bits));
      case 3: return std::to_string(static_cast<int16_t>(bits));
      case 5: return std::to_string(static_cast<int32_t>(bits));
      case 11: return std::to_string(static_cast<int64_t>(bits));
      case 6: return fmt::format("{}", std::bit_cast<float>(static_cast<uint32_t>(bits)));
      case 7: return bits != 0 ? "true" : "false";
      default: return fmt::format("{}", std::bit_cast<double>(bits));
    }
  }

  void read_tensor(Header& header) {
    const std::string name = header.text(kMostName, "a tensor's name");
    header.require(!name.empty(), "a tensor has no name");
    const uint64_t rank = header.number(4);
    header.require(rank <= kMostDims, "the tensor \"{}\" has {} dimensions; at most {}", shown(name), rank, kMostDims);
    std::vector<int64_t> dims;
    uint64_t count = 1;
    for (uint64_t i = 0; i < rank; ++i) {
      const uint64_t dim = header.number(8);
      header.require(dim >= 1 && dim < uint64_t{1} << 40, "the tensor \"{}\" has a dimension of {}", shown(name), dim);
      header.require(!__builtin_mul_overflow(count, dim, &count) && count < uint64_t{1} << 40,
                     "the tensor \"{}\" is larger than any file", shown(name));
      dims.insert(dims.begin(), static_cast<int64_t>(dim));
    }
    const auto number = static_cast<uint32_t>(header.number(4));
    const auto type =
        std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeRow& row) { return row.number == number; });
    const auto other = std::find_if(std::begin(kOtherTypes), std::end(kOtherTypes),
                                    [&](const auto& row) { return row.first == number; });
    header.require(type != std::end(kTypes), "the tensor \"{}\" has the type {}, which is not read", shown(name),
                   other == std::end(kOtherTypes) ? std::to_string(number) : other->second);
    const int64_t row = dims.empty() ? 1 : dims.back();
    header.require(row % block_of(type->dtype) == 0, "the tensor \"{}\" has rows of {} values, not whole blocks of {}",
                   shown(name), row, name_of(type->dtype));
    offsets_.push_back(header.number(8));
    header.require(offsets_.back() % alignment_ == 0, "the tensor \"{}\" begins at {}, which is not aligned to {}",
                   shown(name), offsets_.back(), alignment_);
    header.require(names_.insert(name).second, "the tensor \"{}\" is there twice", shown(name));
    tensors_.push_back({name, type->dtype, Shape(dims)});
  }

  // The data begin at the next multiple of the alignment; every tensor must lie in the file, and none in another.
  void place(const Header& header) {
    const uint64_t size = file_->contents().size();
    const uint64_t begin = (header.at() + alignment_ - 1) / alignment_ * alignment_;
    std::vector<std::pair<uint64_t, uint64_t>> places;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const auto bytes = static_cast<uint64_t>(bytes_of(tensors_[i].dtype, tensors_[i].shape.numel()));
      header.require(begin <= size && offsets_[i] <= size - begin && bytes <= size - begin - offsets_[i],
                     "the tensor \"{}\" ends beyond the file; is the download complete?", shown(tensors_[i].name));
      places.emplace_back(offsets_[i], offsets_[i] + bytes);
      offsets_[i] += begin;
    }
    std::sort(places.begin(), places.end());
    for (size_t i = 1; i < places.size(); ++i)
      header.require(places[i - 1].second <= places[i].first, "two tensors lie in the same bytes, at {}",
                     places[i].first);
    restore_shapes(header);
  }

  // Programs that quantise UNets flatten tensors that make no whole blocks, and keep the shapes in the metadata.
  void restore_shapes(const Header& header) {
    for (TensorInfo& info : tensors_) {
      const auto kept = metadata_.find(kKeptShape + info.name);
      if (kept == metadata_.end()) continue;
      std::vector<int64_t> dims;
      int64_t count = 1;
      for (size_t begin = 0; begin < kept->second.size();) {
        const size_t end = std::min(kept->second.find(',', begin), kept->second.size());
        const int64_t dim = std::strtoll(kept->second.substr(begin, end - begin).c_str(), nullptr, 10);
        header.require(dim >= 1 && dim < int64_t{1} << 40 && !__builtin_mul_overflow(count, dim, &count),
                       "the kept shape of \"{}\" is broken", shown(info.name));
        dims.push_back(dim);
        begin = end + 1;
      }
      header.require(count == info.shape.numel() && dims.size() <= kMostDims,
                     "the kept shape of \"{}\" has {} values, not {}", shown(info.name), count, info.shape.numel());
      info.shape = Shape(dims);
      if (!is_quantized(info.dtype) || info.shape.numel() / info.shape[0] % block_of(info.dtype) == 0) continue;
      widened_.emplace(info.name, info.dtype);  // kernels take rows of whole blocks
      info.dtype = DType::kF32;
    }
  }

  std::map<std::string, DType, std::less<>> widened_;  // tensors whose rows are no whole blocks, and their types

  uint64_t alignment_ = kAlignment, kept_ = 0;
  std::set<std::string> keys_, names_;
};

// Writing

void add_number(std::string& out, uint64_t value, int width) {
  for (int i = 0; i < width; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}
void add_text(std::string& out, const std::string& text) {
  add_number(out, text.size(), 8);
  out += text;
}
uint64_t padded(uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

std::unique_ptr<Checkpoint> open_gguf(std::shared_ptr<MappedFile> file) {
  return std::make_unique<GgufFile>(std::move(file));
}

GgufWriter::GgufWriter(const std::filesystem::path& path, const std::vector<TensorInfo>& tensors,
                       const std::map<std::string, std::string>& metadata)
    : file_(path) {
  // The innermost dimension must make whole blocks: where it does not, as that of a 3x3 convolution, a quantised tensor
  // is stored flat.
  std::set<const TensorInfo*> flat;
  for (const TensorInfo& info : tensors) {
    if (is_quantized(info.dtype) && info.shape[-1] % block_of(info.dtype) != 0) flat.insert(&info);
  }
  std::string header;
  add_number(header, kMagic, 4);
  add_number(header, 3, 4);
  add_number(header, tensors.size(), 8);
  add_number(header, metadata.size() + flat.size(), 8);
  for (const auto& [key, value] : metadata) {
    add_text(header, key);
    add_number(header, kText, 4);
    add_text(header, value);
  }
  for (const TensorInfo* info : flat) {
    add_text(header, kKeptShape + info->name);
    add_number(header, kList, 4);
    add_number(header, kInt32, 4);
    add_number(header, static_cast<uint64_t>(info->shape.rank()), 8);
    for (const int64_t dim : info->shape.dims()) add_number(header, static_cast<uint64_t>(dim), 4);
  }
  uint64_t offset = 0;
  for (const TensorInfo& info : tensors) {
    const auto type =
        std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeRow& row) { return row.dtype == info.dtype; });
    SUMI_CHECK_KIND(kUsage, type != std::end(kTypes), "{}: GGUF has no type {}, which \"{}\" has", path.string(),
                    name_of(info.dtype), shown(info.name));
    SUMI_CHECK_KIND(kUsage, !info.name.empty() && info.name.size() <= kMostName,
                    "{}: GGUF holds names of 1 to {} bytes, and \"{}\" has {}", path.string(), kMostName,
                    shown(info.name), info.name.size());
    SUMI_CHECK_KIND(kUsage, info.shape.rank() <= static_cast<int>(kMostDims) && info.shape.numel() > 0,
                    "{}: GGUF holds 1 to {} dimensions and no empty tensors, and \"{}\" is {}", path.string(),
                    kMostDims, shown(info.name), info.shape.str());
    const bool is_flat = flat.contains(&info);
    std::vector<int64_t> dims = info.shape.dims();
    if (dims.empty()) dims = {1};
    if (is_flat) dims = {info.shape[0], info.shape.numel() / info.shape[0]};
    if (is_flat && dims[1] % block_of(info.dtype) != 0)
      dims = {info.shape.numel() / block_of(info.dtype), block_of(info.dtype)};
    add_text(header, info.name);
    add_number(header, dims.size(), 4);
    for (size_t i = dims.size(); i-- > 0;) add_number(header, static_cast<uint64_t>(dims[i]), 8);
    add_number(header, type->number, 4);
    add_number(header, offset, 8);
    offset += padded(static_cast<uint64_t>(bytes_of(info.dtype, info.shape.numel())));
  }
  header.resize(padded(header.size()));
  file_.write(header.data(), header.size());
}

void GgufWriter::write(const Tensor& tensor) {
  const Tensor here = tensor.to(Device::kCpu);
  const HostView<std::byte> bytes(here);
  file_.write(bytes.data(), static_cast<size_t>(bytes.size()));
  const std::string padding(padded(static_cast<uint64_t>(bytes.size())) - static_cast<uint64_t>(bytes.size()), '\0');
  file_.write(padding.data(), padding.size());
}

}  // namespace sumi::io
