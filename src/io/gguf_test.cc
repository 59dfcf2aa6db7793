// GGUF files made byte by byte, by the documented layout. The items are those of the list of bad inputs.
#include "io/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <random>

#include "core/quantized.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"
#include "tests/support/temp_folder.h"
#include "tests/support/torch_file.h"

namespace sumi::io {
namespace {

using test::little_endian;
using testing::HasSubstr;

// The values of quantised rows.
std::vector<float> wide(const Tensor& tensor) {
  const HostView<std::byte> bytes(tensor);
  const int64_t block = block_of(tensor.dtype()), size = bytes_of_block(tensor.dtype());
  std::vector<float> values(static_cast<size_t>(tensor.numel()));
  for (int64_t i = 0; i < tensor.numel() / block; ++i)
    dequantize_block(tensor.dtype(), &bytes[i * size], &values[static_cast<size_t>(i * block)]);
  return values;
}

// Any bytes do for a tensor that is only stored.
Tensor some(const Shape& shape, DType dtype) {
  Tensor tensor = Tensor::empty(shape, dtype);
  HostEdit<std::byte> bytes(tensor);
  for (int64_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37 % 251);
  return tensor;
}

std::string text_of(const std::string& text) { return little_endian(text.size(), 8) + text; }
std::string entry(const std::string& key, uint32_t type, const std::string& value) {
  return text_of(key) + little_endian(type, 4) + value;
}

struct Row {
  std::string name;
  std::vector<uint64_t> dims;  // innermost first, as they lie
  uint32_t type = 0;
  uint64_t offset = 0;
};
struct Made {
  uint32_t version = 3;
  std::vector<std::string> entries = {};
  std::vector<Row> rows = {{"w", {3, 2}}};
  std::string data = std::string(24, '\0');
  uint64_t alignment = 32;
  std::string magic = "GGUF";
  std::optional<uint64_t> tensors = {}, count = {};
};

std::string made(const Made& m) {
  std::string file = m.magic + little_endian(m.version, 4) + little_endian(m.tensors.value_or(m.rows.size()), 8) +
                     little_endian(m.count.value_or(m.entries.size()), 8);
  for (const std::string& one : m.entries) file += one;
  for (const Row& row : m.rows) {
    file += text_of(row.name) + little_endian(row.dims.size(), 4);
    for (const uint64_t dim : row.dims) file += little_endian(dim, 8);
    file += little_endian(row.type, 4) + little_endian(row.offset, 8);
  }
  while (file.size() % m.alignment != 0) file += '\0';
  return file + m.data;
}

class Gguf : public testing::Test {
 protected:
  std::unique_ptr<Checkpoint> open(const std::string& bytes) const {
    test::write_file(folder_ / "a.gguf", bytes);
    return open_checkpoint(folder_ / "a.gguf");
  }
  std::string error_of(const std::string& bytes) const {
    try {
      open(bytes);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
      const std::string sentence = error.what();
      EXPECT_EQ(sentence.find('\n'), std::string::npos);
      EXPECT_LT(sentence.size(), 500u);
      return sentence;
    }
    return {};
  }
  void refused(const Made& m, const std::string& part) const { EXPECT_THAT(error_of(made(m)), HasSubstr(part)); }

