// Safety checkers from every kind of file, and from broken ones.
#include "models/safety/safety_checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "tests/support/random_tensor.h"
#include "tests/support/rejected.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_safety.h"
#include "tools/torch_zip.h"

namespace sumi::models {
namespace {

namespace fs = std::filesystem;
using test::NamedTensors;
using test::write_file;
using testing::HasSubstr;

class SafetyCheckerTest : public testing::Test {
 protected:
  // What a checker makes of one picture, by which it is known.
  static Tensor embeds_of(const fs::path& path) {
    static const Tensor kPicture = test::random({1, 32, 32, 3}, 1.0f);
    return SafetyChecker(path).look(kPicture).embeds;
  }
  std::string rejected(const fs::path& path) const {
    return test::rejection(path, [&] { SafetyChecker checker(path); });
  }
  // The message for a folder whose weights are changed.
  std::string rejected_with(const std::function<void(NamedTensors&)>& change) const {
    const fs::path folder = here_ / "changed";
    fs::remove_all(folder);
    NamedTensors tensors = test::synthetic_safety();
    change(tensors);
    test::write_safety_folder(folder, tensors);
    return rejected(folder / "model.safetensors");
  }
  std::string rejected_json(const std::string& name, const std::string& from, const std::string& to) const {
    const fs::path folder = here_ / "json";
    fs::remove_all(folder);
    test::write_safety_folder(folder);
    std::string text = read(folder / name);
    const size_t at = text.find(from);
    if (at == std::string::npos) throw std::runtime_error(name + " has no " + from);
    write_file(folder / name, text.replace(at, from.size(), to));
    return rejected(folder);
  }
  static std::string read(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  test::TempFolder here_;
};

void rename_all(NamedTensors& tensors, const std::function<std::string(std::string)>& name) {
  for (auto& entry : tensors) entry.first = name(entry.first);
}

// As torch.save writes it.
void write_torch(const fs::path& path, const NamedTensors& tensors) {
  std::vector<tools::PickledTensor> pickled;
  for (const auto& [name, value] : tensors) pickled.push_back({name, "FloatStorage", value.shape().dims()});
  AtomicFile file(path);
  tools::TorchZipWriter zip(file);
  zip.add("archive/data.pkl", tools::pickle_state_dict(pickled));
  for (size_t i = 0; i < tensors.size(); ++i) {
    const HostView<std::byte> bytes(tensors[i].second);
    zip.add("archive/data/" + std::to_string(i), bytes.span());
  }
  zip.add("archive/version", "3\n");
  zip.finish();
  file.commit();
}

Tensor& named(NamedTensors& tensors, const std::string& name) {
  for (auto& entry : tensors) {
    if (entry.first == name) return entry.second;
  }
  throw std::runtime_error("no tensor " + name);
}

TEST_F(SafetyCheckerTest, OpensEveryKindOfFile) {
  test::write_safety_folder(here_ / "pipeline/safety_checker");
  const Tensor want = embeds_of(here_ / "pipeline/safety_checker");
  const auto expect_same = [&](const fs::path& path) { EXPECT_TRUE(test::same_bytes(embeds_of(path), want)) << path; };
  expect_same(here_ / "pipeline");
  expect_same(here_ / "pipeline/safety_checker/model.safetensors");
  expect_same(here_ / "pipeline/safety_checker/");
  test::write_safety_folder(here_ / "torch");
  write_torch(here_ / "torch/pytorch_model.bin", test::synthetic_safety());
  fs::remove(here_ / "torch/model.safetensors");
  expect_same(here_ / "torch");
  expect_same(here_ / "torch/pytorch_model.bin");
  const auto variant = [&](const std::string& folder, const std::function<std::string(std::string)>& name) {
    NamedTensors tensors = test::synthetic_safety();
    rename_all(tensors, name);
    tensors.emplace_back(name("vision_model.vision_model.embeddings.position_ids"),
                         Tensor::from(std::vector<int64_t>(17, 0), {1, 17}));
    test::write_safety_folder(here_ / folder, tensors);
    expect_same(here_ / folder);
  };
  variant("old", [](std::string name) { return name; });
  variant("wrapped", [](const std::string& name) { return "module." + name; });
  variant("flat", [](const std::string& name) {
    return name.starts_with("vision_model.vision_model.") ? name.substr(13) : name;
  });
}

// Where every file is a link to the repository's blobs; a link elsewhere is refused.
TEST_F(SafetyCheckerTest, OpensTheCacheOfHuggingFace) {
  const fs::path snapshot = here_ / "models--a--b/snapshots/123", checker = snapshot / "safety_checker";
  test::write_safety_folder(here_ / "plain");
  fs::create_directories(checker);
  fs::create_directories(here_ / "models--a--b/blobs");
  for (const std::string name : {"config.json", "model.safetensors"}) {
    fs::copy_file(here_ / "plain" / name, here_ / "models--a--b/blobs" / name);
    fs::create_symlink("../../../blobs/" + name, checker / name);
  }
  const Tensor want = embeds_of(here_ / "plain");
  EXPECT_TRUE(test::same_bytes(embeds_of(snapshot), want));
  EXPECT_TRUE(test::same_bytes(embeds_of(checker), want));
  fs::remove(checker / "model.safetensors");
  fs::create_symlink(here_ / "plain/model.safetensors", checker / "model.safetensors");
  EXPECT_THAT(test::rejection(checker / "model.safetensors", [&] { SafetyChecker opened(checker); }),
              HasSubstr("leads out"));
}

TEST_F(SafetyCheckerTest, AFileWithoutAConfigurationHasHeadsOf64Channels) {
  io::write_safetensors(here_ / "alone.safetensors", test::synthetic_safety());
  const CollectWarnings warnings;
  const Tensor alone = embeds_of(here_ / "alone.safetensors");
  EXPECT_THAT(warnings.messages(), testing::ElementsAre(HasSubstr("heads of 64 channels are assumed: 1 in a layer")));
  test::write_safety_folder(here_ / "folder");
  EXPECT_FALSE(test::same_bytes(alone, embeds_of(here_ / "folder")));  // it has 4
  write_file(here_ / "config.json", R"({"vision_config": {"num_attention_heads": 4}})");
  EXPECT_TRUE(test::same_bytes(embeds_of(here_ / "alone.safetensors"), embeds_of(here_ / "folder")));
  write_file(here_ / "config.json", R"({"_class_name": "AutoencoderKL"})");  // of something else
  EXPECT_TRUE(test::same_bytes(embeds_of(here_ / "alone.safetensors"), alone));
}

TEST_F(SafetyCheckerTest, OneOfSpecialCareLowersTheThresholdsThatFollow) {
  test::write_safety_folder(here_ / "folder");
  SafetyChecker checker(here_ / "folder");
  checker.set_thresholds(std::vector<float>(17, 0.5f), {0.5f, 0.25f, 0.5f});
  SafetyStates states{.special_cos = Tensor::from<float>({0.495f, 0.2506f, 0.495f, 0.495f, 0.2504f, 0.49f}, {2, 3}),
                      .concept_cos = Tensor::full({2, 17}, 0.4906f)};
  const std::vector<SafetyReport> reports = checker.judge(states);
  EXPECT_EQ(reports[0].special, (std::vector<float>{-0.005f, 0.001f, 0.005f}));
  EXPECT_EQ(reports[0].concepts, std::vector<float>(17, 0.001f));
  EXPECT_TRUE(reports[0].flagged);
  EXPECT_EQ(reports[1].special, (std::vector<float>{-0.005f, 0.0f, -0.01f}));
  EXPECT_EQ(reports[1].concepts, std::vector<float>(17, -0.009f));
  EXPECT_FALSE(reports[1].flagged);
  EXPECT_THROW(checker.set_thresholds({0.5f}, {0.5f, 0.5f, 0.5f}), Error);
  states.concept_cos = Tensor::full({2, 17}, NAN);
  EXPECT_THROW(checker.judge(states), Error);
}

TEST_F(SafetyCheckerTest, CountsItsMemory) {
  test::write_safety_folder(here_ / "folder");
  const SafetyChecker checker(here_ / "folder");
  int64_t bytes = 0;
  for (const auto& [name, value] : test::synthetic_safety()) bytes += value.bytes();
  EXPECT_EQ(checker.weight_bytes(), bytes);
  EXPECT_EQ(checker.mapped_bytes(), bytes);
  EXPECT_GT(checker.activation_bytes(), 4 * 17 * (64 + 256));
}

TEST_F(SafetyCheckerTest, RefusesWeightsThatAreNone) {
  EXPECT_THAT(rejected_with([](NamedTensors& t) { t.erase(t.begin(), t.begin() + 1); }), HasSubstr("concept_embeds"));
  EXPECT_THAT(rejected_with([](NamedTensors& t) { rename_all(t, [](const std::string& n) { return "x" + n + "x"; }); }),
              HasSubstr("a safety checker is needed"));
  EXPECT_THAT(rejected_with([](NamedTensors& t) {
                named(t, "concept_embeds") = Tensor::zeros({17, 47});
              }),
              HasSubstr("concept_embeds is [17, 47] and should be [17, 48]"));
  EXPECT_THAT(rejected_with([](NamedTensors& t) { named(t, "special_care_embeds_weights") = Tensor::zeros({4}); }),
              HasSubstr("special_care_embeds is [3, 48] and should be [4, 48]"));
  EXPECT_THAT(rejected_with([](NamedTensors& t) {
                named(t, "vision_model.vision_model.embeddings.position_embedding.weight") = Tensor::zeros({18, 64});
              }),
              HasSubstr("18 places"));
  EXPECT_THAT(
      rejected_with([](NamedTensors& t) {
        named(t, "vision_model.vision_model.encoder.layers.1.self_attn.k_proj.weight") = Tensor::zeros({64, 63});
      }),
      HasSubstr("misshapen"));
  EXPECT_THAT(rejected_with([](NamedTensors& t) {
                named(t, "vision_model.vision_model.embeddings.patch_embedding.weight") = Tensor::zeros({64, 3, 0, 0});
              }),
              HasSubstr("patches of 0 pixels"));
  EXPECT_THAT(rejected_with([](NamedTensors& t) { named(t, "visual_projection.weight") = Tensor::zeros({48}); }),
              HasSubstr("visual_projection.weight of 2 dimensions"));
}

TEST_F(SafetyCheckerTest, RefusesBrokenFiles) {
  test::write_safety_folder(here_ / "whole");
  const std::string weights = read(here_ / "whole/model.safetensors"), picture = read(test::safety_data() / "3.png");
  write_file(here_ / "cut.safetensors", weights.substr(0, weights.size() / 2));
  EXPECT_THAT(rejected(here_ / "cut.safetensors"), HasSubstr("cut.safetensors"));
  write_file(here_ / "head.safetensors", weights.substr(0, 100));
  EXPECT_NE(rejected(here_ / "head.safetensors"), "");
  write_file(here_ / "picture.bin", picture);
  EXPECT_NE(rejected(here_ / "picture.bin"), "");
  write_file(here_ / "empty.pt", "");
  EXPECT_NE(rejected(here_ / "empty.pt"), "");
  EXPECT_NE(rejected(here_ / "missing.safetensors"), "");
  fs::create_directories(here_ / "nothing");
  EXPECT_THAT(rejected(here_ / "nothing"), HasSubstr("has no model.safetensors or pytorch_model.bin"));
  test::write_safety_folder(here_ / "picture");
  write_file(here_ / "picture/model.safetensors", picture);
  EXPECT_NE(rejected(here_ / "picture/model.safetensors"), "");
}

TEST_F(SafetyCheckerTest, RefusesConfigurationsOfOtherModels) {
  test::write_safety_folder(here_ / "bare");
  fs::remove(here_ / "bare/config.json");
  EXPECT_THAT(test::rejection(here_ / "bare", [&] { SafetyChecker checker(here_ / "bare"); }),
              HasSubstr("config.json: no such file"));
  const std::string config = "config.json", preprocessor = "preprocessor_config.json";
  EXPECT_THAT(rejected_json(config, "\"vision_config\"", "\"text_config\""), HasSubstr("no vision_config"));
  EXPECT_THAT(rejected_json(config, "\"hidden_size\": 64", "\"hidden_size\": 128"),
              HasSubstr("hidden_size is 128, but the weights are of 64"));
  EXPECT_THAT(rejected_json(config, "\"num_attention_heads\": 4", "\"num_attention_heads\": 5"),
              HasSubstr("5 heads do not divide"));
  EXPECT_THAT(rejected_json(config, "\"num_attention_heads\": 4", "\"num_attention_heads\": -4"),
              HasSubstr("num_attention_heads is -4"));
  EXPECT_THAT(rejected_json(config, "\"quick_gelu\"", "\"relu\""), HasSubstr("only quick_gelu"));
  EXPECT_THAT(rejected_json(config, "1e-05", "\"small\""), HasSubstr("layer_norm_eps"));
  EXPECT_NE(rejected_json(config, "{", "["), "");
  EXPECT_THAT(rejected_json(preprocessor, "\"shortest_edge\": 32", "\"shortest_edge\": 224"), HasSubstr("only 32"));
  EXPECT_THAT(rejected_json(preprocessor, "\"resample\": 3", "\"resample\": 2"), HasSubstr("bicubic"));
  EXPECT_THAT(rejected_json(preprocessor, "0.48145466", "0.5"), HasSubstr("CLIP's mean"));
}

}  // namespace
}  // namespace sumi::models
