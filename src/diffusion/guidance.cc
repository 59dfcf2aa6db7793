#include "diffusion/sampling.h"
#include "ops/elementwise.h"
#include "ops/layout.h"

namespace sumi::diffusion {

// eps_uncond + scale·(eps_cond - eps_uncond)                                        (Ho and Salimans 2022)
Model guided(const Network& network, const Tensor& cond, const Tensor& uncond, double scale) {
  if (scale == 1.0) {
    return [=](const Tensor& x, double timestep) { return network(x, timestep, cond); };
  }
  SUMI_CHECK_KIND(kUsage, cond.defined() && uncond.defined(),
                  "a model without text has nothing to guide it; use a scale of 1");
  SUMI_CHECK(cond.shape() == uncond.shape(), "the prompt's text {} and the negative prompt's {} differ in shape",
             cond.shape().str(), uncond.shape().str());
  const Tensor context = concat_rows({uncond, cond});
  return [=](const Tensor& x, double timestep) {
    const Tensor both = network(concat_rows({x, x}), timestep, context);
    const int64_t batch = x.dim(0);
    return affine(static_cast<float>(1.0 - scale), both.rows(0, batch), static_cast<float>(scale),
                  both.rows(batch, 2 * batch));
  };
}

}  // namespace sumi::diffusion
