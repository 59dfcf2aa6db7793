#include "models/loading/diffusers_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/check.h"
#include "io/model_folder.h"
#include "io/safetensors.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_models.h"
#include "tests/support/temp_folder.h"
#include "tools/checkpoint_layout.h"
#include "tools/tensor_stream.h"

namespace sumi::models {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

using Tensors = std::vector<std::pair<std::string, Shape>>;

// Tensors full of `value`.
void write_tensors(const fs::path& file, const Tensors& shapes, float value = 1.0f) {
  fs::create_directories(file.parent_path());
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, shape] : shapes) tensors.emplace_back(name, Tensor::full(shape, value));
  io::write_safetensors(file, tensors);
}

const Tensors kUNet = {{"conv_in.weight", {4, 4, 3, 3}},
                       {"down_blocks.0.resnets.0.norm1.weight", {4}},
                       {"up_blocks.0.resnets.0.norm1.weight", {8}}};
const Tensors kVae = {{"decoder.up_blocks.0.resnets.0.norm1.weight", {4}},
                      {"decoder.mid_block.attentions.0.to_q.weight", {4, 4}}};
const Tensors kText = {{"text_model.final_layer_norm.weight", {4}}};

class Folder : public testing::Test {
 protected:
  Folder() { test::write_file(root() / "model_index.json", R"({"_class_name": "StableDiffusionPipeline"})"); }
  fs::path root() const { return temp_ / "model"; }
  fs::path outside() const { return temp_ / "outside"; }

  void write_unet() { write_tensors(root() / "unet/diffusion_pytorch_model.safetensors", kUNet); }
  void write_all() {
    write_unet();
    write_tensors(root() / "vae/diffusion_pytorch_model.safetensors", kVae);
    write_tensors(root() / "text_encoder/model.safetensors", kText);
  }
  // The UNet in two shards, with this weight_map.
  void write_shards(const json& weight_map) {
    write_tensors(root() / "unet/a.safetensors", {kUNet[0]});
    write_tensors(root() / "unet/b.safetensors", {kUNet[1], kUNet[2]});
    test::write_file(root() / "unet/diffusion_pytorch_model.safetensors.index.json",
                     json{{"metadata", {}}, {"weight_map", weight_map}}.dump());
  }
  static json sound_map() {
    return {{kUNet[0].first, "a.safetensors"}, {kUNet[1].first, "b.safetensors"}, {kUNet[2].first, "b.safetensors"}};
  }
  std::string error(const std::string& variant = {}) { return error_at(root(), variant); }
  static std::string error_at(const fs::path& path, const std::string& variant = {}) {
    try {
      open_diffusers_folder(path, variant);
    } catch (const Error& e) {
      EXPECT_TRUE(e.kind() == ErrorKind::kData || e.kind() == ErrorKind::kNoInput);
      EXPECT_THAT(e.what(), HasSubstr("sumi_test_"));
      EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
      return e.what();
    }
    return "no error";
  }
  float value_of(const std::string& variant = {}) {
    return open_diffusers_folder(root(), variant)
        ->tensor("model.diffusion_model.input_blocks.0.0.weight")
        .host<float>()[0];
  }
  test::TempFolder temp_;
};

TEST_F(Folder, NamesAndShapesAreCompVis) {
  write_all();
  const auto checkpoint = open_diffusers_folder(root());
  EXPECT_EQ(checkpoint->format(), "diffusers folder");
  EXPECT_EQ(checkpoint->path(), root());
  EXPECT_EQ(checkpoint->tensors().size(), 6u);
  EXPECT_TRUE(checkpoint->has("model.diffusion_model.input_blocks.1.0.in_layers.0.weight"));
  EXPECT_TRUE(checkpoint->has("first_stage_model.decoder.up.0.block.0.norm1.weight"));
  EXPECT_TRUE(checkpoint->has("cond_stage_model.transformer.text_model.final_layer_norm.weight"));
  const char* query = "first_stage_model.decoder.mid.attn_1.q.weight";
  ASSERT_TRUE(checkpoint->has(query));
  EXPECT_EQ(checkpoint->find(query)->shape, (Shape{4, 4, 1, 1}));
  EXPECT_EQ(checkpoint->tensor(query).shape(), (Shape{4, 4, 1, 1}));
  EXPECT_EQ(checkpoint->tensor(query).host<float>()[15], 1.0f);
  EXPECT_THROW(checkpoint->tensor("conv_in.weight"), Error);
}

