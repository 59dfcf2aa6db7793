// The tiny synthetic model through the public interface, with a vocabulary of bytes and a LoRA for it.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "io/safetensors.h"
#include "sumi/engine.h"
#include "tests/support/random_tensor.h"
#include "tests/support/synthetic_models.h"
#include "tests/support/temp_folder.h"

namespace sumi::test {

inline ModelOptions tiny_options(const std::filesystem::path& vocabulary) {
  return {.path = synthetic_model().string(),
          .config = std::string(SUMI_TEST_DATA) + "/tiny.yaml",
          .tokenizer = vocabulary.string()};
}

// A LoRA of that rank on every linear layer of the tiny model's attentions.
inline void write_tiny_lora(const std::filesystem::path& file, int64_t rank) {
  const auto model = io::open_checkpoint(synthetic_model());
  const std::string prefix = "model.diffusion_model.";
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const io::TensorInfo& info : model->tensors()) {
    if (!info.name.starts_with(prefix) || info.name.find("attn") == std::string::npos || info.shape.rank() != 2)
      continue;
    std::string name =
        info.name.substr(prefix.size(), info.name.size() - prefix.size() - std::string(".weight").size());
    std::replace(name.begin(), name.end(), '.', '_');
    tensors.emplace_back("lora_unet_" + name + ".lora_down.weight", random({rank, info.shape[1]}, 0.2f));
    tensors.emplace_back("lora_unet_" + name + ".lora_up.weight", random({info.shape[0], rank}, 0.2f));
  }
  io::write_safetensors(file, tensors);
}

// All pictures of a job, in order.
inline std::vector<Picture> draw(const Model& model, const Request& request) {
  std::vector<Picture> pictures;
  Job job = model.prepare(request);
  job.run({.picture = [&](Picture&& picture) { pictures.push_back(std::move(picture)); }});
  return pictures;
}

}  // namespace sumi::test
