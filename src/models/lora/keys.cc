#include "models/lora/keys.h"

#include <algorithm>
#include <array>

#include "models/loading/prefixes.h"
#include "models/loading/unet_from_names.h"
#include "models/unet/topology.h"

namespace sumi::models::lora {
namespace {

std::string flat(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

struct Ending {
  std::string_view text;
  Part part;
  std::string_view kind = {};
};

// Longer endings before those that they end in.
constexpr Ending kEndings[] = {
    {".lora_down.weight", Part::kDown},
    {".lora_up.weight", Part::kUp},
    {".lora_up.bias", Part::kUpBias},
    {".lora_mid.weight", Part::kMid},
    {".lora.down.weight", Part::kDown},
    {".lora.up.weight", Part::kUp},
    {".lora_linear_layer.down.weight", Part::kDown},
    {".lora_linear_layer.up.weight", Part::kUp},
    {".alpha", Part::kAlpha},
    {".scalar", Part::kScalar},
    {".dora_scale", Part::kMagnitude},
    {".hada_w1_a", Part::kHada1A},
    {".hada_w1_b", Part::kHada1B},
    {".hada_w2_a", Part::kHada2A},
    {".hada_w2_b", Part::kHada2B},
    {".hada_t1", Part::kHadaT1},
    {".hada_t2", Part::kHadaT2},
    {".lokr_w1", Part::kLokr1},
    {".lokr_w1_a", Part::kLokr1A},
    {".lokr_w1_b", Part::kLokr1B},
    {".lokr_w2", Part::kLokr2},
    {".lokr_w2_a", Part::kLokr2A},
    {".lokr_w2_b", Part::kLokr2B},
    {".lokr_t2", Part::kLokrT2},
    {".on_input", Part::kOnInput},
    {".diff", Part::kDiff},
    {".diff_b", Part::kDiffBias},
    {".w_norm", Part::kNorm},
    {".b_norm", Part::kNormBias},
    {".oft_blocks", Part::kUnsupported, "OFT or BOFT"},
    {".oft_diag", Part::kUnsupported, "OFT"},
    {".oft_R.weight", Part::kUnsupported, "OFT"},
    {".oft_r", Part::kUnsupported, "OFT"},
    {".oft_s", Part::kUnsupported, "OFT"},
    {".rescale", Part::kUnsupported, "OFT or BOFT"},
    {".boft_R", Part::kUnsupported, "BOFT"},
    {".boft_s", Part::kUnsupported, "BOFT"},
    {".a1.weight", Part::kUnsupported, "GLoRA"},
    {".a2.weight", Part::kUnsupported, "GLoRA"},
    {".b1.weight", Part::kUnsupported, "GLoRA"},
    {".b2.weight", Part::kUnsupported, "GLoRA"},
    {".bias_indices", Part::kUnsupported, "sparse bias"},
    {".bias_values", Part::kUnsupported, "sparse bias"},
    {".bias_size", Part::kUnsupported, "sparse bias"},
};

// Diffusers' attention processors: "attn1.processor.to_q_lora" is the layer "attn1.to_q". Text encoders spell the
// layers of transformers' attention in the same way: "self_attn.to_q_lora" is "self_attn.q_proj".
std::optional<std::string> of_processor(const std::string& module) {
  static constexpr std::pair<std::string_view, std::string_view> kLayers[] = {
      {"to_q_lora", "to_q"}, {"to_k_lora", "to_k"}, {"to_v_lora", "to_v"}, {"to_out_lora", "to_out.0"}};
  static constexpr std::pair<std::string_view, std::string_view> kText[] = {
      {"to_q_lora", "q_proj"}, {"to_k_lora", "k_proj"}, {"to_v_lora", "v_proj"}, {"to_out_lora", "out_proj"}};
  constexpr std::string_view kProcessor = ".processor.", kSelf = ".self_attn.";
  const auto renamed = [&](std::string_view between, std::string_view kept, const auto& table) {
    for (const auto& [from, to] : table) {
      const std::string end = std::string(between) + std::string(from);
      if (module.ends_with(end))
        return module.substr(0, module.size() - end.size()) + std::string(kept) + std::string(to);
    }
    return std::string();
  };
  std::string layer = renamed(kProcessor, ".", kLayers);
  if (layer.empty()) layer = renamed(kSelf, kSelf, kText);
  return layer.empty() ? std::nullopt : std::optional(layer);
}

// "MODULE.lora_A.weight", "MODULE.lora_A.ADAPTER.weight" and the like.
std::optional<Key> of_peft(const std::string& name) {
  static constexpr std::pair<std::string_view, Part> kTables[] = {
      {".lora_A", Part::kDown}, {".lora_B", Part::kUp}, {".lora_magnitude_vector", Part::kOutMagnitude}};
  for (const auto& [middle, part] : kTables) {
    const size_t at = name.rfind(middle);
    if (at == std::string::npos) continue;
    std::string rest = name.substr(at + middle.size());
    if (!rest.empty() && rest[0] != '.') continue;
    Part found = part;
    if (rest.ends_with(".weight")) {
      rest.resize(rest.size() - 7);
    } else if (rest.ends_with(".bias") && part == Part::kUp) {
      rest.resize(rest.size() - 5);
      found = Part::kUpBias;
    } else if (part != Part::kOutMagnitude) {
      continue;
    }
    if (rest.find('.', 1) != std::string::npos) continue;
    return Key{.module = name.substr(0, at), .part = found, .adapter = rest.empty() ? rest : rest.substr(1)};
  }
  return std::nullopt;
}

// A module's name without a prefix that a program put before all of them; a prefix may stand before another one.
struct Prefix {
  std::string_view text;
  int network;
};
constexpr Prefix kPrefixes[] = {
    {"lora_unet_", 0},
    {"lora_unet.", 0},
    {"unet.", 0},
    {"model.diffusion_model.", 0},
    {"diffusion_model.", 0},
    {"lora_te_", 1},
    {"lora_te.", 1},
    {"lora_te1_", 1},
    {"lora_te1.", 1},
    {"lora_te2_", 2},
    {"lora_te2.", 2},
    {"text_encoder.", 1},
    {"text_encoder_2.", 2},
    {"text_encoders.clip_l.transformer.", 1},
    {"text_encoders.clip_l.", 1},
    {"text_encoders.clip_g.transformer.", 2},
    {"text_encoders.clip_g.", 2},
    {"lora_clip_l_", 1},
    {"lora_clip_g_", 2},
    {"clip_l.transformer.", 1},
    {"clip_l.", 1},
    {"clip_g.transformer.", 2},
    {"clip_g.", 2},
    {"cond_stage_model.transformer.", 1},
};
// What stands before a prefix, or alone where a file is of one network.
constexpr std::string_view kWrappers[] = {"base_model.model."};

}  // namespace

std::optional<Key> split(const std::string& name) {
  std::optional<Key> key = of_peft(name);
  for (const Ending& ending : kEndings) {
    if (key || !name.ends_with(ending.text)) continue;
    key = Key{.module = name.substr(0, name.size() - ending.text.size()), .part = ending.part, .kind = ending.kind};
  }
  // In a processor's name the layer is its last word: "….processor.to_q_lora.down.weight".
  for (const auto& [ending, part] : {std::pair(".down.weight", Part::kDown), std::pair(".up.weight", Part::kUp)}) {
    if (key || !name.ends_with(ending)) continue;
    const std::string module = name.substr(0, name.size() - std::string_view(ending).size());
    if (const auto layer = of_processor(module)) key = Key{.module = *layer, .part = part};
  }
  if (key && key->part == Part::kAlpha) {  // its layer is spelled as that of the factors beside it
    for (const std::string_view end : {".lora", ".lora_linear_layer"}) {
      if (key->module.ends_with(end)) key->module.resize(key->module.size() - end.size());
    }
    if (const auto layer = of_processor(key->module)) key->module = *layer;
  }
  return key;
}

std::vector<Place> places_of(const std::string& module) {
  std::string_view name = module;
  bool wrapped = false;
  for (const std::string_view wrapper : kWrappers) {
    if (!name.starts_with(wrapper)) continue;
    name.remove_prefix(wrapper.size());
    wrapped = true;
  }
  const Prefix* found = nullptr;
  for (const Prefix& prefix : kPrefixes) {
    if (name.starts_with(prefix.text) && (found == nullptr || prefix.text.size() > found->text.size())) found = &prefix;
  }
  if (found != nullptr) return {{found->network, flat(std::string(name.substr(found->text.size()))), true}};
  // No network is named: the layer's name says which it is, as no two networks share one.
  const std::string layer = flat(std::string(name));
  const bool dotted = wrapped || module.find('.') != std::string::npos;
  if (!dotted && layer != "conv_in" && layer != "conv_out") return {};
  return {{kUNet, layer, false}, {1, layer, false}};
}

LayerNames::LayerNames(const std::set<std::string>& unet) {
  if (unet.empty()) return;
  const UNetConfig blocks = unet_of_compvis_names([&](const std::string& name) { return unet.contains(name); });
  unet_.emplace(unet_name_map(make_topology(blocks)));
}

std::optional<std::string> LayerNames::diffusers(const std::string& name) const {
  constexpr std::string_view kWeight = ".weight";
  if (!unet_) return std::nullopt;
  auto other = unet_->to_diffusers(std::string(kUNetPrefix) + name + std::string(kWeight));
  if (other) other->resize(other->size() - kWeight.size());
  return other;
}

std::vector<std::string> LayerNames::operator()(int network, const std::string& name) const {
  if (network != kUNet) return {flat("text_model." + name), flat(name)};
  std::vector<std::string> names{flat(name)};
  if (const auto other = diffusers(name)) names.push_back(flat(*other));
  return names;
}

std::string LayerNames::kohya(int network, const std::string& name) const {
  if (network == 1) return flat("lora_te_text_model." + name);
  if (network != kUNet) return flat("lora_te" + std::to_string(network) + "_text_model." + name);
  const auto other = diffusers(name);
  return other ? flat("lora_unet_" + *other) : "";
}

std::string hint(const std::vector<std::string>& names) {
  const auto any = [&](const auto&... words) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return ((name.find(words) != std::string::npos) || ...); });
  };
  if (any("double_blocks", "single_blocks", "single_transformer_blocks", "lora_transformer_", "context_embedder",
          "joint_blocks"))
    return "; it looks made for a transformer model, such as Flux or Stable Diffusion 3";
  if (any("lora_te2_", "text_encoder_2.", "clip_g.", "transformer_blocks_9_", "transformer_blocks.9."))
    return "; it looks made for Stable Diffusion XL";
  return "; it may be for another family of models";
}

}  // namespace sumi::models::lora