  test::TempFolder folder_;
};

std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

TEST_F(Gguf, ReadsWhatIsThere) {
  const auto file = open(
      made({.entries = {entry("general.name", 8, text_of("a model")), entry("a.count", 4, little_endian(7, 4)),
                        entry("a.less", 5, little_endian(0xFFFFFFFF, 4)), entry("a.yes", 7, "\1"),
                        entry("a.list", 9,
                              little_endian(5, 4) + little_endian(2, 8) + little_endian(3, 4) + little_endian(4, 4)),
                        entry("a.words", 9, little_endian(8, 4) + little_endian(2, 8) + text_of("x") + text_of("yz"))},
            .data = floats({0, 1, 2, 3, 4, 5})}));
  EXPECT_EQ(file->format(), "GGUF");
  const std::map<std::string, std::string> want{{"general.name", "a model"}, {"a.count", "7"},  {"a.less", "-1"},
                                                {"a.yes", "true"},           {"a.list", "3,4"}, {"a.words", "2 texts"}};
  EXPECT_EQ(file->metadata(), want);
  const Tensor w = file->tensor("w");
  EXPECT_EQ(w.shape(), (Shape{2, 3}));
  EXPECT_EQ(w.host<float>()[5], 5.0f);
  EXPECT_TRUE(open(made({.version = 2}))->has("w"));
}

TEST_F(Gguf, Items62To69Headers) {
  EXPECT_NE(error_of("GGUX" + made({}).substr(4)), "");
  for (const uint32_t version : {0u, 1u, 4u, 1000u}) refused({.version = version}, "version");
  refused({.version = 0x03000000}, "big-endian");
  refused({.tensors = UINT64_MAX}, "tensors");
  refused({.count = UINT64_MAX}, "metadata entries");
  refused({.entries = {little_endian(UINT64_MAX, 8) + "key"}}, "metadata key");
  refused({.entries = {entry("", 4, little_endian(1, 4))}}, "empty");
  refused({.entries = {entry("a", 13, "x")}}, "unknown type");
  refused({.entries = {entry("a", 9, little_endian(9, 4) + little_endian(1, 8))}}, "of the type 9");
  refused({.entries = {entry("a", 7, "\2")}}, "true or false");
}

TEST_F(Gguf, Items70To73MetadataThatLies) {
  refused({.entries = {entry("a", 8, little_endian(1 << 30, 8))}}, "bytes");
  refused({.entries = {entry("a", 9, little_endian(8, 4) + little_endian(1ULL << 60, 8))}}, "claims");
  refused({.entries = {entry("a", 9, little_endian(4, 4) + little_endian(1ULL << 62, 8))}}, "claims");
  refused({.entries = {entry("a", 4, "1234"), entry("a", 4, "1234")}}, "twice");
  for (const uint64_t alignment : {0u, 13u, 1u << 30})
    refused({.entries = {entry("general.alignment", 4, little_endian(alignment, 4))}}, "alignment");
  refused({.entries = {entry("general.alignment", 8, text_of("32"))}}, "alignment");
  refused({.entries = {entry("general.alignment", 10, little_endian(32, 8))}}, "alignment");
  EXPECT_TRUE(
      open(made({.entries = {entry("general.alignment", 4, little_endian(64, 4))}, .alignment = 64}))->has("w"));
}

TEST_F(Gguf, Items74To85Tensors) {
  refused({.rows = {{std::string(160, 'n'), {3}}}}, "name has 160 bytes");
  EXPECT_TRUE(open(made({.rows = {{std::string(159, 'n'), {3}}}}))->has(std::string(159, 'n')));
  refused({.rows = {{"", {3}}}}, "no name");
  refused({.rows = {{"w", {1, 1, 1, 1, 1}}}}, "5 dimensions");
  refused({.rows = {{"w", {UINT64_MAX}}}}, "dimension");
  refused({.rows = {{"w", {0, 3}}}}, "dimension of 0");
  refused({.rows = {{"w", {1ULL << 39, 1ULL << 39}}}}, "larger than any file");
  refused({.rows = {{"w", {1ULL << 38}}}}, "beyond the file");
  refused({.rows = {{"w", {3}, 0, UINT64_MAX - 31}}}, "beyond the file");
  refused({.rows = {{"w", {33}, 8}}}, "whole blocks of q8_0");
  refused({.rows = {{"w", {32}, 12}}}, "whole blocks of q4_k");
  refused({.rows = {{"w", {3}, 99}}}, "type 99");
  refused({.rows = {{"w", {256}, 10}}}, "q2_K, which is not read");
  refused({.rows = {{"w", {3}, 0, 8}}}, "aligned");
  refused({.data = std::string(23, '\0')}, "beyond the file");
  refused({.rows = {{"w", {3}}, {"w", {3}, 0, 32}}, .data = std::string(64, '\0')}, "twice");
  refused({.rows = {{"w", {16}}, {"v", {3}, 0, 32}}, .data = std::string(96, '\0')}, "same bytes");
  refused({.entries = {entry("comfy.gguf.orig_shape.w", 9,
                             little_endian(5, 4) + little_endian(2, 8) + little_endian(7, 4) + little_endian(1, 4))}},
          "kept shape");
  const std::string whole = made({});
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) EXPECT_NE(error_of(whole.substr(0, bytes)), "") << bytes;
}

// 10,000 files with a few bytes changed; SUMI_FUZZ_FILES makes it more. Each loads or is refused, and reads no byte
// beyond its end (which the sanitizers see).
TEST_F(Gguf, SurvivesChangedBytes) {
  const std::string whole =
      made({.entries = {entry("general.alignment", 4, little_endian(32, 4)), entry("a", 8, text_of("text")),
                        entry("l", 9, little_endian(5, 4) + little_endian(2, 8) + std::string(8, '\1'))},
            .rows = {{"w", {32, 2}, 8}, {"v", {256}, 14, 96}},
            .data = std::string(96 + 210, '\1')});
  const char* asked = std::getenv("SUMI_FUZZ_FILES");
  const int64_t files = asked == nullptr ? 10'000 : std::strtoll(asked, nullptr, 10);
  std::mt19937 random(7);
  int64_t loaded = 0;
  for (int64_t i = 0; i < files; ++i) {
    std::string bytes = whole;
    for (uint32_t flips = 1 + random() % 4; flips > 0; --flips) {
      const size_t at = random() % bytes.size();
      bytes[at] = random() % 2 == 0 ? static_cast<char>(random()) : static_cast<char>(bytes[at] ^ 1 << random() % 8);
    }
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    test::write_file(folder_ / "f.gguf", bytes);
    try {
      const auto file = open_checkpoint(folder_ / "f.gguf");
      for (const TensorInfo& info : file->tensors()) {
        const Tensor tensor = file->tensor(info.name);
        if (is_quantized(tensor.dtype()) && tensor.numel() < 1 << 16) wide(tensor);
      }
      ++loaded;
    } catch (const Error& error) {
      EXPECT_TRUE(error.kind() == ErrorKind::kData) << error.what();
    }
  }
  EXPECT_GT(loaded, files / 20);
  EXPECT_LT(loaded, files);
}

// A shape that the metadata restores may have rows that are no whole blocks: the tensor is widened.
TEST_F(Gguf, RowsThatAreNoWholeBlocksAreWidened) {
  const auto kept = [](const std::vector<uint32_t>& dims) {
    std::string list = little_endian(5, 4) + little_endian(dims.size(), 8);
    for (const uint32_t dim : dims) list += little_endian(dim, 4);
    return entry("comfy.gguf.orig_shape.w", 9, list);
  };
  std::string data;
  for (int i = 0; i < 9 * 34; ++i) data += static_cast<char>(i % 34 == 1 ? 0x3C : i % 34 == 0 ? 0 : i % 100);
  const auto file = open(made({.entries = {kept({8, 4, 3, 3})}, .rows = {{"w", {32, 9}, 8}}, .data = data}));
  EXPECT_EQ(file->find("w")->dtype, DType::kF32);
  EXPECT_TRUE(file->is_copied("w"));
  const Tensor value = file->tensor("w");
  EXPECT_EQ(value.shape(), (Shape{8, 4, 3, 3}));
  const HostView<float> values(value);  // the scale of every block is 1
  for (int i = 0; i < 9 * 32; ++i) EXPECT_EQ(values[i], static_cast<float>((i / 32 * 34 + 2 + i % 32) % 100)) << i;
  // Whole blocks a row stay as they lie.
  const auto whole = open(made({.entries = {kept({1, 32, 3, 3})}, .rows = {{"w", {32, 9}, 8}}, .data = data}));
  EXPECT_EQ(whole->tensor("w").dtype(), DType::kQ8);
  EXPECT_EQ(whole->tensor("w").shape(), (Shape{1, 32, 3, 3}));
}

// The writer's files by the layout above, and read back.
TEST_F(Gguf, WritesWhatIsReadBack) {
  const std::vector<std::pair<std::string, Tensor>> tensors{
      {"a.weight", test::random({4, 32})},
      {"half", some({2, 3, 5}, DType::kF16)},
      {"q8", some({4, 64}, DType::kQ8)},
      {"conv", some({8, 32, 3, 3}, DType::kQ4)},
      {"ids", Tensor::from(std::vector<int64_t>{1, 2, 3}, {1, 3})},
      {"one", Tensor::full({}, 3.0f)}};
  std::vector<TensorInfo> infos;
  for (const auto& [name, tensor] : tensors) infos.push_back({name, tensor.dtype(), tensor.shape()});
  GgufWriter writer(folder_ / "w.gguf", infos, {{"sumi.config", "model: {}"}});
  for (const auto& [name, tensor] : tensors) writer.write(tensor);
  writer.commit();
  const auto file = open_checkpoint(folder_ / "w.gguf");
  EXPECT_EQ(file->metadata().at("sumi.config"), "model: {}");
  for (const auto& [name, tensor] : tensors) {
    const Tensor read = file->tensor(name);
    EXPECT_EQ(read.dtype(), tensor.dtype()) << name;
    EXPECT_EQ(read.shape(), name == "one" ? Shape{1} : tensor.shape()) << name;
    const HostView<std::byte> got(read), want(tensor);
    EXPECT_TRUE(std::equal(got.begin(), got.end(), want.begin(), want.end())) << name;
  }
  // The bytes of the first tensor's directory entry: innermost dimension first, type 0, offset 0.
  std::ifstream stream(folder_ / "w.gguf", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(stream)), {});
  EXPECT_EQ(bytes.substr(0, 24), "GGUF" + little_endian(3, 4) + little_endian(6, 8) + little_endian(2, 8));
  EXPECT_NE(bytes.find(text_of("a.weight") + little_endian(2, 4) + little_endian(32, 8) + little_endian(4, 8) +
                       little_endian(0, 4) + little_endian(0, 8)),
            std::string::npos);
  // A 3x3 convolution in blocks lies flat, and its shape beside it.
  EXPECT_NE(bytes.find(text_of("conv") + little_endian(2, 4) + little_endian(288, 8) + little_endian(8, 8) +
                       little_endian(2, 4)),
            std::string::npos);
  EXPECT_THROW(GgufWriter(folder_ / "x.gguf", {{"b", DType::kBool, Shape{2}}}), Error);
  EXPECT_THROW(GgufWriter(folder_ / "x.gguf", {{"b", DType::kF32, Shape{1, 1, 1, 1, 1}}}), Error);
  EXPECT_THROW(GgufWriter(folder_ / "x.gguf", {{std::string(160, 'b'), DType::kF32, Shape{2}}}), Error);
}

