#include "pipeline/sample_latent.h"

#include <algorithm>
#include <cmath>

#include "io/mapped_file.h"

namespace sumi::pipeline {
namespace {

bool is_finite(const Tensor& x) {
  const HostView<float> values(x);
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

// Only where the latent is on the host: elsewhere looking at it would copy it, and check_picture looks later.
void check_finite(const Tensor& latent, int step, int steps) {
  SUMI_CHECK_KIND(
      kInternal, !is_host(latent.device()) || is_finite(latent),
      "the latent stopped being a number at step {} of {}: the weights are broken, or the guidance scale or "
      "the sampler is too wild for them",
      step, steps);
}

}  // namespace

void check_picture(const Tensor& picture) {
  SUMI_CHECK_KIND(kInternal, is_finite(picture),
                  "the picture is no longer made of numbers: the weights are broken, or the guidance scale or the "
                  "sampler is too wild for them");
}

void check_cancelled(const std::atomic<bool>* cancel) {
  SUMI_CHECK_KIND(kCancelled, cancel == nullptr || !cancel->load(), "stopped");
}

Tensor sample_latent(const models::StableDiffusion& model, const SampleJob& job, NoiseStream& noise,
                     const std::atomic<bool>* cancel, const std::function<void(int step, int steps)>& on_step) {
  models::ContextCache cache;
  const auto network = [&](const Tensor& x, double timestep, const Tensor& context) {
    check_cancelled(cancel);
    return model.predict(x, std::vector<double>(static_cast<size_t>(x.dim(0)), timestep), context, &cache);
  };
  const auto after_step = [&](int step, int steps, const Tensor& latent) {
    io::check_mappings_intact();
    check_finite(latent, step + 1, steps);
    if (on_step) on_step(step, steps);
    check_cancelled(cancel);
  };
  return diffusion::sample(
      diffusion::guided(network, job.cond, job.uncond, job.scale), job.x_T, model.noise_schedule(), job.options,
      [&](const Shape& shape) { return noise(shape); }, after_step);
}

// How much a sampler draws does not depend on what the network says: one that says nothing does.
void pass_over_latent(const diffusion::NoiseSchedule& schedule, const Shape& shape,
                      const diffusion::SampleOptions& options, NoiseStream& noise) {
  const Tensor nothing = Tensor::zeros(shape);
  diffusion::sample([&](const Tensor&, double) { return nothing; }, nothing, schedule, options,
                    [&](const Shape& drawn) {
                      noise.pass_over(drawn);
                      return nothing;
                    });
}

}  // namespace sumi::pipeline
