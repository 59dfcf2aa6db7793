// Bad-input items 1 to 32 (33 is in mapped_file_test.cc), and files that load.
#include "io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "tests/support/rejected.h"
#include "tests/support/relative_l2.h"
#include "tests/support/temp_folder.h"

namespace sumi::io {
namespace {

using testing::HasSubstr;

std::string length_of(uint64_t n) {
  std::string bytes(8, '\0');
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(n >> (8 * i));
  return bytes;
}

std::string safetensors(const std::string& header, size_t data) {
  return length_of(header.size()) + header + std::string(data, '\0');
}

// One tensor "w" with the given fields.
std::string one(const std::string& fields, size_t data) { return safetensors("{\"w\":{" + fields + "}}", data); }

std::string entry(const std::string& shape, const std::string& offsets, const std::string& dtype = "F32") {
  return R"("dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets;
}

class Safetensors : public testing::Test {
 protected:
  // The error message for the bytes; both ways of opening the file must refuse it.
  std::string error_of(const std::string& bytes) {
    test::write_file(file_, bytes);
    test::rejection(file_, [&] { open_checkpoint(file_); });
    return test::rejection(file_, [&] { open_safetensors(file_); });
  }
  std::unique_ptr<Checkpoint> load(const std::string& bytes) {
    test::write_file(file_, bytes);
    return open_safetensors(file_);
  }
  test::TempFolder folder_;
  std::filesystem::path file_ = folder_ / "broken.safetensors";
};

TEST_F(Safetensors, Item1Empty) { EXPECT_THAT(error_of(""), HasSubstr("empty")); }

TEST_F(Safetensors, Item2SevenBytes) { EXPECT_THAT(error_of(std::string(7, '\1')), HasSubstr("7 bytes")); }

TEST_F(Safetensors, Item3NoHeader) { EXPECT_THAT(error_of(length_of(0) + "{}"), HasSubstr("header")); }

TEST_F(Safetensors, Item4HeaderBeyondTheFile) {
  EXPECT_THAT(error_of(length_of(1000) + "{}"), HasSubstr("1000"));
  EXPECT_THAT(error_of(length_of(3) + "{}"), HasSubstr("header"));
  EXPECT_THAT(error_of(length_of(1)), HasSubstr("header"));
}

TEST_F(Safetensors, Item5HeaderOfAllOnes) {
  EXPECT_THAT(error_of(length_of(UINT64_MAX) + "{}"), HasSubstr("18446744073709551615"));
}

TEST_F(Safetensors, Item6HeaderOverTheCap) {
  // Sparse: as long as it says, so that nothing but the cap is broken.
  test::write_file(file_, length_of(100'000'001) + "{");
  std::filesystem::resize_file(file_, 8 + 100'000'001);
  EXPECT_THAT(test::rejection(file_, [&] { open_safetensors(file_); }), HasSubstr("100000001"));
}

TEST_F(Safetensors, Item7NotUtf8) {
  EXPECT_THAT(error_of(safetensors("{\"\xff\":{" + entry("[1]", "[0,4]") + "}}", 4)), HasSubstr("not JSON"));
  EXPECT_THAT(error_of(safetensors("{\"\xed\xa0\x80\":{" + entry("[1]", "[0,4]") + "}}", 4)), HasSubstr("not JSON"));
}

TEST_F(Safetensors, Item8TruncatedJson) {
  const std::string whole = "{\"w\":{" + entry("[1]", "[0,4]") + "}}";
  for (size_t length = 1; length < whole.size(); ++length) {
    EXPECT_THAT(error_of(safetensors(whole.substr(0, length), 4)), HasSubstr("header")) << length;
  }
}

TEST_F(Safetensors, Item9TopLevelIsNoObject) {
  for (const char* header : {"[]", "1", "\"a\"", "null", "true", "1.5", "-1"})
    EXPECT_THAT(error_of(safetensors(header, 0)), HasSubstr("object"));
}

TEST_F(Safetensors, Item10Nesting) {
  EXPECT_NE(error_of(safetensors("{\"w\":" + std::string(100'000, '['), 0)), "");
  std::string objects = "{\"w\":";
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_NE(error_of(safetensors(objects, 0)), "");
  EXPECT_NE(error_of(safetensors("{\"__metadata__\":" + objects, 0)), "");
  EXPECT_NE(error_of(one(entry(std::string(100'000, '['), "[0,4]"), 4)), "");
}

TEST_F(Safetensors, Item11DuplicateTensor) {
  const std::string w = "\"w\":{" + entry("[1]", "[0,4]") + "}";
  EXPECT_THAT(error_of(safetensors("{" + w + "," + w + "}", 4)), HasSubstr("twice"));
  // The same name, spelled with an escape.
  EXPECT_THAT(error_of(safetensors("{" + w + ",\"\\u0077\":{" + entry("[1]", "[4,8]") + "}}", 8)), HasSubstr("twice"));
  EXPECT_THAT(error_of(one(entry("[1]", "[0,4]") + ",\"shape\":[1]", 4)), HasSubstr("twice"));
}

TEST_F(Safetensors, Item12DuplicateMetadata) {
  EXPECT_THAT(error_of(safetensors(R"({"__metadata__":{},"__metadata__":{}})", 0)), HasSubstr("twice"));
  EXPECT_THAT(error_of(safetensors(R"({"__metadata__":{"a":"1","a":"2"}})", 0)), HasSubstr("twice"));
}

TEST_F(Safetensors, Item13MetadataThatIsNoString) {
  for (const char* value : {"1", "null", "true", "[]", "{}", "1.5"}) {
    EXPECT_THAT(error_of(safetensors(std::string(R"({"__metadata__":{"a":)") + value + "}}", 0)), HasSubstr("metadata"))
        << value;
  }
  for (const char* value : {"1", "null", "\"a\"", "[]"}) {
    EXPECT_THAT(error_of(safetensors(std::string(R"({"__metadata__":)") + value + "}", 0)), HasSubstr("metadata"))
        << value;
  }
}

TEST_F(Safetensors, Item14UnknownType) {
  EXPECT_THAT(error_of(one(entry("[1]", "[0,4]", "F33"), 4)), HasSubstr("F33"));
  EXPECT_THAT(error_of(one(entry("[1]", "[0,4]", "f32"), 4)), HasSubstr("f32"));
  EXPECT_THAT(error_of(one(R"("dtype":3,"shape":[1],"data_offsets":[0,4])", 4)), HasSubstr("\"w\""));
}

TEST_F(Safetensors, Item15MissingField) {
  EXPECT_THAT(error_of(one(R"("dtype":"F32","data_offsets":[0,4])", 4)), HasSubstr("no shape"));
  EXPECT_THAT(error_of(one(R"("shape":[1],"data_offsets":[0,4])", 4)), HasSubstr("no dtype"));
  EXPECT_THAT(error_of(one(R"("dtype":"F32","shape":[1])", 4)), HasSubstr("no data_offsets"));
  EXPECT_THAT(error_of(one("", 0)), HasSubstr("no "));
  for (const char* offsets : {"[]", "[0]", "[0,4,8]", "0", "null"})
    EXPECT_THAT(error_of(one(entry("[1]", offsets), 4)), HasSubstr("\"w\""));
}

TEST_F(Safetensors, Item16NegativeDimension) { EXPECT_THAT(error_of(one(entry("[-1]", "[0,4]"), 4)), HasSubstr("-1")); }

TEST_F(Safetensors, Item17FractionalDimension) {
  EXPECT_THAT(error_of(one(entry("[1.5]", "[0,4]"), 4)), HasSubstr("1.5"));
  EXPECT_THAT(error_of(one(entry("[1.0]", "[0,4]"), 4)), HasSubstr("1.0"));
  EXPECT_THAT(error_of(one(entry("[1e0]", "[0,4]"), 4)), HasSubstr("1e0"));
  EXPECT_THAT(error_of(one(entry("[1]", "[0.0,4]"), 4)), HasSubstr("0.0"));
  EXPECT_THAT(error_of(one(entry("[1]", "[0,-4]"), 4)), HasSubstr("-4"));
}

TEST_F(Safetensors, Item18EnormousDimension) {
  EXPECT_THAT(error_of(one(entry("[18446744073709551614]", "[0,4]"), 4)), HasSubstr("18446744073709551614"));
  EXPECT_NE(error_of(one(entry("[18446744073709551617]", "[0,4]"), 4)), "");
  EXPECT_NE(error_of(one(entry("[9223372036854775807]", "[0,4]"), 4)), "");
}

TEST_F(Safetensors, Item19ProductOverflow) {
  EXPECT_THAT(error_of(one(entry("[4294967296,4294967296]", "[0,4]"), 4)), HasSubstr("larger than any file"));
  EXPECT_THAT(error_of(one(entry("[4611686018427387904]", "[0,0]"), 0)),
              HasSubstr("larger than any file"));  // times 4 is 2^64
  EXPECT_THAT(error_of(one(entry("[3037000500,3037000500]", "[0,4]", "U8"), 4)), HasSubstr("larger than any file"));
}

// No element, but other sizes whose product overflows: refused, or readable without overflowing.
TEST_F(Safetensors, Item19OverflowBesideAZero) {
  for (const char* shape :
       {"[4611686018427387904,4611686018427387904,0]", "[0,4611686018427387904,4611686018427387904]"}) {
    try {
      const auto file = load(one(entry(shape, "[0,0]"), 0));
      EXPECT_EQ(file->find("w")->shape.numel(), 0);
      EXPECT_EQ(file->tensor("w").numel(), 0);
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("\"w\""));
    }
  }
}

TEST_F(Safetensors, Item20EndBeforeBegin) {
  EXPECT_THAT(error_of(one(entry("[1]", "[4,0]"), 4)), HasSubstr("before it begins"));
}

std::string two(const std::string& first, const std::string& second, size_t data) {
  return safetensors("{\"a\":{" + entry("[1]", first) + "},\"b\":{" + entry("[1]", second) + "}}", data);
}

TEST_F(Safetensors, Item21Overlap) {
  EXPECT_THAT(error_of(two("[0,4]", "[0,4]", 4)), HasSubstr("overlaps"));
  EXPECT_THAT(error_of(two("[0,4]", "[2,6]", 6)), HasSubstr("overlaps"));
}

TEST_F(Safetensors, Item22Hole) { EXPECT_THAT(error_of(two("[0,4]", "[8,12]", 12)), HasSubstr("hole")); }

TEST_F(Safetensors, Item23FirstOffsetIsNotZero) {
  EXPECT_THAT(error_of(one(entry("[1]", "[4,8]"), 8)), HasSubstr("hole"));
}

TEST_F(Safetensors, Item24SizeMismatch) {
  EXPECT_THAT(error_of(one(entry("[2]", "[0,4]"), 4)), HasSubstr("needs 8 bytes and has 4"));
  EXPECT_THAT(error_of(one(entry("[1]", "[0,4]", "F16"), 4)), HasSubstr("needs 2 bytes and has 4"));
  EXPECT_THAT(error_of(one(entry("[0]", "[0,4]"), 4)), HasSubstr("needs 0 bytes and has 4"));
}

TEST_F(Safetensors, Item25TrailingBytes) {
  EXPECT_THAT(error_of(one(entry("[1]", "[0,4]"), 5)), HasSubstr("1 bytes follow"));
  EXPECT_THAT(error_of(safetensors("{}", 3)), HasSubstr("3 bytes follow"));
  EXPECT_THAT(error_of(safetensors("{}x", 0)), HasSubstr("not JSON"));
}

TEST_F(Safetensors, Item26TwoBytesShort) {
  EXPECT_THAT(error_of(one(entry("[1]", "[0,4]"), 2)), HasSubstr("of 2 bytes"));
  EXPECT_THAT(error_of(one(entry("[1]", "[18446744073709551612,18446744073709551615]"), 4)), HasSubstr("ends at"));
}

TEST_F(Safetensors, Item27AMillionTensorsOfNoSize) {
  std::string header = "{";
  for (int i = 0; i < 1'000'000; ++i) {
    header += (i == 0 ? "\"" : ",\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  }
  EXPECT_THAT(error_of(safetensors(header + "}", 0)), HasSubstr("more than 200000 tensors"));
}

TEST_F(Safetensors, Item28Rank300) {
  std::string shape = "[1";
  for (int i = 1; i < 300; ++i) shape += ",1";
  EXPECT_THAT(error_of(one(entry(shape + "]", "[0,4]"), 4)), HasSubstr("more than 8 dimensions"));
}

TEST_F(Safetensors, Item29TypesBelowAByte) {
  for (const char* dtype : {"F4", "F6_E2M3", "F6_E3M2"})
    EXPECT_THAT(error_of(one(entry("[3]", "[0,2]", dtype), 2)), HasSubstr(dtype));
}

TEST_F(Safetensors, Item30NotAModel) {
  EXPECT_THAT(error_of("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4265380512\n"),
              HasSubstr("this is not a model"));
  for (const char* page : {"<!DOCTYPE html><html></html>", "<!doctype html>", "<html><body>404</body></html>"}) {
    EXPECT_THAT(error_of(page), HasSubstr("this is not a model"));
  }
}

TEST_F(Safetensors, ControlCharactersOfAFileStayOutOfTheMessage) {
  const std::string message = error_of(safetensors("{\"a\\u001b[2J\\nb\":{" + entry("[1]", "[0,8]") + "}}", 8));
  EXPECT_THAT(message, testing::Not(HasSubstr("\x1b")));
}

TEST_F(Safetensors, FieldsThatTheFormatDoesNotKnow) {
  EXPECT_THAT(error_of(one(entry("[1]", "[0,4]") + ",\"x\":1", 4)), HasSubstr("\"x\""));
}

TEST_F(Safetensors, Item32PaddedHeaderLoads) {
  const auto file = load(safetensors("{\"w\":{" + entry("[1]", "[0,4]") + "}}   \n\t  ", 4));
  ASSERT_EQ(file->tensors().size(), 1u);
  EXPECT_EQ(file->tensor("w").host<float>()[0], 0.0f);
}

TEST_F(Safetensors, AlignmentDecidesBetweenViewAndCopy) {
  const std::string head = "{\"w\":{" + entry("[1]", "[0,4]") + "}}";
  for (size_t pad = 0; pad < 4; ++pad) {
    std::string bytes = safetensors(head + std::string(pad, ' '), 4);
    const float value = 1.5f;
    std::memcpy(bytes.data() + bytes.size() - 4, &value, 4);
    EXPECT_EQ(load(bytes)->tensor("w").host<float>()[0], 1.5f) << pad;
  }
}

TEST_F(Safetensors, EveryTypeThereAndBack) {
  const DType types[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kF64,    DType::kI64,
                         DType::kI32, DType::kI16, DType::kI8,   DType::kU64,    DType::kU32,
                         DType::kU16, DType::kU8,  DType::kBool, DType::kF8E4M3, DType::kF8E5M2};
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const DType type : types) {
    Tensor tensor = Tensor::empty({3, 5}, type);
    const HostEdit<std::byte> bytes(tensor);
    for (int64_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37 + static_cast<int>(type));
    tensors.emplace_back("t." + std::string(name_of(type)), tensor);
  }
  tensors.emplace_back("nothing", Tensor::empty({0, 4}));
  tensors.emplace_back("scalar", Tensor::full({}, 3.0f));
  write_safetensors(folder_ / "all.safetensors", tensors, {{"who", "\"sumi\"\n"}});
  const auto file = open_checkpoint(folder_ / "all.safetensors");
  EXPECT_EQ(file->format(), "safetensors");
  EXPECT_EQ(file->metadata().at("who"), "\"sumi\"\n");
  ASSERT_EQ(file->tensors().size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, want] = tensors[i];
    EXPECT_EQ(file->tensors()[i].name, name);  // in the order written
    const Tensor got = file->tensor(name);
    EXPECT_EQ(got.dtype(), want.dtype());
    EXPECT_EQ(got.shape(), want.shape());
    EXPECT_TRUE(test::same_bytes(want, got)) << name;
  }
  EXPECT_EQ(file->find("absent"), nullptr);
  EXPECT_THROW(file->tensor("absent"), Error);
  EXPECT_EQ(test::files_beside(folder_ / "x").size(), 1u);  // no temporary is left
}

TEST_F(Safetensors, TensorsOutliveTheCheckpoint) {
  write_safetensors(file_, {{"w", Tensor::full({1000}, 2.0f)}});
  const Tensor tensor = open_safetensors(file_)->tensor("w");
  EXPECT_EQ(tensor.host<float>()[999], 2.0f);
}

TEST_F(Safetensors, WriterRefusesNamesThatItCouldNotReadBack) {
  const Tensor t = Tensor::full({1}, 1.0f);
  EXPECT_THROW(write_safetensors(file_, {{"w", t}, {"w", t}}), Error);
  EXPECT_THROW(write_safetensors(file_, {{"__metadata__", t}}), Error);
  EXPECT_THROW(write_safetensors(file_, {{"\xff", t}}), Error);
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(Safetensors, WriterLeavesTheOldFileWhereTheNewCannotBe) {
  EXPECT_THROW(write_safetensors(folder_ / "absent/x.safetensors", {{"w", Tensor::full({1}, 1.0f)}}), Error);
  std::filesystem::create_directory(folder_ / "taken");
  EXPECT_THROW(write_safetensors(folder_ / "taken", {{"w", Tensor::full({1}, 1.0f)}}), Error);
}

TEST_F(Safetensors, CannotHoldQuantisedTensors) {
  EXPECT_THROW(write_safetensors(folder_ / "q.safetensors", {{"w", Tensor::empty({2, 32}, DType::kQ8)}}), Error);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "q.safetensors"));
}

}  // namespace
}  // namespace sumi::io