TEST_F(Folder, WhatHasNoCompVisNameKeepsItsOwn) {
  write_tensors(root() / "unet/diffusion_pytorch_model.safetensors",
                {kUNet[0], {"add_embedding.linear_1.weight", {2, 2}}});
  const auto checkpoint = open_diffusers_folder(root());
  EXPECT_TRUE(checkpoint->has("model.diffusion_model.add_embedding.linear_1.weight"));
}

TEST_F(Folder, OnlyTheUNetMustBeThere) {
  EXPECT_THAT(error(), HasSubstr("no weights of the UNet"));
  write_unet();
  EXPECT_EQ(open_diffusers_folder(root())->tensors().size(), 3u);
}

TEST_F(Folder, Item86NoModelIndex) {
  write_all();
  EXPECT_THAT(error_at(root() / "unet"), HasSubstr("no model_index.json here"));
  test::write_file(root() / "unet/config.json", "{}");
  EXPECT_THAT(error_at(root() / "unet"),
              AllOf(HasSubstr("one component of a model; give the folder above"), HasSubstr(root().string())));
  fs::remove(root() / "model_index.json");
  EXPECT_THAT(error(), HasSubstr("it has a unet/"));
  EXPECT_THAT(error_at(root() / "unet"), HasSubstr("give the folder that holds unet, vae and text_encoder"));
  test::write_file(outside() / "v1-5.ckpt", "x");
  EXPECT_THAT(error_at(outside()), HasSubstr("give the checkpoint in it"));
  fs::create_directories(temp_ / "models--a--b/snapshots/1");
  EXPECT_THAT(error_at(temp_ / "models--a--b"), HasSubstr("one of the folders in its snapshots/"));
  EXPECT_THAT(error_at(temp_ / "models--a--b/snapshots/1"), HasSubstr("or a single file"));
  test::write_file(root() / "model_index.json", "[]");
  EXPECT_THAT(error(), HasSubstr("not a JSON object"));
}

TEST_F(Folder, FullPrecisionFirstThenVariants) {
  const fs::path unet = root() / "unet";
  write_tensors(unet / "diffusion_pytorch_model.fp16.safetensors", kUNet, 16.0f);
  EXPECT_EQ(value_of(), 16.0f);
  EXPECT_EQ(value_of("fp16"), 16.0f);
  write_tensors(unet / "diffusion_pytorch_model.safetensors", kUNet, 32.0f);
  EXPECT_EQ(value_of(), 32.0f);
  EXPECT_EQ(value_of("fp16"), 16.0f);
  EXPECT_THAT(error("bf16"),
              AllOf(HasSubstr("no diffusion_pytorch_model.bf16.safetensors"), HasSubstr("the requested variant")));
}

TEST_F(Folder, WeightsUnderNamesThatAreNotKnown) {
  write_tensors(root() / "unet/weights.safetensors", kUNet);
  EXPECT_THAT(error(), AllOf(HasSubstr("no diffusion_pytorch_model.safetensors"), HasSubstr("has a known name")));
}

TEST_F(Folder, TorchFiles) {
  const float value = 7.0f;
  std::vector<tools::StreamedTensor> tensors;
  for (const auto& [name, shape] : kUNet) {
    tensors.push_back({name, DType::kF32, shape, [value](std::span<std::byte> out) {
                         for (size_t i = 0; i < out.size(); i += sizeof value)
                           std::memcpy(&out[i], &value, sizeof value);
                       }});
  }
  fs::create_directories(root() / "unet");
  tools::stream_torch_checkpoint(root() / "unet/diffusion_pytorch_model.bin", tensors);
  EXPECT_EQ(value_of(), value);
}

TEST_F(Folder, Shards) {
  write_shards(sound_map());
  const auto checkpoint = open_diffusers_folder(root());
  EXPECT_EQ(checkpoint->tensors().size(), 3u);
  EXPECT_EQ(checkpoint->tensor("model.diffusion_model.output_blocks.0.0.in_layers.0.weight").shape(), (Shape{8}));
}

