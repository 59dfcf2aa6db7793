#include "engine/sample_latent.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "diffusion/guidance.h"

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

Tensor sample_latent(const models::StableDiffusion& model, const SampleJob& job, const diffusion::NoiseSource& noise,
                     const SampleWatch& watch) {
  models::ContextCache cache;
  int step = 0;
  const auto network = [&](const Tensor& x, double timestep, const models::Conditioning& conditioning) {
    check_cancelled(watch.cancel);
    const std::vector<double> timesteps(static_cast<size_t>(x.dim(0)), timestep);
    if (!job.control) return model.predict(x, timesteps, conditioning, &cache);
    models::Conditioning controlled = conditioning;
    controlled.control = job.control(x, timesteps, conditioning, step);
    return model.predict(x, timesteps, controlled, &cache);
  };
  const auto after_step = [&](const diffusion::StepInfo& info) {
    ++step;
    if (watch.check_files) watch.check_files();
    check_finite(info.latent, info.step + 1, info.steps);
    if (watch.on_step) watch.on_step(info);
    check_cancelled(watch.cancel);
  };
  return diffusion::sample(diffusion::guided(network, job.cond, job.uncond, job.scale), job.start, job.grid, noise,
                           {.on_step = after_step, .constrain = job.constrain, .rewrite = job.rewrite});
}

// How much noise a sampler draws does not depend on what the network predicts: zeros will do.
void pass_over_latent(const SampleJob& job, const diffusion::NoiseSource& noise) {
  const Tensor nothing = Tensor::zeros(job.start.x.shape(), DType::kF32, job.start.x.device());
  diffusion::sample([&](const Tensor&, double) { return nothing; }, job.start, job.grid, noise,
                    {.constrain = job.constrain, .rewrite = job.rewrite});
}

}  // namespace sumi::engine
