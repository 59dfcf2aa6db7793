// Names in adapter files: LoRA and its kin, under every spelling that programs write.
//
// kohya and LyCORIS  lora_unet_down_blocks_0_…_to_q.lora_down.weight, lora_te_…, lora_te1_…, lora_te2_…; .alpha, …
// diffusers, PEFT    unet.down_blocks.0.….to_q.lora_A.weight, text_encoder.…; base_model.model.…, lora_A.default.weight
// diffusers, older   ….to_q.lora.down.weight, ….lora_linear_layer.down.weight, ….attn1.processor.to_q_lora.down.weight
// ComfyUI            diffusion_model.input_blocks.1.1.…, text_encoders.clip_l.transformer.…
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "models/loading/name_map.h"

namespace sumi::models::lora {

// What a tensor is to the change of a layer.
enum class Part : unsigned char {
  kDown,
  kUp,
  kMid,  // LoRA; kMid is the core of a Tucker decomposition
  kAlpha,
  kScalar,  // factors
  kMagnitude,
  kOutMagnitude,  // DoRA: LyCORIS's, and diffusers', which is always the output's
  kHada1A,
  kHada1B,
  kHada2A,
  kHada2B,
  kHadaT1,
  kHadaT2,  // LoHa
  kLokr1,
  kLokr1A,
  kLokr1B,
  kLokr2,
  kLokr2A,
  kLokr2B,
  kLokrT2,
  kIa3,
  kOnInput,  // (IA)³
  kDiff,
  kDiffBias,  // full differences
  kNorm,
  kNormBias,    // the same of a norm
  kUpBias,      // of the factor `up`: PEFT's lora_bias
  kUnsupported  // of a kind that is known and not read: OFT, BOFT, GLoRA
};

struct Key {
  std::string module;  // the layer's name as the file spells it, its prefix included
  Part part;
  std::string adapter;         // PEFT's name of the adapter; usually empty
  std::string_view kind = {};  // of kUnsupported: "OFT"
};

// nullopt: no ending that is known.
std::optional<Key> split(const std::string& name);

// Which of a model's networks a name belongs to: the UNet, or a text encoder counted from 1.
inline constexpr int kUNet = 0;

// A place that a module's name may stand for.
struct Place {
  int network;
  std::string layer;  // the layer's name in its network with '_' for '.'
  bool certain;       // the name says which network it is, even if the layer is unknown
};
std::vector<Place> places_of(const std::string& module);

// The layers of one network under every spelling of their names, without '.'.
class LayerNames {
 public:
  // `unet`: the names of a UNet's parameters, CompVis's, without prefix. May be empty.
  explicit LayerNames(const std::set<std::string>& unet);
  // Of the layer `name` of that network: "input_blocks.1.1.proj_in", "encoder.layers.0.mlp.fc1".
  std::vector<std::string> operator()(int network, const std::string& name) const;
  // kohya's: "lora_unet_down_blocks_0_attentions_0_proj_in". Empty if the UNet's tables do not hold it.
  std::string kohya(int network, const std::string& name) const;

 private:
  std::optional<std::string> diffusers(const std::string& name) const;

  std::optional<NameMap> unet_;
};

// What a name that no table holds suggests, as the end of a sentence: "; it looks made for Stable Diffusion XL".
std::string hint(const std::vector<std::string>& names);

}  // namespace sumi::models::lora