TEST_F(Folder, ShardsOfAVariantUnderEitherName) {
  for (const char* name :
       {"diffusion_pytorch_model.fp16.safetensors.index.json", "diffusion_pytorch_model.safetensors.index.fp16.json"}) {
    write_shards(sound_map());
    fs::rename(root() / "unet/diffusion_pytorch_model.safetensors.index.json", root() / "unet" / name);
    EXPECT_EQ(value_of("fp16"), 1.0f) << name;
    fs::remove(root() / "unet" / name);
  }
}

TEST_F(Folder, Item87AbsoluteShard) {
  write_tensors(outside() / "b.safetensors", {kUNet[1], kUNet[2]});
  for (const std::string& shard :
       {(outside() / "b.safetensors").string(), std::string("C:\\b.safetensors"), std::string("\\\\host\\b")}) {
    json map = sound_map();
    map[kUNet[1].first] = shard;
    write_shards(map);
    EXPECT_THAT(error(), AllOf(HasSubstr("index.json"), HasSubstr("by an absolute path")));
  }
}

TEST_F(Folder, Item88ShardAbove) {
  write_tensors(outside() / "b.safetensors", {kUNet[1], kUNet[2]});
  for (const char* shard : {"../../outside/b.safetensors", "..", "x/../../b.safetensors", "../unet/b.safetensors"}) {
    json map = sound_map();
    map[kUNet[1].first] = shard;
    write_shards(map);
    EXPECT_THAT(error(), HasSubstr("leads out of the folder"));
  }
}

TEST_F(Folder, Item89LinkOutOfTheFolder) {
  write_shards(sound_map());
  fs::create_directories(outside());
  fs::rename(root() / "unet/b.safetensors", outside() / "b.safetensors");
  fs::create_symlink(outside() / "b.safetensors", root() / "unet/b.safetensors");
  EXPECT_THAT(error(), HasSubstr("a link that leads out of the model's folder"));
  fs::remove(root() / "unet/b.safetensors");
  fs::create_symlink(root() / "unet/nowhere", root() / "unet/b.safetensors");
  EXPECT_THAT(error(), HasSubstr("a link to a missing file"));
}

TEST_F(Folder, Item89AWholeComponentThatIsALink) {
  write_tensors(outside() / "diffusion_pytorch_model.safetensors", kUNet);
  fs::create_directory_symlink(outside(), root() / "unet");
  EXPECT_THAT(error(), HasSubstr("a link that leads out of the model's folder"));
}

TEST_F(Folder, LinksInsideTheFolder) {
  write_tensors(root() / "weights/x.safetensors", kUNet);
  fs::create_directories(root() / "unet");
  fs::create_symlink("../weights/x.safetensors", root() / "unet/diffusion_pytorch_model.safetensors");
  EXPECT_EQ(open_diffusers_folder(root())->tensors().size(), 3u);
  fs::create_directory_symlink(root(), temp_ / "alias");
  EXPECT_EQ(open_diffusers_folder(temp_ / "alias")->tensors().size(), 3u);
}

TEST_F(Folder, LinksOfTheHuggingFaceCache) {
  const fs::path repository = temp_ / "models--a--b", snapshot = repository / "snapshots/0123abcd";
  write_tensors(repository / "blobs/beef", kUNet);
  test::write_file(repository / "blobs/cafe", "{}");
  fs::create_directories(snapshot / "unet");
  fs::create_symlink("../../blobs/cafe", snapshot / "model_index.json");
  fs::create_symlink("../../../blobs/beef", snapshot / "unet/diffusion_pytorch_model.safetensors");
  EXPECT_EQ(open_diffusers_folder(snapshot)->tensors().size(), 3u);
  // The blobs of another repository are another model's.
  fs::rename(repository / "blobs", temp_ / "blobs");
  fs::create_directories(repository / "blobs");
  fs::rename(temp_ / "blobs/cafe", repository / "blobs/cafe");
  fs::remove(snapshot / "unet/diffusion_pytorch_model.safetensors");
  fs::create_symlink(temp_ / "blobs/beef", snapshot / "unet/diffusion_pytorch_model.safetensors");
  EXPECT_THAT(error_at(snapshot), HasSubstr("a link that leads out of the model's folder"));
}

