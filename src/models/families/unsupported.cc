// Common checkpoints that are not supported, recognised by tensor names that no other kind has.
#include <algorithm>

#include "models/family.h"

namespace sumi::models {
namespace {

struct Telltale {
  const char* prefix;  // of a tensor's name
  const char* sentence;
  bool beside_unet = false;  // counts even where the file has a UNet of Stable Diffusion 1's layout
};

// The first match wins, so the surest signs come first.
constexpr Telltale kTelltales[] = {
    {"conditioner.embedders.1.model.", "a Stable Diffusion XL checkpoint; this version runs Stable Diffusion 1.x",
     true},
    {"conditioner.embedders.0.model.", "a Stable Diffusion XL refiner; this version runs Stable Diffusion 1.x", true},
    {"model.diffusion_model.label_emb.",
     "a UNet with class or size labels, as in Stable Diffusion XL; this version runs Stable Diffusion 1.x", true},
    {"model.diffusion_model.add_embedding.", "a Stable Diffusion XL UNet; this version runs Stable Diffusion 1.x",
     true},
    {"model.diffusion_model.joint_blocks.", "a Stable Diffusion 3 checkpoint; this version runs Stable Diffusion 1.x"},
    {"model.diffusion_model.double_blocks.", "a Flux checkpoint; this version runs Stable Diffusion 1.x"},
    {"double_blocks.", "a Flux checkpoint; this version runs Stable Diffusion 1.x"},
    {"joint_blocks.", "a Stable Diffusion 3 transformer; this version runs Stable Diffusion 1.x"},
    {"cond_stage_model.model.transformer.resblocks.",
     "a Stable Diffusion 2.x checkpoint with OpenCLIP's text encoder; this version runs Stable Diffusion 1.x", true},
    {"effnet.", "a Stable Cascade checkpoint; this version runs Stable Diffusion 1.x"},
    {"control_model.", "a ControlNet, not a whole model; give it with `controls`"},
    {"controlnet_cond_embedding.", "a ControlNet, not a whole model; give it with `controls`"},
    {"input_hint_block.", "a ControlNet, not a whole model; give it with `controls`"},
    {"lora_unet_", "a LoRA: it changes a model and is not one itself; give it with `loras`"},
    {"lora_te_", "a LoRA: it changes a model and is not one itself; give it with `loras`"},
    {"string_to_param", "a textual inversion embedding, not a whole model; give it with `embeddings`"},
    {"emb_params", "a textual inversion embedding, not a whole model; give it with `embeddings`"},
    {"down_blocks.", "one component in diffusers' names; give the whole folder, the one with model_index.json"},
    {"encoder.down_blocks.",
     "an autoencoder in diffusers' names; give the whole folder, the one with model_index.json"},
    {"text_model.", "a text encoder in diffusers' names; give the whole folder, the one with model_index.json"},
    {"encoder.down.", "an autoencoder alone, not a whole model; give it with `vae`"},
};

}  // namespace

std::string unsupported_kind(const io::Checkpoint& checkpoint) {
  const auto& tensors = checkpoint.tensors();
  const bool has_unet = checkpoint.has("model.diffusion_model.input_blocks.0.0.weight") ||
                        checkpoint.has("model_ema.diffusion_modelinput_blocks00weight");
  for (const Telltale& telltale : kTelltales) {
    if (has_unet && !telltale.beside_unet) continue;
    const bool found = std::any_of(tensors.begin(), tensors.end(),
                                   [&](const io::TensorInfo& info) { return info.name.starts_with(telltale.prefix); });
    if (found) return telltale.sentence;
  }
  return {};
}

}  // namespace sumi::models
