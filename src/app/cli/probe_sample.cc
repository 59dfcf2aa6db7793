// sumi probe sample: one trajectory from given conditionings.
#include <memory>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/probe_io.h"
#include "app/cli/probe_sets.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "engine/noise.h"
#include "engine/resolve.h"
#include "engine/sample_latent.h"
#include "image/convert.h"
#include "image/read.h"
#include "models/defaults.h"

namespace sumi::app {
namespace {

struct SampleProbe {
  EngineFlags engine;
  ModelChoice model;
  std::vector<std::string> controls;
  std::string set, init, in, out, sampler = "ddim", schedule, seed = "42", rng = "cpu";
  std::optional<int64_t> width, height;
  int64_t steps = 50;
  double scale = 7.5, eta = 0.0;
};

// Checks the limits of a request; it has no text here.
void check_numbers(const SampleProbe& probe) {
  engine::check_request({.prompts = {""},
                         .width = probe.width,
                         .height = probe.height,
                         .steps = probe.steps,
                         .scale = probe.scale,
                         .eta = probe.eta,
                         .rng = probe.rng});
}

int run(const SampleProbe& probe) {
  probe.engine.apply();
  check_numbers(probe);
  const auto seed = parse_seed(probe.seed);
  SUMI_CHECK_KIND(kUsage, seed, "--seed must be from 0 to 2^64-1");
  ProbeOutput out(probe.out);
  const ProbeInput in(probe.in);
  const engine::OpenModel opened = engine::open_model(probe.model.options(probe.engine));
  const models::ModelConfig& config = opened.config;
  const models::DrawingDefaults drawing = models::resolve_defaults(config);
  const models::StableDiffusion model =
      engine::load_model(opened, {.text = false, .autoencoder = !probe.init.empty(), .decoder = false});
  const std::string set = probe.set.empty() ? set_of(in) : probe.set;
  if (!set.empty()) {
    SetInputs inputs;
    for (const std::string& file : probe.controls)
      inputs.controls.push_back({.file = models::open_control(file, config)});
    if (!probe.init.empty()) inputs.picture = image::from_images({image::read_picture({.path = probe.init})});
    const StopsItself stops;
    run_set(set, model, in, out, inputs);
    out.write();
    return 0;
  }
  SUMI_CHECK_KIND(kUsage, probe.controls.empty(), "--control is for the set control: its inputs have \"hint\"");
  const diffusion::Grid grid = diffusion::make_grid(model.noise_schedule(), {.sampler = probe.sampler,
                                                                             .schedule = probe.schedule,
                                                                             .steps = static_cast<int>(probe.steps),
                                                                             .eta = probe.eta,
                                                                             .prediction = drawing.prediction});
  engine::SampleJob job{.grid = grid, .scale = probe.scale};
  const Tensor cond = in.floats("cond", 3).to(model.device());
  job.cond.sequence = cond;
  if (in.has("uncond")) job.uncond.sequence = in.floats("uncond", 3).to(model.device());
  SUMI_CHECK(job.scale == 1.0 || (job.uncond.sequence && job.uncond.sequence.shape() == cond.shape()),
             "{}: guidance needs \"uncond\" of the shape of \"cond\", {}", probe.in, cond.shape().str());
  const int64_t f = config.autoencoder.downsampling();
  Shape shape{cond.dim(0), probe.height.value_or(drawing.size) / f, probe.width.value_or(drawing.size) / f,
              config.autoencoder.embed_dim};
  Tensor given;
  if (in.has("x_T")) {
    given = in.image("x_T").to(model.device());
    shape = given.shape();
    SUMI_CHECK(shape[0] == cond.dim(0) && shape[3] == config.autoencoder.embed_dim,
               "{}: \"x_T\" must be [{},{},h,w], not [{},{},{},{}]", probe.in, cond.dim(0),
               config.autoencoder.embed_dim, shape[0], shape[3], shape[1], shape[2]);
  }
  engine::NoiseStream noise(probe.rng, *seed, model.device());
  const Tensor drawn = noise(shape);  // always drawn, so that later noise is the same with and without a given x_T
  job.start = {given ? given : drawn};
  const StopsItself stops;
  out.add_image("latent", engine::sample_latent(
                              model, job, [&](const Shape& s) { return noise(s); },
                              {.cancel = &stop_requested(), .check_files = [&] { opened.stored->check_intact(); }}));
  out.write();
  return 0;
}

std::function<int()> declare(CLI::App& app) {
  auto probe = std::make_shared<SampleProbe>();
  app.add_option("--in", probe->in, "cond [B,T,D], uncond, and x_T [B,C,h,w] where it is not to be drawn (safetensors)")
      ->required()
      ->type_name("FILE");
  app.add_option("--out", probe->out, "Where the latent goes (safetensors, NCHW)")->required()->type_name("FILE");
  app.add_option("--sampler", probe->sampler, "Sampler")->type_name("NAME")->default_str(probe->sampler);
  app.add_option("--schedule", probe->schedule, "Noise schedule; by default the sampler's own")->type_name("NAME");
  add_integer(app, "--steps", probe->steps, "Sampling steps");
  add_number(app, "--eta", probe->eta, "Fresh noise in each step");
  add_number(app, "--scale", probe->scale, "Guidance; 1 is none");
  app.add_option("--seed", probe->seed, "Seed of the generator; x_T is its first draw, given or not")
      ->type_name("N")
      ->default_str(probe->seed);
  app.add_option("--rng", probe->rng, "cpu or cuda")->type_name("KIND")->default_str("cpu");
  add_integer(app, "--W,--width", probe->width, "Width in pixels where x_T is drawn; by default the model's");
  add_integer(app, "--H,--height", probe->height, "Height in pixels where x_T is drawn");
  app.add_option("--set", probe->set,
                 "Draw a whole reference set, by the file's metadata: img2img-diffusers, img2img-webui, inpaint-blend, "
                 "inpaint, hires, control; by default the one whose inputs the file holds")
      ->type_name("NAME");
  app.add_option("--init", probe->init,
                 "The picture of the set img2img-diffusers, for its trajectory of two generators")
      ->type_name("FILE");
  add_repeatable(app, "--control", probe->controls, "FILE", "The ControlNet of the set control");
  add_model_options(app, probe->model, false);
  add_engine_options(app, probe->engine);
  add_precision_option(app, probe->engine);
  return [probe] { return run(*probe); };
}

const CommandRegistration kRegistration({"probe sample", "A trajectory: cond, uncond, x_T -> latent",
                                         R"(Example:
  sumi probe sample --sampler euler --schedule karras --steps 10 --scale 7.5 --seed 1234 \
      --ckpt tiny.safetensors --in in.safetensors --out out.safetensors
)",
                                         declare});

}  // namespace
}  // namespace sumi::app
