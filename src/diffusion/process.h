// How signal and noise mix in a latent, and what a network's output means.
//
// Every latent is x = signal·x_0 + noise·e, with x_0 the clean latent and e standard normal. A Level holds the two
// coefficients. A Prediction is interpreted only here (except for the min-SNR weight in train/diffusion_loss.cc):
// training takes its targets from this file, samplers their estimates.
//
// Flow matching (signal 1-t, noise t, output e - x_0) would need another constructor of Level and another Prediction
// with its cases below. At t = 1 there is no signal and so no σ: its samplers would need a Space that steps through t.
#pragma once

#include <optional>
#include <string_view>

#include "core/tensor.h"

namespace sumi::diffusion {

// What the network's output means, x = √ᾱ·x_0 + √(1-ᾱ)·e being its input:
enum class Prediction {
  kEpsilon,   // the noise e                                       (Ho et al. 2020)
  kVelocity,  // √ᾱ·e - √(1-ᾱ)·x_0                                 (Salimans and Ho 2022)
  kSample     // the signal x_0
};

// "eps", "v", "x0": the names of LDM's configurations. nullopt for an unknown name.
const char* name_of(Prediction prediction);
std::optional<Prediction> prediction_of(std::string_view name);

// The coefficients of signal and noise in a latent.
struct Level {
  double signal, noise;
  // A network of the variance-preserving process takes x / norm.
  double norm;

  // x = √ᾱ·x_0 + √(1-ᾱ)·e, the scale that a network expects.
  static Level at_alpha(double alpha_cumprod);
  // x = x_0 + σ·e.
  static Level at_sigma(double sigma);
};

// signal·x_0 + noise·e, the forward process. Tensors of one shape, float32.
Tensor mix(const Tensor& signal, const Tensor& noise, const Level& level);

// The estimates of x_0 and of e that follow from the network's `output` at x / level.norm; x is at `level`.
Tensor signal_of(Prediction prediction, const Tensor& x, const Tensor& output, const Level& level);
Tensor noise_of(Prediction prediction, const Tensor& x, const Tensor& output, const Level& level);

// The noise in x, given its signal.
Tensor noise_from_signal(const Tensor& x, const Tensor& signal, const Level& level);

// What a perfect network would return at mix(signal, noise, level): the training target. `level` is at_alpha's.
Tensor target_of(Prediction prediction, const Tensor& signal, const Tensor& noise, const Level& level);

}  // namespace sumi::diffusion
