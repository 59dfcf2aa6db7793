#include "tools/synthetic.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/check.h"
#include "base/parallel.h"

namespace sumi::tools {
namespace {

namespace fs = std::filesystem;

std::vector<float> values(const std::string& name, const Shape& shape) {
  std::vector<float> out(static_cast<size_t>(shape.numel()));
  synthetic_values(name, shape, 0, out);
  return out;
}

// First three values and the last, by an independent implementation of the rule.
TEST(SyntheticValues, FollowTheRule) {
  struct Case {
    std::string name;
    Shape shape;
    std::array<float, 4> expected;
  };
  const std::vector<Case> cases{
      {"model.diffusion_model.input_blocks.1.0.in_layers.0.weight",
       {32},
       {0x1.e6bd3ap-1f, 0x1.fc3964p-1f, 0x1.d704c6p-1f, 0x1.126e8ap+0f}},
      {"model.diffusion_model.time_embed.0.bias",
       {128},
       {0x1.cd04bap-6f, -0x1.5ff466p-9f, 0x1.93d12ep-6f, -0x1.25d7cep-9f}},
      {"cond_stage_model.transformer.text_model.embeddings.position_embedding.weight",
       {77, 64},
       {0x1.df980ep-7f, 0x1.226446p-5f, 0x1.323dcep-8f, 0x1.6facdp-5f}},
      {"model.diffusion_model.input_blocks.0.0.weight",
       {32, 4, 3, 3},
       {0x1.80b9a4p-4f, -0x1.1fdd14p-2f, 0x1.f32c0ap-5f, 0x1.375ee4p-4f}},
  };
  for (const Case& c : cases) {
    const std::vector<float> v = values(c.name, c.shape);
    EXPECT_EQ((std::array{v[0], v[1], v[2], v.back()}), c.expected) << c.name;
  }
}

TEST(SyntheticValues, AnyPartIsThatPartOfTheWhole) {
  const std::string name = "first_stage_model.quant_conv.weight";
  const std::vector<float> whole = values(name, {8, 8, 1, 1});
  std::vector<float> part(13);
  synthetic_values(name, {8, 8, 1, 1}, 40, part);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 40));
}

LayoutEntry entry_named(const std::string& name) {
  for (LayoutEntry& entry : checkpoint_layout(synthetic_config("tiny"))) {
    if (entry.name == name) return entry;
  }
  throw std::runtime_error("no entry " + name);
}

TEST(SyntheticTensor, HalfTypesAreTheRoundedFloats) {
  const LayoutEntry entry = entry_named("model.diffusion_model.out.2.weight");
  const HostView<float> f32(synthetic_tensor(entry));
  const HostView<Half> f16(synthetic_tensor(entry, DType::kF16));
  const HostView<BFloat16> bf16(synthetic_tensor(entry, DType::kBF16));
  for (int64_t i = 0; i < f32.size(); ++i) {
    ASSERT_EQ(f16[i].bits, to_half(f32[i]).bits);
    ASSERT_EQ(bf16[i].bits, to_bfloat16(f32[i]).bits);
  }
}

TEST(SyntheticTensor, ScheduleAndPositionsAreReal) {
  const Tensor betas = synthetic_tensor(entry_named("betas"));
  const Tensor kept = synthetic_tensor(entry_named("alphas_cumprod"));
  const Tensor before = synthetic_tensor(entry_named("alphas_cumprod_prev"));
  EXPECT_FLOAT_EQ(betas.host<float>()[0], 0.00085f);
  EXPECT_FLOAT_EQ(betas.host<float>()[betas.numel() - 1], 0.012f);
  EXPECT_FLOAT_EQ(kept.host<float>()[500], 0x1.1af6f4p-2f);
  EXPECT_FLOAT_EQ(kept.host<float>()[999], 0x1.31677ap-8f);
  EXPECT_EQ(before.host<float>()[0], 1.0f);
  EXPECT_EQ(before.host<float>()[501], kept.host<float>()[500]);
  const Tensor ids = synthetic_tensor(entry_named("cond_stage_model.transformer.text_model.embeddings.position_ids"));
  EXPECT_EQ(ids.dtype(), DType::kI64);
  EXPECT_EQ(ids.host<int64_t>()[76], 76);
}

