// Training of a latent diffusion model on captioned pictures.                              (Rombach et al. 2022)
#pragma once

#include "models/stable_diffusion.h"
#include "text/clip_tokenizer.h"
#include "train/diffusion_loss.h"
#include "train/run.h"

namespace sumi::train {

struct LdmOptions : RunOptions {
  double clip = 1.0;  // of the gradient's norm; 0: none
  double weight_decay = 0.01;
  double beta2 = 0.999;          // AdamW's
  double ema = 0.9999;           // 0: none
  int64_t crops = 0;             // squares cut out of each picture anywhere; 0: its middle
  double caption_dropout = 0.1;  // share of captions left empty, for guidance
  double min_snr_gamma = 0.0;
  double timestep_shift = 1.0;  // above 1 more of the timesteps have much noise; see shift_timesteps
  bool train_text = false;      // the text encoder along with the UNet
  double text_lr_scale = 1.0;   // factor on its learning rate
  bool from_scratch = false;    // fresh UNet, and text encoder where it is trained
  bool checkpoint_activations = false;
  bool exact = false;       // convolutions as plain sums of products
  int64_t lora_rank = 0;    // 0: the weights themselves; else changes of that rank beside them
  double lora_alpha = 0.0;  // their scale is alpha/rank; 0: the rank
};

// Trains `model` in place and leaves checkpoints, metrics.csv and, at the end, model.safetensors in options.out: the
// whole model under its checkpoint's names, with the averaged weights (or lora.safetensors). Everything random in step
// n is drawn from (seed, n), so that a run which was killed and goes on ends with the same bytes. Throws Error(kUsage)
// for options that make no sense, Error(kUnavailable) where another trainer works in the folder, Error(kInternal) after
// twenty losses in a row that are not finite. What is not trained is written as `checkpoint` has it.
RunResult train_ldm(models::StableDiffusion& model, const io::Checkpoint& checkpoint,
                    const text::ClipTokenizer& tokenizer, const LdmOptions& options, const RunHooks& hooks);

// Pixels a side of the pictures: as asked for, else the model's own.
int64_t picture_size(const LdmOptions& options, const models::ModelConfig& config);

// Throws Error(kUsage), or Error(kData) for a model that cannot be trained so.
void check_ldm_options(const LdmOptions& options, const models::ModelConfig& config);

}  // namespace sumi::train
