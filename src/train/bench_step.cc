#include "train/bench_step.h"

#include <memory>

#include "base/rng.h"
#include "core/autograd.h"
#include "models/init.h"
#include "models/unet/unet.h"
#include "train/adamw.h"
#include "train/diffusion_loss.h"
#include "train/host_noise.h"

namespace sumi::train {
namespace {

const models::UNetConfig kConfig{.model_channels = 64,
                                 .channel_mult = {1, 2, 4},
                                 .transformer_depth = {1, 1, 1},
                                 .num_heads = 4,
                                 .context_dim = 256};

struct Step {
  explicit Step(Device device)
      : unet(kConfig), schedule(diffusion::make_noise_schedule("linear", 1000, 0.00085, 0.012)), generator(1) {
    models::initialise_unet(unet, generator, device);
    params = make_trainable(unet);
    optimizer = std::make_unique<AdamW>(params);
    ema = std::make_unique<Ema>(params);
    const auto normal = [&](const Shape& shape) { return host_noise(generator, shape).to(device); };
    batch = {.z = normal({32, 16, 16, 4}), .noise = normal({32, 16, 16, 4}), .context = normal({32, 77, 256})};
    batch.timesteps.resize(32);
    generator.randint(0, 1000, batch.timesteps);
  }

  void run() {
    Tape tape;
    const Tensor loss = diffusion_loss(unet, schedule, batch);
    tape.backward(loss);
    optimizer->step(1e-4);
    ema->update();
  }

  models::UNet unet;
  diffusion::NoiseSchedule schedule;
  TorchCpuGenerator generator;
  std::vector<NamedTensor> params;
  std::unique_ptr<AdamW> optimizer;
  std::unique_ptr<Ema> ema;
  DiffusionBatch batch;
};

}  // namespace

std::function<void()> make_bench_step(Device device) {
  const auto step = std::make_shared<Step>(device);
  return [step] { step->run(); };
}

}  // namespace sumi::train
