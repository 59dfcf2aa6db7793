// LoRA files: small changes to a model's weights, in the ecosystem's naming. (Hu et al. 2021)
//
// Reads kohya's names (`lora_unet_down_blocks_0_…_to_q.lora_down.weight`, `.lora_up.weight`, `.alpha`; `lora_te_…`; the
// middle also in CompVis spelling) and diffusers' (`unet.….to_q.lora_A.weight`, `.lora_B.weight`; `text_encoder.…`).
// Writes kohya's.
#pragma once

#include <map>
#include <span>
#include <string>

#include "base/rng.h"
#include "io/checkpoint.h"
#include "nn/adapters.h"

namespace sumi::models {

// Adds the file's changes, times `weight`, of the parameters of the given modules (null: not given) to `out`, which
// must not outlive the modules; the file may be closed. Changes of a module that is not given are ignored; changes of
// neither module cause a warning. Throws Error(kData) for shapes that do not fit, other kinds of files (LoHa, LoKr,
// DoRA), and a file with no change for this model; then `out` may hold some of its changes.
void add_lora(const io::Checkpoint& file, double weight, nn::Module* unet, nn::Module* text, nn::Adapters& out);

// An upper bound of nn::Adapters::bytes() once the changes of these files are added and finished, from the files' names
// and shapes alone: no model and no weight is needed. It counts float32 values, and changes that do not belong to the
// model too. Throws Error(kData) for other kinds of files.
int64_t lora_bytes(std::span<const io::Checkpoint* const> files);

// The name under which a parameter's change is kept: "model.diffusion_model.input_blocks.1.1.….attn1.to_q.weight" →
// "lora_unet_down_blocks_0_attentions_0_…_attn1_to_q". Empty for parameters of neither module.
class LoraNames {
 public:
  // For the UNet's names of this model.
  explicit LoraNames(nn::Module& unet);
  std::string operator()(const std::string& param) const;

 private:
  std::map<std::string, std::string> unet_;
};

// Adds a change of that rank, to be trained (its tensors require gradients), of each attention and feed-forward weight
// of `module` to `out`: `down` uniform in ±1/√in, `up` 0, so that nothing changes at first.
void begin_lora(nn::Module& module, int64_t rank, double alpha, Generator& generator, Device device, nn::Adapters& out);

}  // namespace sumi::models