// Files

class SyntheticFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
};

std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class T> T read_le(const std::string& bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

std::string bytes_of(const Tensor& tensor) {
  const HostView<std::byte> bytes(tensor);
  return {reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(bytes.size())};
}

// Tensor bytes of a safetensors file by name.
std::map<std::string, std::string> read_safetensors(const fs::path& path) {
  const std::string file = read_all(path);
  const auto length = read_le<uint64_t>(file, 0);
  EXPECT_EQ(length % 8, 0u);
  std::map<std::string, std::string> out;
  size_t end = 0;
  const auto header = nlohmann::json::parse(file.substr(8, length));
  for (const auto& [name, info] : header.items()) {
    if (name == "__metadata__") {
      EXPECT_EQ(info.at("format"), "pt");
      continue;
    }
    const auto offsets = info.at("data_offsets").get<std::vector<size_t>>();
    out[name] = file.substr(8 + length + offsets[0], offsets[1] - offsets[0]);
    end = std::max(end, offsets[1]);
  }
  EXPECT_EQ(8 + length + end, file.size());
  return out;
}

TEST_F(SyntheticFiles, SafetensorsHoldEveryTensor) {
  write_synthetic(folder_ / "m.safetensors", {.dtype = DType::kF16});
  const auto file = read_safetensors(folder_ / "m.safetensors");
  const auto layout = checkpoint_layout(synthetic_config("tiny"));
  ASSERT_EQ(file.size(), layout.size());
  for (const LayoutEntry& entry : layout) {
    ASSERT_EQ(file.at(entry.name), bytes_of(synthetic_tensor(entry, DType::kF16))) << entry.name;
  }
}

TEST_F(SyntheticFiles, BytesDoNotDependOnThreads) {
  const int threads = num_threads();
  set_num_threads(1);
  write_synthetic(folder_ / "one", {});
  set_num_threads(3);
  write_synthetic(folder_ / "three", {});
  set_num_threads(threads);
  EXPECT_EQ(read_all(folder_ / "one"), read_all(folder_ / "three"));
}

// Reads the archive by its central directory, as every reader does.
TEST_F(SyntheticFiles, TorchArchiveIsSound) {
  write_synthetic(folder_ / "m.ckpt", {.format = CheckpointFormat::kTorch});
  const std::string file = read_all(folder_ / "m.ckpt");
  const size_t end = file.size() - 22;
  ASSERT_EQ(file.substr(end, 4), "PK\x05\x06");
  const auto count = read_le<uint16_t>(file, end + 10);
  size_t record = read_le<uint32_t>(file, end + 16);
  const auto layout = checkpoint_layout(synthetic_config("tiny"));
  ASSERT_EQ(count, layout.size() + 3);
  std::map<std::string, std::string> entries;
  for (int i = 0; i < count; ++i) {
    ASSERT_EQ(file.substr(record, 4), "PK\x01\x02");
    const auto crc = read_le<uint32_t>(file, record + 16);
    const auto size = read_le<uint32_t>(file, record + 24);
    const auto name_length = read_le<uint16_t>(file, record + 28);
    const auto extra_length = read_le<uint16_t>(file, record + 30);
    const auto local = read_le<uint32_t>(file, record + 42);
    const std::string name = file.substr(record + 46, name_length);
    const size_t data = local + 30u + read_le<uint16_t>(file, local + 26) + read_le<uint16_t>(file, local + 28);
    EXPECT_EQ(file.substr(local, 4), "PK\x03\x04");
    EXPECT_EQ(file.substr(local + 30, name_length), name);
    EXPECT_EQ(data % 64, 0u) << name;
    EXPECT_EQ(crc32(0, reinterpret_cast<const Bytef*>(file.data() + data), size), crc) << name;
    entries[name] = file.substr(data, size);
    record += 46u + name_length + extra_length;
  }
  EXPECT_EQ(entries.at("archive/version"), "3\n");
  for (size_t i = 0; i < layout.size(); ++i) {
    ASSERT_EQ(entries.at("archive/data/" + std::to_string(i)), bytes_of(synthetic_tensor(layout[i]))) << layout[i].name;
    ASSERT_NE(entries.at("archive/data.pkl").find(layout[i].name), std::string::npos);
  }
}

TEST_F(SyntheticFiles, DiffusersFolderHasTheSameBytesUnderItsOwnNames) {
  write_synthetic(folder_ / "m", {.format = CheckpointFormat::kDiffusers, .variant = "fp16"});
  const std::map<std::string, std::string> files{{"unet", "unet/diffusion_pytorch_model.fp16.safetensors"},
                                                 {"vae", "vae/diffusion_pytorch_model.fp16.safetensors"},
                                                 {"text_encoder", "text_encoder/model.fp16.safetensors"}};
  std::map<std::string, std::map<std::string, std::string>> components;
  for (const auto& [component, file] : files) components[component] = read_safetensors(folder_ / "m" / file);
  for (const LayoutEntry& entry : checkpoint_layout(synthetic_config("tiny"))) {
    if (entry.component.empty()) continue;
    ASSERT_EQ(components.at(entry.component).at(entry.diffusers_name), bytes_of(synthetic_tensor(entry))) << entry.name;
  }
  const auto json = [&](const char* name) { return nlohmann::json::parse(read_all(folder_ / "m" / name)); };
  EXPECT_EQ(json("unet/config.json").at("block_out_channels"), (std::vector<int>{32, 64, 128, 128}));
  EXPECT_EQ(json("unet/config.json").at("up_block_types").at(0), "UpBlock2D");
  EXPECT_EQ(json("text_encoder/config.json").at("architectures").at(0), "CLIPTextModel");
  EXPECT_EQ(json("scheduler/scheduler_config.json").at("num_train_timesteps"), 1000);
  EXPECT_EQ(json("vae/config.json").at("scaling_factor"), 0.18215);
  EXPECT_EQ(json("model_index.json").at("unet").at(1), "UNet2DConditionModel");
}

TEST_F(SyntheticFiles, VocabularyHasEveryIdOnceAndTheMarksAtClipsPlaces) {
  write_byte_vocabulary(folder_);
  const auto vocabulary = nlohmann::json::parse(read_all(folder_ / "vocab.json"));
  std::set<int64_t> ids;
  for (const auto& [token, id] : vocabulary.items()) ids.insert(id.get<int64_t>());
  EXPECT_EQ(ids.size(), 49408u);
  EXPECT_EQ(*ids.rbegin(), 49407);
  EXPECT_EQ(vocabulary.at("<|startoftext|>"), 49406);
  EXPECT_EQ(vocabulary.at("<|endoftext|>"), 49407);
  EXPECT_EQ(vocabulary.at("a"), 64);  // as in CLIP's own
  std::istringstream merges(read_all(folder_ / "merges.txt"));
  std::string first;
  std::string second;
  std::getline(merges, first);
  int64_t lines = 0;
  for (; merges >> first >> second; ++lines) ASSERT_TRUE(vocabulary.contains(first + second));
  EXPECT_EQ(lines, 49408 - 512 - 2);
}

TEST_F(SyntheticFiles, ANewFileReplacesAnOldOneAndLeavesNoOther) {
  std::ofstream(folder_ / "m") << "old";
  write_synthetic(folder_ / "m", {});
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
  EXPECT_GT(fs::file_size(folder_ / "m"), 60'000'000u);
  EXPECT_THROW(write_synthetic(folder_ / "absent" / "m", {}), Error);
  EXPECT_THROW(write_synthetic(folder_ / "n", {.dtype = DType::kI32}), Error);
  EXPECT_FALSE(fs::exists(folder_ / "n"));
}

}  // namespace
}  // namespace sumi::tools