// Blocks whose values follow from the documented layout, written here in another way: bit by bit.
struct BlockCase {
  DType dtype;
  uint32_t number;
  size_t values, bytes;  // of a block
  std::function<double(const uint8_t* block, int i)> value;
};

double half(const uint8_t* at) { return to_float(Half{static_cast<uint16_t>(at[0] | at[1] << 8)}); }
int nibble32(const uint8_t* at, int i) { return i < 16 ? at[i] & 15 : at[i - 16] >> 4; }
int bit_at(const uint8_t* at, int i) { return at[i / 8] >> (i % 8) & 1; }
// Number `part` of the eight scales (or minima, from `begin` 4 on) of six bits.
int six_bits(const uint8_t* packed, int part, int begin) {
  if (part < 4) return packed[begin + part] & 63;
  const int low = begin == 0 ? packed[4 + part] & 15 : packed[4 + part] >> 4;
  return low + 16 * (packed[begin + part - 4] >> 6);
}

const std::vector<BlockCase>& block_cases() {
  static const std::vector<BlockCase> cases{
      {DType::kQ8, 8, 32, 34, [](const uint8_t* b, int i) { return half(b) * static_cast<int8_t>(b[2 + i]); }},
      {DType::kQ4, 2, 32, 18, [](const uint8_t* b, int i) { return half(b) * (nibble32(b + 2, i) - 8); }},
      {DType::kQ4_1, 3, 32, 20, [](const uint8_t* b, int i) { return half(b) * nibble32(b + 4, i) + half(b + 2); }},
      {DType::kQ5_0, 6, 32, 22,
       [](const uint8_t* b, int i) { return half(b) * (nibble32(b + 6, i) + 16 * bit_at(b + 2, i) - 16); }},
      {DType::kQ5_1, 7, 32, 24,
       [](const uint8_t* b, int i) { return half(b) * (nibble32(b + 8, i) + 16 * bit_at(b + 4, i)) + half(b + 2); }},
      {DType::kQ4K, 12, 256, 144,
       [](const uint8_t* b, int i) {
         const int part = i / 32,
                   q = part % 2 == 0 ? b[16 + part / 2 * 32 + i % 32] & 15 : b[16 + part / 2 * 32 + i % 32] >> 4;
         return half(b) * six_bits(b + 4, part, 0) * q - half(b + 2) * six_bits(b + 4, part, 4);
       }},
      {DType::kQ5K, 13, 256, 176,
       [](const uint8_t* b, int i) {
         const int part = i / 32,
                   q = part % 2 == 0 ? b[48 + part / 2 * 32 + i % 32] & 15 : b[48 + part / 2 * 32 + i % 32] >> 4;
         return half(b) * six_bits(b + 4, part, 0) * (q + 16 * (b[16 + i % 32] >> part & 1)) -
                half(b + 2) * six_bits(b + 4, part, 4);
       }},
      {DType::kQ6K, 14, 256, 210, [](const uint8_t* b, int i) {
         const int half_of = i / 128, at = i % 128, group = at / 32, place = at % 32;
         const uint8_t low = b[half_of * 64 + (group % 2) * 32 + place];
         const int four = group < 2 ? low & 15 : low >> 4, two = b[128 + half_of * 32 + place] >> (2 * group) & 3;
         return half(b + 208) * static_cast<int8_t>(b[192 + i / 16]) * (four + 16 * two - 32);
       }}};
  return cases;
}

