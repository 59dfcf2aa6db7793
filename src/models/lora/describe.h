// What an adapter file is, for people: `sumi inspect`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace sumi::models {

struct AdapterDescription {
  std::map<std::string, int64_t> kinds;  // "LoRA", "DoRA (LoRA)", "LoKr", …: how many layers
  std::map<int64_t, int64_t> ranks;      // how many layers have it
  std::vector<double> alphas;            // the different ones, rising; empty: none, which means the rank
  int64_t unet_layers = 0, text_layers = 0;
  std::vector<std::string> words;    // trained words, the most frequent first; from the file's metadata
  std::string base_model;            // as the metadata call it; may be empty
  std::vector<std::string> bundled;  // embeddings that come with it
  int64_t others = 0;                // tensors that are none of these
};

// nullopt if the file holds no change of a layer. Throws Error(kData) as add_lora does for what names tell.
std::optional<AdapterDescription> describe_adapters(const io::Checkpoint& file);

}  // namespace sumi::models
