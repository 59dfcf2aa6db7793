// The options that `sumi txt2img` and the short form share; declared in generate.h.
#include "app/cli/arguments.h"
#include "app/cli/generate.h"
#include "base/check.h"

namespace sumi::app {

void add_shared_flags(CLI::App& app, SharedFlags& flags, GenerateJob& job) {
  app.add_option("--negative-prompt", flags.negative_prompt, "What the picture should not show")->type_name("TEXT");
  app.add_option("--sampler", flags.sampler, "Sampler; `sumi list samplers` names them")
      ->type_name("NAME")
      ->default_str(flags.sampler);
  app.add_option("--schedule", flags.schedule,
                 flags.schedule.empty() ? "Noise schedule; `sumi list schedules`; by default the sampler's own"
                                        : "Noise schedule; `sumi list schedules`; with another sampler its own")
      ->type_name("NAME")
      ->default_str(flags.schedule);
  add_integer(app, "--steps,--ddim-steps", flags.steps, "Sampling steps");
  add_number(app, "--scale,--cfg-scale", flags.scale, "Guidance; 1 is none");
  add_number(app, "--eta,--ddim-eta", flags.eta, "Fresh noise in each step: 0 is none");
  add_integer(app, "--W,--width", flags.width, "Width in pixels, a multiple of 8");
  add_integer(app, "--H,--height", flags.height, "Height in pixels, a multiple of 8");
  app.add_option("--seed", flags.seed, "0 to 2^64-1; -1 draws one and prints it")
      ->type_name("N")
      ->default_str(flags.seed);
  app.add_option(
         "--prompt-syntax", flags.syntax,
         "exact: as the original, cut at the encoder's 77 tokens; weighted: (word:1.2), [word], BREAK, any length")
      ->type_name("KIND")
      ->default_str(flags.syntax);
  app.add_option("--rng", flags.rng, "Random numbers as PyTorch draws them on: cpu or cuda")
      ->type_name("KIND")
      ->default_str("cpu");
  app.add_flag("--vae-tiling", job.request.tiled_decode,
               "Decode pictures beyond 1024x1024 in tiles: less memory, 1.5 times the time, a small error");
  add_repeatable(app, "--lora", job.model.loras, "FILE[:WEIGHT]",
                 "LoRA file, and its weight [1]; may be given several times");
  app.add_option(
         "--lora-dir", job.model.lora_folder,
         "Where <lora:NAME:WEIGHT> in a prompt finds NAME.safetensors; else beside the model, in its loras/, or "
         "in sumi's data folder")
      ->type_name("DIR");
  add_model_options(app, job.model);
  add_engine_options(app, job.engine);
  add_precision_option(app, job.engine);
  app.add_flag("--quiet", job.quiet, "Print only errors");
  app.add_flag("--json", job.json, "One JSON object on standard output at the end");
}

void take_lora_tags(GenerateJob& job) {
  bool first = true;
  for (auto& prompts : job.request.batches) {
    for (std::string& prompt : prompts) {
      text::TaggedPrompt tagged = text::take_lora_tags(prompt);
      SUMI_CHECK_KIND(kUsage, first || tagged.loras == job.model.named_loras,
                      "the prompts name different LoRAs; put only prompts with the same ones into one run");
      first = false;
      job.model.named_loras = std::move(tagged.loras);
      prompt = std::move(tagged.prompt);
    }
  }
}

bool names_sampler(const CLI::App& app) {
  for (const char* option : {"--sampler", "--plms", "--dpm-solver"}) {
    if (app.get_option_no_throw(option) != nullptr && app.count(option) > 0) return true;
  }
  return false;
}

void apply_shared_flags(const CLI::App& app, const SharedFlags& flags, GenerateJob& job) {
  job.sampler_from_model = !names_sampler(app) && app.count("--schedule") == 0;
  job.steps_from_model = app.count("--steps") == 0;
  job.scale_from_model = app.count("--scale") == 0;
  job.width_from_model = !flags.width;
  job.height_from_model = !flags.height;
  engine::Txt2ImgRequest& request = job.request;
  request.negative_prompt = flags.negative_prompt;
  // A command's preset schedule applies only to its preset sampler.
  std::string implied;
  const bool is_preset =
      diffusion::resolve_sampler(flags.sampler, &implied) == app.get_option("--sampler")->get_default_str() &&
      implied.empty();
  const bool is_anothers = names_sampler(app) && app.count("--schedule") == 0 && !is_preset;
  set_sampler(request.sampling, flags.sampler, is_anothers ? std::string() : flags.schedule);
  SUMI_CHECK_KIND(kUsage, flags.steps >= 1 && flags.steps <= engine::kMaxSteps,
                  "--steps must be from 1 to {}, not {}", engine::kMaxSteps, flags.steps);
  request.sampling.steps = static_cast<int>(flags.steps);
  request.sampling.eta = flags.eta;
  request.scale = flags.scale;
  if (flags.width) request.width = *flags.width;
  if (flags.height) request.height = *flags.height;
  const auto seed = parse_seed(flags.seed);
  job.seed_was_drawn = !seed;
  request.seed = seed ? *seed : random_seed();
  SUMI_CHECK_KIND(kUsage, flags.syntax == "exact" || flags.syntax == "weighted",
                  "--prompt-syntax must be exact or weighted, not {}", flags.syntax);
  request.syntax = flags.syntax == "exact" ? engine::PromptSyntax::kExact : engine::PromptSyntax::kWeighted;
  SUMI_CHECK_KIND(kUsage, flags.rng == "cpu" || flags.rng == "cuda", "--rng must be cpu or cuda, not {}", flags.rng);
  request.rng = flags.rng;
  job.engine.apply();
  job.model.parsed_prediction();
}

}  // namespace sumi::app
