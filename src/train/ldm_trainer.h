// Training of a latent diffusion model on captioned pictures.                              (Rombach et al. 2022)
#pragma once

#include "models/stable_diffusion.h"
#include "text/clip_tokenizer.h"
#include "train/diffusion_loss.h"
#include "train/run.h"

namespace sumi::train {

// Textual inversion: what is trained in place of a network. (Gal et al. 2022)
struct EmbeddingToTrain {
  std::string word;  // letters, digits, '_', '-' and '.'; empty: no embedding is trained
  Tensor vectors;    // [n,D] float32, requiring a gradient; trained in place
};

// The beginning of one: `count` vectors, those of the tokens of `init` one after the other and again from the first.
// Throws Error(kUsage) for a word or a number that cannot be used.
EmbeddingToTrain begin_embedding(const models::StableDiffusion& model, const text::ClipTokenizer& tokenizer,
                                 const std::string& word, const std::string& init, int64_t count);

// The tokenizer, which knows the embedding's word.
text::ClipTokenizer with_embedding(const text::ClipTokenizer& tokenizer, const EmbeddingToTrain& embedding,
                                   const models::ModelConfig& config);

// The caption as the embedding is trained with it: with its word, all of whose vectors are among the ids that the text
// encoder takes. `tokenizer` knows the word.
std::string caption_with_word(const text::ClipTokenizer& tokenizer, const EmbeddingToTrain& embedding,
                              const models::ModelConfig& config, const std::string& caption);

struct LdmOptions : RunOptions {
  double clip = 1.0;  // limit of the gradient's norm; 0: none
  double weight_decay = 0.01;
  double beta2 = 0.999;          // AdamW's
  double ema = 0.9999;           // 0: none
  int64_t crops = 0;             // randomly placed squares per picture; 0: its middle
  double caption_dropout = 0.1;  // share of captions left empty, for guidance
  double min_snr_gamma = 0.0;
  double timestep_shift = 1.0;  // above 1: more timesteps have much noise; see shift_timesteps
  bool train_text = false;      // also the text encoder
  double text_lr_scale = 1.0;   // factor on the text encoder's learning rate
  bool from_scratch = false;    // fresh UNet, and text encoder if it is trained
  bool checkpoint_activations = false;
  bool exact = false;               // convolutions as plain sums of products
  int64_t lora_rank = 0;            // 0: train the weights; else low-rank changes of that rank
  double lora_alpha = 0.0;          // the LoRA's scale is alpha/rank; 0: alpha is the rank
  EmbeddingToTrain embedding = {};  // alone; the networks stay as they are
};

// Trains `model` in place and writes checkpoints, metrics.csv and, at the end, model.safetensors to options.out: the
// whole model under its checkpoint's names, with the averaged weights (for a LoRA, lora.safetensors; for an embedding,
// WORD.safetensors with its vectors as `emb_params`; its word is put before captions that do not have it). Everything
// random in step n is drawn from (seed, n), so a run that was killed and resumed ends with the same bytes. Tensors that
// are not trained are written as they are in `checkpoint`. Throws Error(kUsage) for invalid options,
// Error(kUnavailable) if another trainer uses the folder, Error(kInternal) after twenty losses in a row that are not
// finite.
RunResult train_ldm(models::StableDiffusion& model, const io::Checkpoint& checkpoint,
                    const text::ClipTokenizer& tokenizer, const LdmOptions& options, const RunHooks& hooks);

// Pixels a side of the pictures: options.size, or the model's if that is 0.
int64_t picture_size(const LdmOptions& options, const models::ModelConfig& config);

// Throws Error(kUsage), or Error(kData) for a model that cannot be trained with these options.
void check_ldm_options(const LdmOptions& options, const models::ModelConfig& config);

}  // namespace sumi::train
