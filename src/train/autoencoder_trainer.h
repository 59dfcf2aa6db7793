// Training of the autoencoder between pictures and latents.                    (Esser et al. 2021; Rombach et al. 2022)
//
// Its loss is LDM's: the sum over a picture of |x - x̂| and a perceptual term, a little of the latent's divergence from
// the normal distribution, and, from some step on, what a patch discriminator thinks of x̂, weighted so that both pull
// equally at the decoder's last layer. Two things differ from the original: the discriminator learns from the
// reconstruction its generator has just been judged by, instead of one made again after the generator's step; and
// where no LPIPS weights are given, the perceptual term is sumi's own (structural_term.h).
#pragma once

#include <filesystem>

#include "core/autograd.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/patch_discriminator.h"
#include "train/run.h"

namespace sumi::train {

struct AutoencoderOptions : RunOptions {
  models::AutoencoderLossConfig loss;
  int64_t crop = 0;                  // pixels a side of the squares trained on, cut out anywhere; 0: whole pictures
  double clip = 0.0;                 // of the gradients' norm; 0: none, as the original
  double ema = 0.0;                  // decay of averaged weights; 0: none, as the original
  double beta1 = 0.5, beta2 = 0.9;   // of both optimizers, as LDM's
  std::filesystem::path vgg, lpips;  // weights of the perceptual term; empty: the structural term
};

// The two networks' losses of a batch, and what they are made of.
struct AutoencoderLosses {
  double total = 0.0;           // of the autoencoder
  double reconstruction = 0.0;  // mean |x - x̂|
  double perceptual = 0.0, kl = 0.0;
  double adversarial = 0.0, adversarial_weight = 0.0;  // -mean D(x̂), and its adaptive weight
  double discriminator = 0.0;                          // hinge loss
};

using PerceptualTerm = std::function<Tensor(const Tensor& x, const Tensor& y)>;

// How one batch takes part in a step.
struct BatchPart {
  float share = 1.0f;                    // its gradients are multiplied by this
  const Ranks* ranks = nullptr;          // null: one. The adaptive weight is told from all ranks' gradients
  Tape::AfterRecord after = {};          // see Tape::backward, of the autoencoder's
  Tape::AfterRecord after_judging = {};  // and of the discriminator's
};

// Adds the gradients of both networks' losses to their parameters. x [N,H,W,3] in [-1, 1], noise [N,h,w,z]. Before
// `loss.disc_start` the discriminator has no part in it; null: never.
AutoencoderLosses autoencoder_gradients(const models::AutoencoderKL& model, models::PatchDiscriminator* discriminator,
                                        const Tensor& x, const Tensor& noise, const PerceptualTerm& perceptual,
                                        const models::AutoencoderLossConfig& loss, int64_t step,
                                        const BatchPart& part = {});

// Trains `model`, whose parameters must be there, and leaves checkpoints, metrics.csv, sheets of pictures above their
// reconstructions and, at the end, autoencoder.safetensors in options.out, under the names of a whole model's file.
// Throws as Run does, and Error(kData) or Error(kNoInput) for the files of the perceptual term.
RunResult train_autoencoder(models::AutoencoderKL& model, const models::AutoencoderConfig& config, Device device,
                            const AutoencoderOptions& options, const RunHooks& hooks,
                            const std::map<std::string, std::string>& metadata = {});

// Runs one step on noise, after one to warm up, and changes nothing on disk. The model is not to be used afterwards.
RunPlan plan_autoencoder(models::AutoencoderKL& model, const models::AutoencoderConfig& config, Device device,
                         const AutoencoderOptions& options);

// Throws Error(kUsage).
void check_autoencoder_options(const AutoencoderOptions& options, const models::AutoencoderConfig& config);

}  // namespace sumi::train
