// Thousands of damaged files, the same ones on every run: a reader returns or throws Error, and nothing else.
#include <gtest/gtest.h>

#include <random>

#include "io/pickle.h"
#include "io/safetensors.h"
#include "io/torch_ckpt.h"
#include "io/zip_reader.h"
#include "tests/support/rejected.h"
#include "tests/support/temp_folder.h"
#include "tests/support/torch_file.h"

namespace sumi::io {
namespace {

namespace pk = test::pickle;

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  // One to four changes of the kinds that break readers: bits, extreme bytes, numbers, cuts, repeats, moves.
  std::string operator()(std::string bytes) {
    for (size_t changes = 1 + below(4); changes > 0 && !bytes.empty(); --changes) change(bytes);
    return bytes;
  }
  size_t below(size_t bound) { return std::uniform_int_distribution<size_t>(0, bound - 1)(random_); }

 private:
  void change(std::string& bytes) {
    static constexpr char kExtremes[] = {'\0', '\1', '\x7f', '\x80', '\xff', '.', '(', '{', '"', '9'};
    const size_t at = below(bytes.size());
    switch (below(7)) {
      case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8))); break;
      case 1: bytes[at] = kExtremes[below(sizeof kExtremes)]; break;
      case 2: bytes[at] = static_cast<char>(below(256)); break;
      case 3: bytes.resize(at); break;
      case 4: bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(32))); break;
      case 5: bytes.erase(at, 1 + below(16)); break;
      default:
        for (size_t i = at, end = std::min(bytes.size(), at + (size_t{1} << below(4))); i < end; ++i) bytes[i] = '\xff';
    }
  }
  std::mt19937 random_;
};

int rounds() { return test::kSanitized ? 2000 : 6000; }

// Opens the bytes and reads every tensor; counts what was accepted.
template <class Open> int survive(const std::string& good, uint32_t seed, const Open& open) {
  Mutator mutate(seed);
  int accepted = 0;
  for (int round = 0; round < rounds(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    try {
      open(mutate(good));
      ++accepted;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }
  return accepted;
}

void read_all(const Checkpoint& checkpoint) {
  unsigned sum = 0;
  for (const TensorInfo& info : checkpoint.tensors()) {
    const Tensor tensor = checkpoint.tensor(info.name);
    ASSERT_EQ(tensor.shape(), info.shape);
    for (const std::byte byte : tensor.host<std::byte>()) sum += static_cast<unsigned>(byte);
  }
  volatile unsigned keep = sum;
  (void)keep;
}

std::string content(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string good_pickle() {
  return pk::whole(pk::dict(
      {{"state_dict", pk::dict({{"a", pk::tensor({.sizes = {2, 3}, .strides = {3, 1}})},
                                {"b", pk::tensor({.sizes = {3, 2}, .strides = {1, 3}})},
                                {"c", pk::global("torch._utils", "_rebuild_parameter") +
                                          pk::tensor({.sizes = {4}, .strides = {1}, .offset = 2}) + "\x88}\x87R"}})},
       {"more",
        "](K\x01M\x02\x01"
        "e"},
       {"memo", "Nq\x01h\x01\x86"}}));
}

TEST(Fuzz, Safetensors) {
  const test::TempFolder folder;
  const auto path = folder / "f.safetensors";
  write_safetensors(
      path, {{"a", Tensor::full({2, 3}, 1.0f)}, {"b", Tensor::zeros({5}, DType::kF16)}, {"c", Tensor::zeros({0, 2})}},
      {{"k", "v"}});
  const std::string good = content(path);
  const int accepted = survive(good, 1, [&](const std::string& bytes) {
    test::write_file(path, bytes);
    read_all(*open_checkpoint(path));
  });
  EXPECT_GT(accepted, 0);  // damage to values and names is not detected
  EXPECT_LT(accepted, rounds());
}

TEST(Fuzz, TorchFile) {
  const test::TempFolder folder;
  const auto path = folder / "f.ckpt";
  const std::string good = test::zip(test::torch_parts(good_pickle()));
  const int accepted = survive(good, 2, [&](const std::string& bytes) {
    test::write_file(path, bytes);
    read_all(*open_checkpoint(path));
  });
  EXPECT_LT(accepted, rounds());
}

// The same with a sound archive around a damaged pickle, so that more of it is reached.
TEST(Fuzz, PickleInASoundArchive) {
  const test::TempFolder folder;
  const auto path = folder / "f.ckpt";
  const int accepted = survive(good_pickle(), 3, [&](const std::string& bytes) {
    test::write_file(path, test::zip(test::torch_parts(bytes)));
    read_all(*open_torch_ckpt(path));
  });
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, rounds());
}

TEST(Fuzz, RandomOpcodes) {
  static constexpr unsigned char kOpcodes[] =
      "(.012BCGJKMNQRTUXabcdehjlqrstu}])"
      "\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95";
  std::mt19937 random(4);
  const auto below = [&](size_t bound) { return std::uniform_int_distribution<size_t>(0, bound - 1)(random); };
  for (int round = 0; round < 10 * rounds(); ++round) {
    std::string code = "\x80\x04";
    for (size_t i = below(60); i > 0; --i) {
      code += static_cast<char>(kOpcodes[below(sizeof kOpcodes - 1)]);
      if (below(3) == 0) code += static_cast<char>(below(4));
      if (below(12) == 0) code += pk::tensor({.sizes = {2}, .strides = {1}});
      if (below(12) == 0) code += pk::global("collections", "OrderedDict");
    }
    code += ".";
    try {
      const Pickle pickle = read_pickle({reinterpret_cast<const uint8_t*>(code.data()), code.size()}, "f");
      EXPECT_NE(pickle.root, nullptr);
    } catch (const Error&) {
    }
  }
}

TEST(Fuzz, ZipDirectory) {
  std::vector<test::ZipPart> parts = test::torch_parts(good_pickle());
  parts[1].local_extra = parts[1].central_extra =
      test::little_endian(1, 2) + test::little_endian(16, 2) + test::little_endian(24, 8) + test::little_endian(24, 8);
  parts[1].local_size = parts[1].central_size = 0xffffffffu;
  const std::string good = test::zip(parts, {.comment = "comment"});
  survive(good, 5, [&](const std::string& bytes) {
    const std::span<const uint8_t> span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    for (const ZipEntry& entry : read_zip_directory(span, "f")) {
      ASSERT_LE(entry.offset, bytes.size());
      ASSERT_LE(entry.size, bytes.size() - entry.offset);
    }
  });
}

}  // namespace
}  // namespace sumi::io
