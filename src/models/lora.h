// Adapter files: LoRA and its kin, small changes to a model's weights. (Hu et al. 2021)
//
// Reads every spelling of lora/keys.h and every kind of lora/changes.h. Writes LoRAs in kohya's names.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "io/checkpoint.h"
#include "models/lora/keys.h"
#include "models/lora/weights.h"
#include "nn/adapters.h"

namespace sumi::models {

// The networks that a file may change; null: not loaded.
struct LoraTargets {
  nn::Module* unet = nullptr;
  std::vector<nn::Module*> texts = {};  // in the order that files count them
};

// Adds the file's changes, times `weights`, of the parameters of the given modules to `out`, which must not outlive the
// modules; the file may be closed. Changes of a network that is not loaded are ignored. Warns of everything that is not
// applied: names of no layer of this model, bundled embeddings. Throws Error(kData), naming the file and the tensor,
// for shapes that do not fit, kinds that are not read (OFT, BOFT, GLoRA), parts unknown here of a layer that is known,
// and a file with no change for this model; then `out` may hold some of its changes. `out.finish()` may throw the same.
void add_lora(const io::Checkpoint& file, const LoraWeights& weights, const LoraTargets& targets, nn::Adapters& out);

// An upper bound of nn::Adapters::bytes() once the changes of these files are added and finished, from names and shapes
// alone: no weight is read. It counts float32 values, and changes that do not belong to the model too. `model`: what
// the changes are for, whose weights' sizes some kinds need; may be null. Throws Error(kData) as add_lora does for what
// names tell.
int64_t lora_bytes(std::span<const io::Checkpoint* const> files, const io::Checkpoint* model = nullptr);

// The name under which a parameter's change is kept: "model.diffusion_model.input_blocks.1.1.….attn1.to_q.weight" →
// "lora_unet_down_blocks_0_attentions_0_…_attn1_to_q". Empty for parameters of neither module.
class LoraNames {
 public:
  // For the UNet's names of this model.
  explicit LoraNames(nn::Module& unet);
  std::string operator()(const std::string& param) const;

 private:
  lora::LayerNames names_;
};

// Adds a change of that rank, to be trained (its tensors require gradients), of each attention and feed-forward weight
// of `module` to `out`: `down` uniform in ±1/√in, `up` 0, so that nothing changes at first.
void begin_lora(nn::Module& module, int64_t rank, double alpha, Generator& generator, Device device, nn::Adapters& out);

}  // namespace sumi::models
