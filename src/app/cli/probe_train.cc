// sumi probe train-step: optimizer steps on given latents, noises, timesteps and contexts.
#include <cmath>
#include <memory>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/probe_io.h"
#include "base/check.h"
#include "core/autograd.h"
#include "ops/layout.h"
#include "train/adamw.h"
#include "train/diffusion_loss.h"

namespace sumi::app {
namespace {

struct TrainProbe {
  EngineFlags engine;
  ModelChoice model;
  std::string in, out;
  int64_t steps = 1;
  double lr = 1e-4;
};

train::DiffusionBatch batch_of(const ProbeInput& in, int64_t step, Device device) {
  const std::string ending = std::to_string(step);
  train::DiffusionBatch batch{.z = in.image("z" + ending).to(device), .noise = in.image("noise" + ending).to(device)};
  for (const double t : in.numbers("t" + ending, batch.z.dim(0))) {
    SUMI_CHECK(t == std::floor(t), "t{}: {} is not a whole timestep", ending, t);
    batch.timesteps.push_back(static_cast<int64_t>(t));
  }
  if (in.has("ctx" + ending)) batch.context = in.floats("ctx" + ending, 3).to(device);
  return batch;
}

Tensor scalar(double value) { return Tensor::full({}, static_cast<float>(value)); }

int run(const TrainProbe& probe) {
  probe.engine.apply();
  SUMI_CHECK_KIND(kUsage, probe.steps >= 1 && probe.steps <= 1000, "--steps must be from 1 to 1000, not {}",
                  probe.steps);
  SUMI_CHECK_KIND(kUsage, probe.lr >= 0.0 && std::isfinite(probe.lr), "--lr must be 0 or more");
  ProbeOutput out(probe.out);
  const ProbeInput in(probe.in);
  const engine::OpenModel opened = engine::open_model(probe.model.options(probe.engine));
  const models::StableDiffusion model = engine::load_model(opened, {.text = false, .autoencoder = false});
  const std::vector<train::NamedTensor> params = train::make_trainable(model.denoiser());
  train::AdamW optimizer(params);
  train::Ema ema(params);
  for (int64_t step = 0; step < probe.steps; ++step) {
    const train::DiffusionBatch batch = batch_of(in, step, model.device());
    out.add_image("xt" + std::to_string(step),
                  train::add_noise(model.noise_schedule(), batch.z, batch.noise, batch.timesteps));
    Tape tape;
    const Tensor loss = train::diffusion_loss(model.denoiser(), model.noise_schedule(), batch,
                                              {.prediction = opened.config.prediction});
    tape.backward(loss);
    out.add("loss" + std::to_string(step), scalar(loss.host<float>()[0]));
    out.add("gradnorm" + std::to_string(step), scalar(optimizer.grad_norm()));
    for (const train::NamedTensor& param : params) {
      if (step == 0) out.add("grad." + param.name, param.value.grad().clone());
    }
    optimizer.step(probe.lr);
    ema.update();
  }
  for (const train::NamedTensor& param : params) out.add("param." + param.name, param.value);
  for (const train::NamedTensor& average : ema.averages()) out.add("ema." + average.name, average.value);
  out.write();
  return 0;
}

std::function<int()> declare(CLI::App& app) {
  auto probe = std::make_shared<TrainProbe>();
  add_model_options(app, probe->model, false);
  app.add_option("--in", probe->in, "Inputs (safetensors, NCHW): z0, noise0, t0, ctx0, z1, …")
      ->required()
      ->type_name("FILE");
  app.add_option("--out", probe->out, "Losses, gradient norms, first gradients, parameters and their averages")
      ->required()
      ->type_name("FILE");
  add_integer(app, "--steps", probe->steps, "Steps of AdamW");
  add_number(app, "--lr", probe->lr, "Learning rate");
  add_engine_options(app, probe->engine);
  return [probe] { return run(*probe); };
}

const CommandRegistration kRegistration({"probe train-step",
                                         "Training: z, noise [B,C,h,w], t [B], ctx [B,T,D] -> loss, gradients", "",
                                         declare});

}  // namespace
}  // namespace sumi::app