TEST_F(Gguf, BlocksHaveTheDocumentedValues) {
  std::mt19937 random(3);
  for (const BlockCase& c : block_cases()) {
    const size_t values = c.values, bytes = c.bytes;
    EXPECT_EQ(block_of(c.dtype), static_cast<int64_t>(values)) << name_of(c.dtype);
    EXPECT_EQ(bytes_of_block(c.dtype), static_cast<int64_t>(bytes)) << name_of(c.dtype);
    std::string data;
    constexpr size_t kBlocks = 4;
    for (size_t i = 0; i < kBlocks * bytes; ++i) data += static_cast<char>(random());
    // Scales that are finite: the f16s of each block.
    for (size_t b = 0; b < kBlocks; ++b) {
      const size_t at = b * bytes + (c.dtype == DType::kQ6K ? 208 : 0);
      for (const size_t field : {at, at + 2}) {
        if (field + 1 < data.size() && (c.dtype != DType::kQ6K || field == at))
          data[field + 1] = static_cast<char>(0x30 + random() % 8);
      }
    }
    const auto file = open(made({.rows = {{"w", {values * 2, 2}, c.number}}, .data = data}));
    const Tensor raw = file->tensor("w");
    EXPECT_EQ(raw.dtype(), c.dtype);
    const std::vector<float> values_read = wide(raw);
    for (size_t i = 0; i < kBlocks * values; ++i) {
      const auto* block = reinterpret_cast<const uint8_t*>(data.data()) + i / values * bytes;
      const double want = c.value(block, static_cast<int>(i % values));
      EXPECT_NEAR(values_read[i], want, 1e-5 * std::abs(want) + 1e-6) << name_of(c.dtype) << " " << i;
    }
  }
}

}  // namespace
}  // namespace sumi::io
