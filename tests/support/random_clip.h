// A small CLIP model of random weights, under the names of transformers' CLIPModel.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "io/safetensors.h"
#include "tests/support/random_tensor.h"

namespace sumi::test {

class RandomClip {
 public:
  // Pixels, widths, and tokens of a text.
  static constexpr int64_t kSide = 8, kPatch = 4, kVision = 128, kText = 64, kCommon = 24, kPositions = 6;

  explicit RandomClip(int64_t vocabulary) {
    const auto add = [&](const std::string& name, const Shape& shape, float scale, float offset = 0.0f) {
      named_[name] = random(shape, scale, offset);
    };
    const auto norm = [&](const std::string& name, int64_t width) {
      add(name + ".weight", {width}, 0.1f, 1.0f);
      add(name + ".bias", {width}, 0.1f);
    };
    const auto layers = [&](const std::string& half, int64_t width) {
      for (int64_t i = 0; i < 2; ++i) {
        const std::string layer = half + "encoder.layers." + std::to_string(i) + ".";
        for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
          add(layer + "self_attn." + name + ".weight", {width, width}, 0.15f);
          add(layer + "self_attn." + name + ".bias", {width}, 0.1f);
        }
        norm(layer + "layer_norm1", width);
        norm(layer + "layer_norm2", width);
        add(layer + "mlp.fc1.weight", {2 * width, width}, 0.1f);
        add(layer + "mlp.fc1.bias", {2 * width}, 0.1f);
        add(layer + "mlp.fc2.weight", {width, 2 * width}, 0.1f);
        add(layer + "mlp.fc2.bias", {width}, 0.1f);
      }
    };
    add("text_model.embeddings.token_embedding.weight", {vocabulary, kText}, 0.5f);
    add("text_model.embeddings.position_embedding.weight", {kPositions, kText}, 0.5f);
    layers("text_model.", kText);
    norm("text_model.final_layer_norm", kText);
    add("vision_model.embeddings.class_embedding", {kVision}, 0.5f);
    add("vision_model.embeddings.patch_embedding.weight", {kVision, 3, kPatch, kPatch}, 0.2f);
    add("vision_model.embeddings.position_embedding.weight", {5, kVision}, 0.5f);
    norm("vision_model.pre_layrnorm", kVision);
    layers("vision_model.", kVision);
    norm("vision_model.post_layernorm", kVision);
    add("text_projection.weight", {kCommon, kText}, 0.2f);
    add("visual_projection.weight", {kCommon, kVision}, 0.2f);
    named_["logit_scale"] = Tensor::full({}, 4.6f);
  }

  const Tensor& operator[](const std::string& name) const { return named_.at(name); }

  void write(const std::filesystem::path& path, const std::string& without = "") const {
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const auto& [name, value] : named_) {
      if (name != without) tensors.emplace_back(name, value);
    }
    io::write_safetensors(path, tensors);
  }

 private:
  std::map<std::string, Tensor> named_;
};

}  // namespace sumi::test
