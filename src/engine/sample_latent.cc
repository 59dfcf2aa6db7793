#include "engine/sample_latent.h"

#include <algorithm>
#include <cmath>

#include "diffusion/guidance.h"
#include "io/mapped_file.h"

namespace sumi::engine {
namespace {

bool is_finite(const Tensor& x) {
  const HostView<float> values(x);
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

// Only if the latent is on the host: from other devices it would be copied, and check_picture checks the result.
void check_finite(const Tensor& latent, int step, int steps) {
  SUMI_CHECK_KIND(
      kInternal, !is_host(latent.device()) || is_finite(latent),
      "the latent is not finite after step {} of {}: the weights are broken, or the guidance scale is too high", step,
      steps);
}

}  // namespace

void check_picture(const Tensor& picture) {
  SUMI_CHECK_KIND(kInternal, is_finite(picture),
                  "the picture is not finite: the weights are broken, or the guidance scale is too high");
}

void check_cancelled(const std::atomic<bool>* cancel) {
  SUMI_CHECK_KIND(kCancelled, cancel == nullptr || !cancel->load(), "stopped");
}

Tensor sample_latent(const models::StableDiffusion& model, const SampleJob& job, NoiseStream& noise,
                     const std::atomic<bool>* cancel, const diffusion::StepCallback& on_step) {
  models::ContextCache cache;
  const auto network = [&](const Tensor& x, double timestep, const models::Conditioning& conditioning) {
    check_cancelled(cancel);
    return model.predict(x, std::vector<double>(static_cast<size_t>(x.dim(0)), timestep), conditioning, &cache);
  };
  const auto after_step = [&](const diffusion::StepInfo& info) {
    io::check_mappings_intact();
    check_finite(info.latent, info.step + 1, info.steps);
    if (on_step) on_step(info);
    check_cancelled(cancel);
  };
  return diffusion::sample(diffusion::guided(network, job.cond, job.uncond, job.scale), job.start,
                           diffusion::make_grid(model.noise_schedule(), job.options),
                           [&](const Shape& shape) { return noise(shape); },
                           {.on_step = after_step, .constrain = job.constrain});
}

// How much noise a sampler draws does not depend on what the network predicts: zeros will do.
void pass_over_latent(const diffusion::NoiseSchedule& schedule, const Shape& shape,
                      const diffusion::SampleOptions& options, NoiseStream& noise) {
  const Tensor nothing = Tensor::zeros(shape);
  diffusion::sample([&](const Tensor&, double) { return nothing; }, {nothing}, diffusion::make_grid(schedule, options),
                    [&](const Shape& drawn) {
                      noise.pass_over(drawn);
                      return nothing;
                    });
}

}  // namespace sumi::engine