TEST_F(Folder, Item90AbsentTensor) {
  json map = sound_map();
  map["conv_out.weight"] = "a.safetensors";
  write_shards(map);
  EXPECT_THAT(error(),
              AllOf(HasSubstr("weight_map puts tensor \"conv_out.weight\" in a.safetensors, which does not hold it")));
  map.erase("conv_out.weight");
  map[kUNet[1].first] = "a.safetensors";
  write_shards(map);
  EXPECT_THAT(error(), HasSubstr("which does not hold it"));
  map[kUNet[1].first] = "c.safetensors";
  write_shards(map);
  EXPECT_THAT(error(), HasSubstr("c.safetensors: no such file"));
}

TEST_F(Folder, Item91OneTensorInTwoShards) {
  write_shards(sound_map());
  write_tensors(root() / "unet/b.safetensors", {kUNet[0], kUNet[1], kUNet[2]});
  EXPECT_THAT(error(), AllOf(HasSubstr("\"conv_in.weight\" is also in"), HasSubstr("a.safetensors")));
  test::write_file(root() / "unet/diffusion_pytorch_model.safetensors.index.json",
                   R"({"weight_map": {"conv_in.weight": "a.safetensors", "conv_in.weight": "b.safetensors"}})");
  EXPECT_THAT(error(), HasSubstr("\"conv_in.weight\" appears twice"));
}

TEST_F(Folder, OneParameterUnderTwoNames) {
  write_tensors(root() / "unet/diffusion_pytorch_model.safetensors",
                {kUNet[0], {"input_blocks.0.0.weight", {4, 4, 3, 3}}});
  EXPECT_THAT(error(), HasSubstr("is also in"));
}

TEST_F(Folder, BadIndexes) {
  const fs::path index = root() / "unet/diffusion_pytorch_model.safetensors.index.json";
  for (const auto& [content, message] : {std::pair("[]", "no weight_map"),
                                         {"{}", "no weight_map"},
                                         {R"({"weight_map": {}})", "no weight_map"},
                                         {R"({"weight_map": []})", "no weight_map"},
                                         {R"({"weight_map": {"a": 1}})", "is not a name"},
                                         {R"({"weight_map": {"a": ""}})", "not a file name"},
                                         {R"({"weight_map": {"a": "x\u0000"}})", "not a file name"},
                                         {R"({"weight_map": {"a": "."}})", ""},
                                         {"{", "not valid JSON"},
                                         {R"({"weight_map": {"a": "\ud800"}})", "not valid JSON"}}) {
    test::write_file(index, content);
    EXPECT_THAT(error(), AllOf(HasSubstr(message), testing::Not("no error"))) << content;
  }
  json many;
  for (int i = 0; i < 1001; ++i) {
    const std::string name = std::to_string(i);
    many[name] = name;
    test::write_file(root() / "unet" / name, "");
  }
  test::write_file(index, json{{"weight_map", many}}.dump());
  EXPECT_THAT(error(), HasSubstr("more than 1000 shards"));
}

// The synthetic model as a folder holds the same as the single file.
TEST(SyntheticFolder, EqualsTheSingleFile) {
  const auto folder = open_diffusers_folder(test::synthetic_model({.format = tools::CheckpointFormat::kDiffusers}));
  const auto file = io::open_safetensors(test::synthetic_model());
  int compared = 0;
  for (const auto& entry : tools::checkpoint_layout(tools::synthetic_config("tiny"))) {
    if (entry.component.empty()) continue;
    ASSERT_TRUE(folder->has(entry.name)) << entry.name;
    EXPECT_EQ(folder->find(entry.name)->shape, entry.shape) << entry.name;
    const Tensor a = folder->tensor(entry.name), b = file->tensor(entry.name);
    EXPECT_EQ(a.shape(), entry.shape);
    ASSERT_EQ(a.bytes(), b.bytes());
    EXPECT_TRUE(test::same_bytes(a, b)) << entry.name;
    ++compared;
  }
  EXPECT_EQ(compared, static_cast<int>(folder->tensors().size()));
  EXPECT_TRUE(folder->tensor("model.diffusion_model.out.2.weight")
                  .same_elements(folder->tensor("model.diffusion_model.out.2.weight")));
}

}  // namespace
}  // namespace sumi::models
