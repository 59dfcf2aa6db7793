// Torch checkpoints that load.
#include <cstring>
#include <numeric>

#include "io/safetensors.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_models.h"
#include "tests/support/torch_ckpt_fixture.h"

namespace sumi::io {
namespace {

template <class T> std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

const std::vector<float> kValues{0, 1, 2, 3, 4, 5};

std::vector<float> floats(const Tensor& tensor) {
  const HostView<float> values(tensor);
  return {values.begin(), values.end()};
}

TEST_F(TorchCkpt, NestedAndFlat) {
  const std::string tensors = pk::dict({{"w", pk::tensor(kSix)}});
  for (const char* key : {"", "state_dict", "model", "module"}) {
    const std::string code =
        *key ? pk::dict({{"global_step", pk::integer(470000)}, {key, tensors}, {"x", "N"}}) : tensors;
    const auto file = load(torch_parts(pk::whole(code), {{"0", bytes_of(kValues)}}));
    ASSERT_EQ(file->tensors().size(), 1u) << key;
    EXPECT_EQ(floats(file->tensor("w")), kValues);
    EXPECT_EQ(file->format(), "torch checkpoint");
  }
}

// torch.save's format of before 2020: the same pickles, then each storage with its number of values.
std::string legacy_file(const std::string& object, const std::vector<std::pair<std::string, std::string>>& storages,
                        size_t width = 4) {
  const std::string magic =
      "\x80\x02\x8a\x0al\xfc\x9c"
      "F\xf9 j\xa8P\x19.";
  std::string keys = "](", bytes;
  for (const auto& [key, data] : storages) {
    keys += pk::text(key);
    bytes += test::little_endian(data.size() / width, 8) + data;
  }
  const std::string machine = pk::dict({{"protocol_version", pk::integer(1001)}, {"little_endian", "\x88"}});
  return magic + pk::whole(pk::integer(1001)) + pk::whole(machine) + pk::whole(object) + pk::whole(keys + "e") + bytes;
}

TEST_F(TorchCkpt, TheFormatOfBefore2020) {
  const std::string code =
      pk::dict({{"w", pk::tensor(kSix)}, {"tail", pk::tensor({.sizes = {2}, .strides = {1}, .offset = 4})}});
  test::write_file(file_, legacy_file(code, {{"0", bytes_of(kValues)}}));
  const auto file = open_checkpoint(file_);
  EXPECT_EQ(file->format(), "torch checkpoint");
  EXPECT_EQ(floats(file->tensor("w")), kValues);
  EXPECT_EQ(floats(file->tensor("tail")), (std::vector<float>{4, 5}));
  // Its storages begin anywhere, so that tensors are copied, and known to be.
  int copied = 0;
  for (size_t more = 0; more < 4; ++more) {
    const std::string longer(more, 'x');
    const std::string odd = pk::dict({{"w" + longer, pk::tensor(kSix)}});
    test::write_file(file_, legacy_file(odd, {{"0", bytes_of(kValues)}}));
    const auto other = open_checkpoint(file_);
    EXPECT_EQ(floats(other->tensor("w" + longer)), kValues);
    copied += other->is_copied("w" + longer) ? 1 : 0;
  }
  EXPECT_EQ(copied, 3);
  // Cut anywhere it is refused.
  const std::string whole = legacy_file(code, {{"0", bytes_of(kValues)}});
  for (size_t bytes = 1; bytes < whole.size(); bytes += 7) {
    test::write_file(file_, whole.substr(0, bytes));
    EXPECT_THROW(open_checkpoint(file_), Error) << bytes;
  }
  for (const auto& wrong : {legacy_file(code, {}), legacy_file(code, {{"0", bytes_of(std::vector<float>{1})}}),
                            legacy_file(code, {{"0", bytes_of(kValues)}, {"1", bytes_of(kValues)}}),
                            legacy_file(code, {{"0", bytes_of(kValues)}, {"0", bytes_of(kValues)}})}) {
    test::write_file(file_, wrong);
    EXPECT_THROW(open_checkpoint(file_), Error);
  }
}

// Textual inversion of A1111 and of the original: the tensors lie one level down, once in a ParameterDict.
TEST_F(TorchCkpt, DictionariesOneLevelDown) {
  const std::string tensors = pk::dict({{"*", pk::tensor(kSix)}});
  const std::string parameters = pk::global("torch.nn.modules.container", "ParameterDict") + ")\x81" +
                                 pk::dict({{"training", "\x88"}, {"_parameters", tensors}}) + "b";
  for (const std::string& inner : {tensors, parameters}) {
    const auto file = load(torch_parts(pk::whole(pk::dict({{"string_to_token", pk::dict({{"*", pk::integer(265)}})},
                                                           {"string_to_param", inner},
                                                           {"name", pk::text("cat")}})),
                                       {{"0", bytes_of(kValues)}}));
    ASSERT_EQ(file->tensors().size(), 1u);
    EXPECT_EQ(floats(file->tensor("string_to_param.*")), kValues);
    EXPECT_EQ(file->metadata().at("name"), "cat");
  }
}

// Names that are not known are data; only where a tensor would be made by one is the file refused.
TEST_F(TorchCkpt, UnknownNamesAreInert) {
  const std::string object = pk::global("argparse", "Namespace") + ")\x81" + pk::dict({{"lr", pk::integer(1)}}) + "b";
  const std::string path = pk::global("pathlib", "PosixPath") + pk::text("/tmp") + "\x85R";
  const std::string partial = pk::global("functools", "partial") + pk::global("mine.losses", "Loss") + "\x85R";
  const auto file = load(torch_parts(pk::whole(pk::dict({{"hyper_parameters", object},
                                                         {"path", path},
                                                         {"callbacks", partial},
                                                         {"state_dict", pk::dict({{"w", pk::tensor(kSix)}})}})),
                                     {{"0", bytes_of(kValues)}}));
  EXPECT_EQ(floats(file->tensor("w")), kValues);
  const std::string made = pk::global("mine.tensors", "rebuild") + "(" + pk::storage(kSix) + pk::integer(0) + "tR";
  EXPECT_THAT(error_of_pickle(pk::whole(pk::dict({{"w", made}}))), testing::HasSubstr("mine.tensors rebuild"));
  const std::string wrapped = pk::global("mine.tensors", "Wrapped") + pk::tensor(kSix) + "\x85R";
  EXPECT_THAT(error_of_pickle(pk::whole(pk::dict({{"w", wrapped}}))), testing::HasSubstr("mine.tensors Wrapped"));
}

TEST_F(TorchCkpt, ViewsOfOneStorage) {
  const auto file =
      load(torch_parts(pk::whole(pk::dict({{"all", pk::tensor(kSix)},
                                           {"transposed", pk::tensor({.sizes = {3, 2}, .strides = {1, 3}})},
                                           {"tail", pk::tensor({.sizes = {2}, .strides = {1}, .offset = 4})},
                                           {"every_other", pk::tensor({.sizes = {3}, .strides = {2}})},
                                           {"scalar", pk::tensor({.sizes = {}, .strides = {}, .offset = 5})},
                                           {"one_row", pk::tensor({.sizes = {1, 3}, .strides = {77, 1}, .offset = 3})},
                                           {"nothing", pk::tensor({.sizes = {0, 3}, .strides = {3, 1}})}})),
                       {{"0", bytes_of(kValues)}}));
  EXPECT_EQ(floats(file->tensor("all")), kValues);
  EXPECT_EQ(floats(file->tensor("transposed")), (std::vector<float>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(floats(file->tensor("tail")), (std::vector<float>{4, 5}));
  EXPECT_EQ(floats(file->tensor("every_other")), (std::vector<float>{0, 2, 4}));
  EXPECT_EQ(floats(file->tensor("scalar")), (std::vector<float>{5}));
  EXPECT_EQ(floats(file->tensor("one_row")), (std::vector<float>{3, 4, 5}));
  EXPECT_EQ(file->tensor("nothing").numel(), 0);
}

TEST_F(TorchCkpt, EveryStorageType) {
  const std::vector<std::pair<std::string, DType>> types{
      {"FloatStorage", DType::kF32},  {"HalfStorage", DType::kF16}, {"BFloat16Storage", DType::kBF16},
      {"DoubleStorage", DType::kF64}, {"LongStorage", DType::kI64}, {"IntStorage", DType::kI32},
      {"ShortStorage", DType::kI16},  {"CharStorage", DType::kI8},  {"ByteStorage", DType::kU8},
      {"BoolStorage", DType::kBool}};
  for (const auto& [name, dtype] : types) {
    std::string bytes(static_cast<size_t>(3 * size_of(dtype)), '\0');
    std::iota(bytes.begin(), bytes.end(), '\1');
    for (size_t shift = 0; shift < 8; ++shift) {  // aligned and not
      auto parts =
          torch_parts(good_pickle({.sizes = {3}, .strides = {1}, .storage_class = name, .stored = 3}), {{"0", bytes}});
      parts[1].local_extra = test::little_endian(0x4246, 2) + test::little_endian(shift, 2) + std::string(shift, 'Z');
      const Tensor tensor = load(parts)->tensor("w");
      EXPECT_EQ(tensor.dtype(), dtype);
      const HostView<std::byte> got(tensor);
      EXPECT_EQ(std::memcmp(got.data(), bytes.data(), bytes.size()), 0) << name << shift;
    }
  }
}

// What real files of SD 1.x carry beside the weights.
TEST_F(TorchCkpt, CompanyOfRealFiles) {
  const std::string scalar = pk::global("numpy.core.multiarray", "scalar") + "(" + pk::global("numpy", "dtype") + "(" +
                             pk::text("f8") + "\x89\x88tR(K\x03" + pk::text("<") +
                             "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK" + std::string(1, '\0') + "tb" +
                             pk::global("_codecs", "encode") + pk::text("abc") + pk::text("latin1") + "\x86RtR";
  const std::string callbacks = "}" + pk::global("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint") +
                                pk::dict({{"best", scalar}}) + "s";
  const std::string hooks = pk::global("collections", "OrderedDict") + ")R}" + pk::text("_metadata") + "Nsb";
  const std::string parameter =
      pk::global("torch._utils", "_rebuild_parameter") + pk::tensor(kSix) + "\x88" + hooks + "\x87R";
  const std::string weights = pk::global("collections", "OrderedDict") + ")R(" + pk::text("w") + pk::tensor(kSix) +
                              pk::text("p") + parameter + "u" + pk::dict({{"_metadata", hooks}}) + "b";
  const std::string code = pk::dict({{"epoch", "K\x05"},
                                     {"callbacks", callbacks},
                                     {"dtype", pk::global("torch", "float32")},
                                     {"seen", pk::global("__builtin__", "set") + "](K\x01K\x02"
                                                                                 "e\x85R"},
                                     {"lr", "G?PbM\xd2\xf1\xa9\xfc"},
                                     {"state_dict", weights}});
  const auto file = load(torch_parts(pk::whole(code), {{"0", bytes_of(kValues)}}));
  ASSERT_EQ(file->tensors().size(), 2u);
  EXPECT_EQ(floats(file->tensor("w")), kValues);
  EXPECT_EQ(floats(file->tensor("p")), kValues);
}

TEST_F(TorchCkpt, Protocol4) {
  const auto short_text = [](const std::string& s) { return "\x8c" + std::string(1, static_cast<char>(s.size())) + s; };
  const std::string storage = "(" + short_text("storage") + short_text("torch") + short_text("FloatStorage") + "\x93" +
                              short_text("0") + short_text("cpu") + "K\x06tQ";
  const std::string code = "\x80\x04\x95" + std::string(8, '\0') + "}\x94" + short_text("w") + "\x94" +
                           short_text("torch._utils") + "\x94" + short_text("_rebuild_tensor_v2") + "\x94\x93\x94(" +
                           storage + "K" + std::string(1, '\0') + "K\x02K\x03\x86K\x03K\x01\x86\x89" +
                           short_text("collections") + short_text("OrderedDict") + "\x93)Rt\x94R\x94s.";
  EXPECT_EQ(floats(load(torch_parts(code, {{"0", bytes_of(kValues)}}))->tensor("w")), kValues);
}

// torch writes sizes behind the bytes (flag 8) and leaves the local header's at zero.
TEST_F(TorchCkpt, SizesBehindTheBytes) {
  auto parts = torch_parts(good_pickle(), {{"0", bytes_of(kValues)}});
  for (ZipPart& part : parts) {
    part.flags = 0x0808;
    part.local_size = 0;
  }
  EXPECT_EQ(floats(load(parts)->tensor("w")), kValues);
}

TEST_F(TorchCkpt, SameTensorsAsSafetensors) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const auto torch =
        open_checkpoint(test::synthetic_model({.dtype = dtype, .format = tools::CheckpointFormat::kTorch}));
    const auto safe = open_checkpoint(test::synthetic_model({.dtype = dtype}));
    ASSERT_EQ(torch->tensors().size(), safe->tensors().size());
    for (const TensorInfo& info : safe->tensors()) {
      const Tensor a = safe->tensor(info.name), b = torch->tensor(info.name);
      ASSERT_EQ(a.shape(), b.shape()) << info.name;
      ASSERT_EQ(a.dtype(), b.dtype()) << info.name;
      ASSERT_TRUE(test::same_bytes(a, b)) << info.name;
    }
  }
}

}  // namespace
}  // namespace sumi::io
