// For tests of adapter files: a small UNet and text encoder, and what they give with a file's changes.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "io/safetensors.h"
#include "models/clip_text/clip_text.h"
#include "models/lora.h"
#include "models/unet/unet.h"
#include "ops/layout.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_parameters.h"
#include "tests/support/temp_folder.h"

namespace sumi::models::lora {

using Named = std::vector<std::pair<std::string, Tensor>>;

class AdapterFiles : public testing::Test {
 protected:
  AdapterFiles() : unet_(unet_config()), text_(text_config()) {
    test::fill_synthetic(unet_, "model.diffusion_model.");
    test::fill_synthetic(text_, "cond_stage_model.transformer.text_model.");
  }

  static UNetConfig unet_config() {
    return {.model_channels = 32,
            .num_res_blocks = {1},
            .channel_mult = {1, 2},
            .transformer_depth = {1, 1},
            .num_heads = 4,
            .context_dim = 16};
  }
  static ClipTextConfig text_config() {
    return {.vocab_size = 64, .max_positions = 8, .hidden_size = 96, .layers = 2, .heads = 1, .intermediate_size = 128};
  }

  struct Result {
    Tensor noise, states;
    std::vector<std::string> warnings;
    bool operator==(const Result& other) const {
      return test::same_bytes(noise, other.noise) && test::same_bytes(states, other.states);
    }
  };

  Result run() const {
    return {.noise = unet_(x_, {10.0, 500.0}, {.sequence = context_}), .states = text_.encode(ids_, {}).hidden};
  }

  std::filesystem::path write(const Named& tensors, const std::map<std::string, std::string>& metadata = {}) const {
    const std::filesystem::path path = folder_ / "adapters.safetensors";
    io::write_safetensors(path, tensors, metadata);
    return path;
  }

  Result with_file(const std::filesystem::path& path, LoraWeights weights = {}) {
    CollectWarnings warnings;
    nn::Adapters adapters;
    add_lora(*io::open_checkpoint(path), weights, {.unet = &unet_, .texts = {&text_}}, adapters);
    adapters.finish();
    const nn::AdaptersScope scope(&adapters);
    Result result = run();
    result.warnings = warnings.messages();
    return result;
  }
  Result with(const Named& tensors, LoraWeights weights = {}, const std::map<std::string, std::string>& metadata = {}) {
    return with_file(write(tensors, metadata), weights);
  }

  // The sentence of the error that the file is refused with; empty if it is not.
  std::string refusal(const Named& tensors, const std::map<std::string, std::string>& metadata = {}) {
    try {
      with(tensors, {}, metadata);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
      return error.what();
    }
    return {};
  }

  nn::Param& param(nn::Module& module, const std::string& name) {
    nn::Param* found = nullptr;
    nn::for_each_param(module, "", [&](const std::string& other, nn::Param& param) {
      if (other == name) found = &param;
    });
    EXPECT_NE(found, nullptr) << name;
    return *found;
  }

  UNet unet_;
  ClipText text_;
  const Tensor x_ = test::random({2, 8, 8, 4}), context_ = test::random({2, 5, 16});
  const Tensor ids_ = Tensor::from(std::vector<int64_t>{3, 14, 15, 9}, {1, 4});
  test::TempFolder folder_;
};

}  // namespace sumi::models::lora
