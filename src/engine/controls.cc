#include "engine/controls.h"

#include "core/context.h"
#include "image/convert.h"
#include "ops/elementwise.h"

namespace sumi::engine {
namespace {

models::Conditioning second_half(const models::Conditioning& both, int64_t count) {
  const auto half = [&](const Tensor& x) { return x ? x.rows(count, 2 * count) : x; };
  return {.sequence = half(both.sequence), .pooled = half(both.pooled), .added = half(both.added)};
}

// With seeding by picture, kernels are chosen as for one picture alone: here for so many samples of each.
ContextScope as_for(int64_t samples) {
  return ContextScope([&](Context& context) {
    if (context.batch_of_choices > 0) context.batch_of_choices = samples;
  });
}

}  // namespace

bool acts_in(double start, double end, int step, int steps) {
  return static_cast<double>(step) / steps >= start && static_cast<double>(step + 1) / steps <= end;
}

Controls::Controls(const std::vector<ControlJob>& jobs, const models::StableDiffusion& model, bool guess)
    : model_(model), guess_(guess) {
  for (const ControlJob& job : jobs)
    nets_.push_back({.job = job, .network = models::bind_control(*job.file, model.device())});
}

Controls::Control Controls::at(LatentSize latent, const std::string& resize, int steps, bool guided) {
  const int64_t f = model_.config().autoencoder.downsampling();
  std::vector<Tensor> hints;
  for (const Net& net : nets_) {
    const image::Image hint = image::resize_to_fit(net.job.hint, latent.width * f, latent.height * f,
                                                   image::fit_of(resize.empty() ? "stretch" : resize));
    hints.push_back(affine(0.5f, image::from_images({hint}), 0.0f, {}, 0.5f).to(model_.device()));
  }
  return with(hints, steps, guided);
}

Controls::Control Controls::with(const std::vector<Tensor>& hints, int steps, bool guided) {
  const ContextScope scope = as_for(1);
  for (size_t i = 0; i < nets_.size(); ++i) nets_[i].hint = model_.encode_hint(*nets_[i].network, hints[i]);
  return [this, steps, guided](const Tensor& x, const std::vector<double>& timesteps,
                               const models::Conditioning& conditioning, int step) {
    models::ControlResiduals sum;
    for (Net& net : nets_) {
      if (acts(net.job, step, steps)) sum = models::add(std::move(sum), of(net, x, timesteps, conditioning, guided));
    }
    return sum;
  };
}

bool Controls::acts(const ControlJob& job, int step, int steps) { return acts_in(job.start, job.end, step, steps); }

// A control of pooled residuals (shuffle) acts on the prompt's half alone, as its authors have it.
models::ControlResiduals Controls::of(Net& net, const Tensor& x, const std::vector<double>& timesteps,
                                      const models::Conditioning& conditioning, bool guided) {
  const bool pooled = net.job.file->pooled, half = (guess_ || pooled) && guided;
  const int64_t count = half ? x.dim(0) / 2 : x.dim(0);
  const std::vector<double> own(timesteps.end() - count, timesteps.end());
  const ContextScope scope = as_for(guided && !half ? 2 : 1);
  models::ControlResiduals residuals =
      model_.control(*net.network, half ? x.rows(count, 2 * count) : x, own,
                     half ? second_half(conditioning, count) : conditioning, net.hint, &net.cache);
  models::weigh(residuals, net.job.weight, guess_ && !pooled);
  return half ? models::after_nothing(residuals, count) : residuals;
}

}  // namespace sumi::engine
