// Bad-input items 34 to 61.
#include <cstring>

#include "io/safetensors.h"
#include "tests/support/torch_ckpt_fixture.h"

namespace sumi::io {
namespace {

// --- the archive -----------------------------------------------------------------------------------------------------

TEST_F(TorchCkpt, TheFileThatTheOthersBreakLoads) {
  const auto file = load(torch_parts(good_pickle()));
  ASSERT_EQ(file->tensors().size(), 1u);
  EXPECT_EQ(file->tensor("w").shape(), Shape({2, 3}));
}

TEST_F(TorchCkpt, Item34NoEndRecord) {
  const std::string whole = test::zip(torch_parts(good_pickle()));
  EXPECT_THAT(error_of(whole.substr(0, whole.size() - 22)), HasSubstr("no end"));
  for (size_t length = 0; length < whole.size(); ++length) {
    test::write_file(file_, whole.substr(0, length));
    EXPECT_THROW(open_checkpoint(file_), Error) << length;
  }
}

TEST_F(TorchCkpt, Item35TwoDataPkl) {
  auto parts = torch_parts(good_pickle());
  parts.push_back({.name = "other/data.pkl", .data = good_pickle()});
  EXPECT_THAT(error_of(parts), HasSubstr("two data.pkl"));
  parts.back().name = parts.front().name;
  EXPECT_THAT(error_of(parts), HasSubstr("twice"));
  EXPECT_THAT(error_of(std::vector<ZipPart>{{.name = "archive/version", .data = "3"}}), HasSubstr("no data.pkl"));
}

TEST_F(TorchCkpt, Item36NamesThatLeadOut) {
  for (const char* name : {"../data.pkl", "archive/../../x", "archive/..", "..", "/etc/passwd", "archive\\..\\x"}) {
    auto parts = torch_parts(good_pickle());
    parts.push_back({.name = name, .data = "x"});
    EXPECT_THAT(error_of(parts), HasSubstr("zip entry")) << name;
  }
}

TEST_F(TorchCkpt, Item37DeflateBomb) {
  const std::string zeros(64 << 20, '\0');
  std::string packed(compressBound(zeros.size()), '\0');
  uLongf length = packed.size();
  ASSERT_EQ(compress2(reinterpret_cast<Bytef*>(packed.data()), &length, reinterpret_cast<const Bytef*>(zeros.data()),
                      zeros.size(), 9),
            Z_OK);
  packed = packed.substr(2, length - 6);  // zip holds the bare stream
  auto parts = torch_parts(good_pickle());
  parts[1] = {.name = "archive/data/0",
              .data = packed,
              .method = 8,
              .central_size = 64u << 20,
              .central_packed = static_cast<uint32_t>(packed.size())};
  EXPECT_THAT(error_of(parts), HasSubstr("archive/data/0"));
  parts = torch_parts(good_pickle());
  parts[0] = {.name = "archive/data.pkl",
              .data = packed,
              .method = 8,
              .central_size = 64u << 20,
              .central_packed = static_cast<uint32_t>(packed.size())};
  EXPECT_THAT(error_of(parts), HasSubstr("archive/data.pkl"));
}

TEST_F(TorchCkpt, Item38LocalAndCentralDisagree) {
  auto parts = torch_parts(good_pickle());
  parts[1].local_size = 20;
  EXPECT_THAT(error_of(parts), HasSubstr("24 bytes by the directory and 20 by its own header"));
  parts = torch_parts(good_pickle());
  parts[1].central_size = 20;
  EXPECT_THAT(error_of(parts), HasSubstr("20 bytes by the directory"));
  parts = torch_parts(good_pickle());
  parts[1].central_packed = 20;
  EXPECT_THAT(error_of(parts), HasSubstr("two sizes"));
  parts = torch_parts(good_pickle());
  parts[1].local_name = "archive/data/1";
  EXPECT_THAT(error_of(parts), HasSubstr("another name"));
}

TEST_F(TorchCkpt, Item39BadChecksum) {
  auto parts = torch_parts(good_pickle());
  parts[0].crc = 1;
  EXPECT_THAT(error_of(parts), HasSubstr("checksum"));
  parts = torch_parts(good_pickle());
  parts[1].crc = 1;
  EXPECT_THAT(error_of(parts), HasSubstr("checksum"));
}

TEST_F(TorchCkpt, Item40OverlappingEntries) {
  auto parts = torch_parts(good_pickle());
  // An entry whose bytes hold another entry's header and bytes.
  const std::string inner = test::zip({{.name = "archive/data/9", .data = "xxxx"}});
  parts.push_back({.name = "archive/outer", .data = inner});
  const auto outer_at = static_cast<uint32_t>(test::zip(parts).find("PK\x03\x04" + inner.substr(4)));
  parts.push_back({.name = "archive/data/9", .data = "xxxx", .offset = outer_at, .only_listed = true});
  EXPECT_THAT(error_of(parts), HasSubstr("overlap"));
  // An entry that runs into the directory.
  parts = torch_parts(good_pickle());
  parts.back().local_size = parts.back().central_size = 40;
  EXPECT_THAT(error_of(parts), HasSubstr("runs into the directory"));
}

std::string zip64_extra(const std::vector<uint64_t>& values) {
  std::string extra = test::little_endian(1, 2) + test::little_endian(8 * values.size(), 2);
  for (const uint64_t value : values) extra += test::little_endian(value, 8);
  return extra;
}

TEST_F(TorchCkpt, Item41LyingZip64) {
  for (const uint64_t size : {UINT64_MAX, uint64_t{1} << 63, uint64_t{1} << 40, UINT64_MAX - 20}) {
    auto parts = torch_parts(good_pickle());
    parts[1].central_size = parts[1].local_size = 0xffffffffu;
    parts[1].central_extra = parts[1].local_extra = zip64_extra({size, size});
    EXPECT_NE(error_of(parts), "") << size;
    parts = torch_parts(good_pickle());
    parts[1].offset = 0xffffffffu;
    parts[1].central_extra = zip64_extra({size});
    EXPECT_NE(error_of(parts), "") << size;
  }
  auto parts = torch_parts(good_pickle());
  parts[1].central_size = parts[1].local_size = 0xffffffffu;  // no zip64 field at all
  EXPECT_NE(error_of(parts), "");
  parts[1].central_extra = zip64_extra({});
  EXPECT_THAT(error_of(parts), HasSubstr("missing its sizes"));
  parts[1].central_extra = test::little_endian(1, 2) + test::little_endian(500, 2);
  EXPECT_THAT(error_of(parts), HasSubstr("longer than stated"));

  for (const uint64_t lie : {UINT64_MAX, uint64_t{1} << 63, UINT64_MAX / 46 + 2, uint64_t{1000}}) {
    for (int field = 0; field < 4; ++field) {
      parts = torch_parts(good_pickle());
      std::vector<uint64_t> truth{0, 3, 1, 0};  // end64's place, entries, directory's size, its offset
      const std::string plain = test::zip(parts);
      const uint64_t directory = plain.find("PK\x01\x02");
      truth = {plain.size() - 22, 3, plain.size() - 22 - directory, directory};
      truth[static_cast<size_t>(field)] = lie;
      ZipEnd end{.entries = 0xffff, .size = 0xffffffffu, .offset = 0xffffffffu};
      end.before = "PK\x06\x06" + test::little_endian(44, 8) + std::string(12, '\0') +
                   test::little_endian(truth[1], 8) + test::little_endian(truth[1], 8) +
                   test::little_endian(truth[2], 8) + test::little_endian(truth[3], 8);
      end.before += "PK\x06\x07" + std::string(4, '\0') + test::little_endian(truth[0], 8) + test::little_endian(1, 4);
      if (field == 2 && lie == 1000) continue;  // a directory may be followed by a signature
      EXPECT_NE(error_of(parts, end), "") << field << " " << lie;
    }
  }
}

TEST_F(TorchCkpt, Item42EncryptedEntry) {
  for (const uint16_t flag : {uint16_t{1}, uint16_t{0x41}, uint16_t{0x2000}}) {
    auto parts = torch_parts(good_pickle());
    parts[1].flags = flag;
    EXPECT_THAT(error_of(parts), HasSubstr("encrypted")) << flag;
  }
}

TEST_F(TorchCkpt, SplitArchivesAndEntriesBeyondTheDirectory) {
  auto parts = torch_parts(good_pickle());
  EXPECT_NE(error_of(parts, {.entries = 60000}), "");
  EXPECT_NE(error_of(parts, {.size = 0x7fffffff}), "");
  EXPECT_NE(error_of(parts, {.offset = 0x7fffffff}), "");
  parts[1].offset = 0x7fffffff;
  EXPECT_NE(error_of(parts), "");
}

TEST_F(TorchCkpt, ACommentAtTheEndIsFine) {
  EXPECT_TRUE(load(torch_parts(good_pickle()), {.comment = std::string(65535, 'c')})->has("w"));
}

// --- the pickle ------------------------------------------------------------------------------------------------------

std::string call(const std::string& module, const std::string& name) {
  return pk::global(module, name) + pk::text("touch owned") + "\x85R";
}

TEST_F(TorchCkpt, Item43OsSystem) {
  for (const char* module : {"os", "posix", "nt", "subprocess"}) {
    EXPECT_THAT(error_of_pickle(pk::whole(pk::dict({{"w", call(module, "system")}}))),
                HasSubstr(std::string(module) + " system"));
  }
}

TEST_F(TorchCkpt, Item44EvalByStackGlobal) {
  const std::string code = pk::text("builtins") + pk::text("eval") + "\x93" + pk::text("1") + "\x85R";
  EXPECT_THAT(error_of_pickle("\x80\x04" + code + "."), HasSubstr("builtins eval"));
  EXPECT_NE(error_of_pickle("\x80\x04" + pk::integer(1) + pk::integer(2) + "\x93."), "");
  // A name that looks like a known one once module and name are put together.
  EXPECT_NE(error_of_pickle("\x80\x04" + pk::text("collections OrderedDict") + pk::text("") + "\x93)R."), "");
}

TEST_F(TorchCkpt, Item45ResolveName) {
  EXPECT_THAT(error_of_pickle(pk::whole(call("pkgutil", "resolve_name"))), HasSubstr("pkgutil resolve_name"));
}

TEST_F(TorchCkpt, Item46PayloadBeforeABrokenTail) {
  for (const char* tail : {"", "\xff\xff", "X\xff\xff\xff\xff", "0000000"}) {
    EXPECT_THAT(error_of_pickle("\x80\x02" + call("os", "system") + tail), HasSubstr("os system")) << tail;
  }
}

TEST_F(TorchCkpt, Item47ReduceOnAnUnlistedName) {
  for (const char* module : {"torch", "torch._utils", "numpy", "collections", "builtins", "__builtin__",
                             "pytorch_lightning.callbacks.model_checkpoint"}) {
    EXPECT_THAT(error_of_pickle(pk::whole(call(module, "anything"))), HasSubstr(std::string(module) + " anything"));
  }
  EXPECT_NE(error_of_pickle(pk::whole(pk::text("os.system") + ")R")), "");  // calling a string
  EXPECT_NE(error_of_pickle(pk::whole(pk::global("torch", "FloatStorage") + ")R")), "");
  EXPECT_NE(error_of_pickle(pk::whole("}}b")), "");  // BUILD, and then nothing of use
  EXPECT_NE(error_of_pickle(pk::whole(pk::global("torch._utils", "_rebuild_tensor_v2") + ")R")), "");
  EXPECT_NE(error_of_pickle(pk::whole(pk::global("torch._utils", "_rebuild_parameter") + "}\x85R")), "");
  EXPECT_NE(error_of_pickle(pk::whole(pk::global("collections", "OrderedDict") + "](NNe\x85R")), "");
}

TEST_F(TorchCkpt, Item48StackUnderflow) {
  for (int opcode = 0; opcode < 256; ++opcode) {
    for (const std::string& before : {std::string(), std::string("("), std::string("N"), std::string("(N")}) {
      const std::string code = "\x80\x02" + before + static_cast<char>(opcode);
      test::write_file(file_, test::zip(torch_parts(code + std::string(16, '\0') + ".")));
      EXPECT_THROW(open_torch_ckpt(file_), Error) << opcode;
      test::write_file(file_, test::zip(torch_parts(code + ".")));
      EXPECT_THROW(open_torch_ckpt(file_), Error) << opcode;
      test::write_file(file_, test::zip(torch_parts(code)));
      EXPECT_THROW(open_torch_ckpt(file_), Error) << opcode;
    }
  }
  EXPECT_THAT(error_of_pickle("\x80\x02t."), HasSubstr("mark"));
  EXPECT_THAT(error_of_pickle("\x80\x02"
                              "0."),
              HasSubstr("empty stack"));
  EXPECT_THAT(error_of_pickle("\x80\x02N(s."), HasSubstr("empty stack"));  // not past a mark
}

TEST_F(TorchCkpt, Item49DanglingMemo) {
  EXPECT_THAT(error_of_pickle("\x80\x02h\x05."), HasSubstr("memo 5"));
  EXPECT_THAT(error_of_pickle("\x80\x02j\xff\xff\xff\xff."), HasSubstr("memo 4294967295"));
}

TEST_F(TorchCkpt, Item50EnormousMemo) {
  EXPECT_THAT(error_of_pickle(pk::whole("Nr\xff\xff\xff\xff"
                                        "0" +
                                        pk::dict({{"w", pk::tensor(kSix)}}))),
              HasSubstr("memo"));
}

TEST_F(TorchCkpt, Item51StringsOfFourGigabytes) {
  for (const char* opcode : {"X", "T", "B"})
    EXPECT_THAT(error_of_pickle("\x80\x02" + std::string(opcode) + "\xff\xff\xff\xff."),
                HasSubstr("string of 4294967295 bytes"));
  for (const char* opcode : {"\x8d", "\x8e", "\x96"}) {
    EXPECT_THAT(error_of_pickle("\x80\x04" + std::string(opcode) + std::string(8, '\xff') + "."),
                HasSubstr("string of 18446744073709551615 bytes"));
  }
  EXPECT_NE(error_of_pickle("\x80\x02\x8b\xff\xff\xff\xff."), "");  // LONG4
  EXPECT_NE(error_of_pickle("\x80\x02\x8a\xff" + std::string(255, '\x01') + "."), "");
}

TEST_F(TorchCkpt, Item52ListThatHoldsItself) {
  EXPECT_NE(error_of_pickle(pk::whole("]q" + std::string(1, '\0') + "h" + std::string(1, '\0') + "a")), "");
  EXPECT_NE(error_of_pickle(pk::whole("}q\x01" + pk::text("state_dict") + "h\x01s")), "");
  const auto file =
      load(torch_parts(pk::whole("}q\x01" + pk::text("self") + "h\x01s" + pk::text("w") + pk::tensor(kSix) + "s")));
  EXPECT_EQ(file->tensors().size(), 1u);
}

TEST_F(TorchCkpt, Item53ExponentialNesting) {
  std::string code = "\x80\x02Nq" + std::string(1, '\0');
  for (int i = 0; i < 200; ++i)
    code += "h" + std::string(1, static_cast<char>(i)) + "2\x86q" + std::string(1, static_cast<char>(i + 1)) + "0";
  EXPECT_NE(error_of_pickle(code + "h\x64."), "");
}

// Small opcodes that each ask for much memory: as much as is allowed must not be much.
TEST_F(TorchCkpt, Item53SmallCodeThatGrows) {
  const std::string zero(1, '\0');
  // One list of 20,000 pairs, made into a dictionary again and again.
  std::string copies = "\x80\x02]q" + zero + "(";
  for (int i = 0; i < 20'000; ++i) copies += "NN\x86";
  copies += "e0" + pk::global("collections", "OrderedDict") +
            "q\x01"
            "0";
  for (int i = 0; i < 20'000; ++i) copies += "h\x01h" + zero + "\x85R0";
  EXPECT_NE(error_of_pickle(copies + "N."), "");
  for (const char* opcode : {"N", "2", ")", "]", "}", "(", "\x8f"}) {  // each opcode leaves one more thing
    std::string many = "\x80\x02N";
    for (int i = 0; i < 20'000'000; ++i) many += opcode;
    EXPECT_NE(error_of_pickle(many + "."), "") << opcode;
  }
  std::string memos = "\x80\x02N";
  for (int i = 0; i < 4'000'000; ++i) memos += "r" + test::little_endian(static_cast<uint64_t>(i), 4);
  EXPECT_NE(error_of_pickle(memos + "."), "");
  std::string appended = "\x80\x02]q" + zero + "N";
  for (int i = 0; i < 8'000'000; ++i) appended += "h" + zero + "Na0";
  EXPECT_NE(error_of_pickle(appended + "."), "");
  EXPECT_NE(error_of_pickle("\x80\x02X" + test::little_endian(60 << 20, 4) + std::string(60 << 20, 'x') + "."), "");
}

TEST_F(TorchCkpt, Item54ExtAndInst) {
  EXPECT_THAT(error_of_pickle("\x80\x02\x82\x01."), HasSubstr("0x82"));
  EXPECT_THAT(error_of_pickle("\x80\x02\x83\x01\x01."), HasSubstr("0x83"));
  EXPECT_THAT(error_of_pickle("\x80\x02\x84\x01\x01\x01\x01."), HasSubstr("0x84"));
  EXPECT_THAT(error_of_pickle("\x80\x02(ios\nsystem\n."), HasSubstr("0x69"));
  EXPECT_THAT(error_of_pickle("\x80\x02(" + pk::global("collections", "OrderedDict") + "o."), HasSubstr("0x6f"));
  for (const char version : {'\0', '\1', '\6', '\xff'})
    EXPECT_THAT(error_of_pickle(std::string("\x80") + version + "}."), HasSubstr("version"));
}

// --- tensors and storages --------------------------------------------------------------------------------------------

TEST_F(TorchCkpt, Item55StorageMissing) {
  EXPECT_THAT(error_of_tensor({.sizes = {6}, .strides = {1}, .key = "1"}), HasSubstr("missing"));
  EXPECT_THAT(error_of_tensor({.sizes = {6}, .strides = {1}, .key = "../version"}), HasSubstr("missing"));
}

TEST_F(TorchCkpt, Item56StorageTooSmall) {
  EXPECT_THAT(error_of_tensor({.sizes = {6}, .strides = {1}, .stored = 7}),
              HasSubstr("should hold 7 values and has 6"));
  EXPECT_THAT(error_of_tensor({.sizes = {7}, .strides = {1}}), HasSubstr("\"w\""));
  EXPECT_THAT(error_of_tensor({.sizes = {6}, .strides = {1}, .offset = 1}), HasSubstr("\"w\""));
  EXPECT_THAT(error_of_tensor({.sizes = {2, 3}, .strides = {4, 1}}), HasSubstr("\"w\""));
  EXPECT_THAT(error_of_tensor({.sizes = {6}, .strides = {1}, .storage_class = "DoubleStorage", .stored = 3}),
              HasSubstr("\"w\""));
}

TEST_F(TorchCkpt, Item57NegativeStrideOrOffset) {
  EXPECT_THAT(error_of_tensor({.sizes = {6}, .strides = {-1}}), HasSubstr("negative"));
  EXPECT_THAT(error_of_tensor({.sizes = {6}, .strides = {1}, .offset = -1}), HasSubstr("negative"));
  EXPECT_THAT(error_of_tensor({.sizes = {-6}, .strides = {1}}), HasSubstr("negative"));
  EXPECT_NE(error_of_tensor({.sizes = {6}, .strides = {1}, .stored = -6}), "");
}

TEST_F(TorchCkpt, Item58Overflow) {
  const int64_t big = int64_t{1} << 62;
  EXPECT_NE(error_of_tensor({.sizes = {big, 4}, .strides = {1, 1}}), "");
  EXPECT_NE(error_of_tensor({.sizes = {2, 2}, .strides = {INT64_MAX, INT64_MAX}}), "");
  EXPECT_NE(error_of_tensor({.sizes = {3}, .strides = {big}}), "");
  EXPECT_NE(error_of_tensor({.sizes = {1}, .strides = {1}, .offset = INT64_MAX}), "");
  EXPECT_NE(error_of_tensor({.sizes = {2}, .strides = {1}, .offset = INT64_MAX}), "");
  EXPECT_NE(error_of_tensor({.sizes = {1 << 20, 1 << 20}, .strides = {0, 0}}), "");  // 4 TB out of one value
  EXPECT_NE(error_of_tensor({.sizes = {1 << 14, 1 << 14}, .strides = {0, 0}}), "");  // 1 GB
  EXPECT_NE(error_of_tensor({.sizes = {2, 3}, .strides = {1}}), "");
  EXPECT_NE(error_of_tensor({.sizes = std::vector<int64_t>(300, 1), .strides = std::vector<int64_t>(300, 1)}), "");
}

TEST_F(TorchCkpt, Item58OverflowBesideAZero) {
  const int64_t big = int64_t{1} << 62;
  for (const auto& sizes : {std::vector<int64_t>{big, big, 0}, std::vector<int64_t>{0, big, big}}) {
    try {
      const auto file = load(torch_parts(good_pickle({.sizes = sizes, .strides = {0, 0, 0}})));
      EXPECT_EQ(file->find("w")->shape.numel(), 0);
      EXPECT_EQ(file->tensor("w").numel(), 0);
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("\"w\""));
    }
  }
}

TEST_F(TorchCkpt, Item58OffsetOfATensorOfNothing) {
  for (const int64_t offset : {int64_t{7}, int64_t{1} << 62, INT64_MAX}) {
    EXPECT_THAT(error_of_tensor({.sizes = {0}, .strides = {1}, .offset = offset}),
                HasSubstr("\"w\" begins at value " + std::to_string(offset) + " of a storage of 6"));
    EXPECT_NE(error_of_tensor({.sizes = {3, 0}, .strides = {1, 1}, .offset = offset}), "");
  }
  const auto file = load(torch_parts(good_pickle({.sizes = {0}, .strides = {1}, .offset = 6})));  // x[6:]
  EXPECT_EQ(file->tensor("w").numel(), 0);
}

TEST_F(TorchCkpt, Item59BigEndian) {
  auto parts = torch_parts(good_pickle());
  parts.push_back({.name = "archive/byteorder", .data = "big"});
  EXPECT_THAT(error_of(parts), HasSubstr("byte order \"big\""));
  parts.back().data = "little";
  EXPECT_TRUE(load(parts)->has("w"));
  parts.back().data = "";
  EXPECT_NE(error_of(parts), "");
}

TEST_F(TorchCkpt, Item60LegacyFormats) {
  std::string tar(1024, '\0');
  tar.replace(0, 7, "storage").replace(257, 5, "ustar");
  EXPECT_THAT(error_of(tar), HasSubstr("torch.save"));
  // Before 1.6: a magic number, pickled, then more pickles. A hostile one is not run, wherever it stands.
  const std::string magic =
      "\x80\x02\x8a\x0al\xfc\x9c"
      "F\xf9 j\xa8P\x19.";
  EXPECT_NE(error_of(magic), "");
  EXPECT_THAT(error_of("\x80\x02" + call("os", "system") + "."), HasSubstr("neither"));
  EXPECT_THAT(error_of(magic + "\x80\x02" + call("os", "system") + "."), HasSubstr("os system"));
  const std::string protocol = "\x80\x02M\xe9\x03.", machine = "\x80\x02}.";
  EXPECT_THAT(error_of(magic + protocol + machine + "\x80\x02" + call("posix", "system") + "."),
              HasSubstr("posix system"));
  EXPECT_NE(error_of("cos\nsystem\n(S'touch owned'\ntR."), "");
  EXPECT_NE(error_of("GGUF" + std::string(100, '\0')), "");
  EXPECT_NE(error_of(std::string(1000, 'x')), "");
}

TEST_F(TorchCkpt, Item61SafetensorsByAnotherName) {
  write_safetensors(file_, {{"w", Tensor::full({2}, 1.0f)}});
  EXPECT_EQ(open_checkpoint(file_)->format(), "safetensors");
  test::write_file(folder_ / "x.safetensors", test::zip(torch_parts(good_pickle())));
  EXPECT_EQ(open_checkpoint(folder_ / "x.safetensors")->format(), "torch checkpoint");
}

// Found by reading; both once read freed memory or asked for gigabytes.
TEST_F(TorchCkpt, StatesAndNamesThatFeedOnThemselves) {
  // A dictionary that is its own state, with more parameters than it has room for.
  const std::string own = std::string("}q") + '\0' + "(" + pk::text("_parameters") + "}(" + pk::text("a") + "N" +
                          pk::text("b") + "Nuu" + "h" + '\0' + "b";
  EXPECT_THAT(error_of_pickle(pk::whole(own)), HasSubstr("no tensors"));
  // Names made of one long text again and again.
  std::string bomb = pk::text(std::string(60'000, 'n')) + "q" + '\0' + "0";
  for (int i = 0; i < 1000; ++i) bomb += std::string("h") + '\0' + "h" + '\0' + "\x93" + "0";
  EXPECT_THAT(error_of_pickle(pk::whole(bomb + "}")), HasSubstr("has a name of 60000 bytes"));
}

TEST_F(TorchCkpt, NothingOfUseInside) {
  EXPECT_THAT(error_of_pickle(pk::whole("N")), HasSubstr("no dictionary"));
  EXPECT_THAT(error_of_pickle(pk::whole(pk::tensor(kSix))), HasSubstr("no dictionary"));
  EXPECT_THAT(error_of_pickle(pk::whole("}")), HasSubstr("no tensors"));
  EXPECT_THAT(error_of_pickle(pk::whole(pk::dict({{"w", pk::tensor(kSix)}, {"w", pk::tensor(kSix)}}))),
              HasSubstr("twice"));
}
}  // namespace
}  // namespace sumi::io
