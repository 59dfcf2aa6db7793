// Classifier-free guidance.                                                         (Ho and Salimans 2022)
#pragma once

#include <type_traits>

#include "diffusion/sampling.h"

namespace sumi::diffusion {

// A network with a condition of any type C.
template <class C> using Network = std::function<Tensor(const Tensor& x, double timestep, const C& condition)>;

// uncond + scale·(cond - uncond), from one call with [x, x]: `both` predicts for a batch [2N,…] whose first half is
// unconditional.
Predictor guided(Predictor both, double scale);

// The same for a network and two conditions. `concat(uncond, cond)`, declared next to C, joins them into the condition
// of the doubled batch. At scale 1 the unconditional half is not computed and `uncond` is not read.
template <class C>
Predictor guided(const std::type_identity_t<Network<C>>& network, const C& cond, const C& uncond, double scale) {
  if (scale == 1.0) return [=](const Tensor& x, double timestep) { return network(x, timestep, cond); };
  return guided(
      [network, both = concat(uncond, cond)](const Tensor& x, double timestep) { return network(x, timestep, both); },
      scale);
}

}  // namespace sumi::diffusion
