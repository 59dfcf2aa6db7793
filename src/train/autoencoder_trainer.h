// Training of the autoencoder between pictures and latents.                    (Esser et al. 2021; Rombach et al. 2022)
//
// The loss is LDM's: the sum over a picture of |x - x̂| and a perceptual term, a small multiple of the latent's KL
// divergence from the normal distribution, and, from disc_start on, a patch discriminator's score of x̂, weighted so
// that both parts have gradients of equal norm at the decoder's last layer. Two things differ from the original: the
// discriminator learns from the reconstruction of the generator's step, not from a second one made after it; and
// without LPIPS weights the perceptual term is sumi's own (structural_term.h).
#pragma once

#include <filesystem>

#include "core/autograd.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/patch_discriminator.h"
#include "train/run.h"

namespace sumi::train {

struct AutoencoderOptions : RunOptions {
  models::AutoencoderLossConfig loss;
  int64_t crop = 0;                  // pixels a side of randomly placed squares; 0: whole pictures
  double clip = 0.0;                 // limit of the gradients' norm; 0: none, as in the original
  double ema = 0.0;                  // decay of averaged weights; 0: none, as in the original
  double beta1 = 0.5, beta2 = 0.9;   // of both optimizers, as LDM's
  std::filesystem::path vgg, lpips;  // weights of the perceptual term; empty: the structural term
};

// The losses of both networks for a batch, and their terms.
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
  const Ranks* ranks = nullptr;          // null: one rank. The adaptive weight comes from all ranks' gradients
  Tape::AfterRecord after = {};          // for the autoencoder's Tape::backward
  Tape::AfterRecord after_judging = {};  // for the discriminator's
};

// Adds the gradients of both networks' losses to their parameters. x [N,H,W,3] in [-1, 1], noise [N,h,w,z]. The
// discriminator is used from step `loss.disc_start` on; null: never.
AutoencoderLosses autoencoder_gradients(const models::AutoencoderKL& model, models::PatchDiscriminator* discriminator,
                                        const Tensor& x, const Tensor& noise, const PerceptualTerm& perceptual,
                                        const models::AutoencoderLossConfig& loss, int64_t step,
                                        const BatchPart& part = {});

// Trains `model`, whose parameters must be loaded or initialised. Writes checkpoints, metrics.csv, sheets of pictures
// above their reconstructions and, at the end, autoencoder.safetensors to options.out; tensors have the names of a
// whole model's file. Throws as Run does, and Error(kData) or Error(kNoInput) for the files of the perceptual term.
RunResult train_autoencoder(models::AutoencoderKL& model, const models::AutoencoderConfig& config, Device device,
                            const AutoencoderOptions& options, const RunHooks& hooks,
                            const std::map<std::string, std::string>& metadata = {});

// Measures one step on noise, after a warm-up step. Writes nothing to disk. The model must not be used afterwards.
RunPlan plan_autoencoder(models::AutoencoderKL& model, const models::AutoencoderConfig& config, Device device,
                         const AutoencoderOptions& options);

// Throws Error(kUsage).
void check_autoencoder_options(const AutoencoderOptions& options, const models::AutoencoderConfig& config);

}  // namespace sumi::train
