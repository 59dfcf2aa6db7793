// sumi train autoencoder: the autoencoder of a latent diffusion model on a folder of pictures.
#include <memory>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/find_model.h"
#include "app/cli/train_common.h"
#include "base/check.h"
#include "base/rng.h"
#include "base/text_util.h"
#include "models/init.h"
#include "models/loading/bind.h"
#include "models/loading/open.h"
#include "models/loading/prefixes.h"
#include "train/autoencoder_trainer.h"
#include "train/dataset.h"

namespace sumi::app {
namespace {

// As in LDM: a base rate times the number of pictures per step.
constexpr double kBaseRate = 4.5e-6;

struct TrainAutoencoder {
  EngineFlags engine;
  RunChoice run_options;
  train::AutoencoderOptions options;
  std::string config, checkpoint, vgg, lpips;
  std::optional<double> lr, kl_weight, perceptual_weight, disc_weight;
  std::optional<int64_t> disc_start, disc_width, disc_layers;
  bool dry_run = false;

  int run();
  models::AutoencoderConfig choose(const io::Checkpoint* file);
};

// Sizes and loss: the configuration's, overridden by the command line.
models::AutoencoderConfig TrainAutoencoder::choose(const io::Checkpoint* file) {
  SUMI_CHECK_KIND(
      kUsage, !config.empty() || file != nullptr,
      "give the autoencoder's sizes with --config FILE.yaml, or an autoencoder to train further with --ckpt");
  models::AutoencoderTraining training;
  if (!config.empty()) {
    training = models::autoencoder_from_yaml(config);
  } else {
    SUMI_CHECK_KIND(kUsage, has_network(*file, models::kUNetPrefix),
                    "{}: has no UNet, so its autoencoder's sizes are unknown; add --config FILE.yaml", checkpoint);
    training.model = models::config_for(*file, {}).autoencoder;
  }
  const auto choose = [](auto& value, const auto& chosen) {
    if (chosen) value = *chosen;
  };
  choose(training.loss.kl_weight, kl_weight);
  choose(training.loss.perceptual_weight, perceptual_weight);
  choose(training.loss.disc_weight, disc_weight);
  choose(training.loss.disc_start, disc_start);
  choose(training.loss.disc_width, disc_width);
  choose(training.loss.disc_layers, disc_layers);
  options.loss = training.loss;
  if (options.size == 0) options.size = training.model.resolution;
  options.lr.peak =
      lr ? *lr : kBaseRate * static_cast<double>(options.batch * options.accumulate * Ranks::world().size());
  return training.model;
}

int TrainAutoencoder::run() {
  engine.apply();
  run_options.put_into(options);
  options.vgg = vgg;
  options.lpips = lpips;
  const Device device = engine::device_of({.backend = engine.backend});
  const std::unique_ptr<io::Checkpoint> file = checkpoint.empty() ? nullptr : models::open_model_files(checkpoint);
  check_run_place(options, checkpoint, "autoencoder.safetensors");
  const models::AutoencoderConfig sizes = choose(file.get());
  train::check_autoencoder_options(options, sizes);
  models::AutoencoderKL model(sizes);
  if (file) {
    models::BindReport report;
    models::bind_module(model, *file, std::string(models::kVaePrefix), report, {.device = device});
    report.check();
    options.model = strip_control(file->path().filename().string());
  } else {
    TorchCpuGenerator generator(options.seed);
    models::initialise(model, generator, device);
    options.model = "nothing";
  }
  if (dry_run) {
    const auto pictures = static_cast<int64_t>(train::find_examples(options.data).size());
    return report_plan(pictures, train::plan_autoencoder(model, sizes, device, options), options.lr.steps, run_options);
  }
  TrainingWatch watch(run_options.quiet);
  const train::RunResult result = train::train_autoencoder(model, sizes, device, options, watch.hooks());
  return report_run(result, run_options, options.out / "autoencoder.safetensors", watch);
}

std::function<int()> declare(CLI::App& app) {
  auto train = std::make_shared<TrainAutoencoder>();
  train::AutoencoderOptions& o = train->options;
  add_run_options(app, train->run_options, o, "");
  app.add_option("--config", train->config, "LDM configuration (YAML), of an autoencoder or of a whole model")
      ->type_name("FILE");
  app.add_option("--ckpt", train->checkpoint, "Start from the autoencoder of this checkpoint")->type_name("FILE");
  add_number(app, "--lr", train->lr, "Learning rate; by default 4.5e-6 times the pictures per step");
  add_integer(app, "--size", o.size, "Pixels to which the shorter side is scaled; 0: the configuration's resolution");
  add_integer(app, "--crop", o.crop, "Pixels a side of randomly placed squares; 0: the middle, of --size");
  add_number(app, "--beta1", o.beta1, "Adam's beta1; 0.9 is better without a discriminator");
  add_number(app, "--beta2", o.beta2, "Adam's beta2; 0.99 is better without a discriminator");
  add_number(app, "--clip", o.clip, "Limit of the gradients' norm; 0: none");
  add_number(app, "--ema", o.ema, "Decay of the averaged weights; 0: none");
  add_number(app, "--kl-weight", train->kl_weight, "Weight of the latents' divergence from the normal distribution");
  add_number(app, "--perceptual-weight", train->perceptual_weight, "Weight of the perceptual term");
  app.add_option("--vgg", train->vgg, "VGG16's weights, for LPIPS instead of sumi's structural term")
      ->type_name("FILE");
  app.add_option("--lpips", train->lpips, "LPIPS's weights, with --vgg")->type_name("FILE");
  add_number(app, "--disc-weight", train->disc_weight, "Weight of the discriminator; 0: none");
  add_integer(app, "--disc-start", train->disc_start, "Step from which the discriminator is used");
  add_integer(app, "--disc-width", train->disc_width, "Channels of the discriminator's first layer");
  add_integer(app, "--disc-layers", train->disc_layers, "Discriminator layers that halve the picture");
  app.add_flag("--dry-run", train->dry_run, "Only report what would be trained, and the memory and the time it takes");
  add_engine_options(app, train->engine, false);
  return [train] { return train->run(); };
}

const CommandRegistration kRegistration({.name = "train autoencoder",
                                         .help = "Train or fine-tune an autoencoder on pictures",
                                         .examples = R"(Examples:
  sumi train autoencoder --config autoencoder_kl_32x32x4.yaml --data pictures/ --out ae --batch 4 --steps 100000
  sumi train autoencoder --config small.yaml --data pictures/ --out ae --size 256 --crop 128 --disc-start 20000
  sumi train autoencoder --ckpt sd-v1-4.ckpt --data pictures/ --out ae --size 256 --crop 128 --lr 4.5e-6
  sumi train ldm --ckpt ae/autoencoder.safetensors --config small.yaml --from-scratch …
A stopped or killed run continues with --resume and ends with the same bytes.
)",
                                         .declare = declare});

}  // namespace
}  // namespace sumi::app
