// The options that `sumi txt2img`, the short form and `sumi eval` share; declared in generate.h.
#include "app/cli/arguments.h"
#include "app/cli/generate.h"
#include "app/cli/like.h"
#include "app/cli/output.h"
#include "base/check.h"
#include "base/progress.h"
#include "engine/resolve.h"

namespace sumi::app {

void add_shared_flags(CLI::App& app, SharedFlags& flags, GenerateJob& job) {
  const engine::Form form = engine::form_of(flags.defaults);
  flags.given = [&app](const std::string& name) {
    const CLI::Option* option = app.get_option_no_throw(name);
    return option != nullptr && option->count() > 0;
  };
  if (flags.syntax.empty()) flags.syntax = form.syntax;
  app.add_option("--negative-prompt", flags.negative_prompt, "What the picture should not show")->type_name("TEXT");
  app.add_option("--sampler", flags.sampler, "Sampler; `sumi list samplers` names them")
      ->type_name("NAME")
      ->default_str(form.drawing.sampler);
  app.add_option("--schedule", flags.schedule,
                 form.drawing.schedule.empty() ? "Noise schedule; `sumi list schedules`; by default the sampler's own"
                                               : "Noise schedule; `sumi list schedules`; with another sampler its own")
      ->type_name("NAME")
      ->default_str(form.drawing.schedule);
  add_integer(app, "--steps,--ddim-steps", flags.steps, "Sampling steps")
      ->default_str(std::to_string(form.drawing.steps));
  add_number(app, "--scale,--cfg-scale", flags.scale, "Guidance; 1 is none")
      ->default_str(fmt::format("{}", form.drawing.scale));
  add_number(app, "--eta,--ddim-eta", flags.eta, "Fresh noise in each step: 0 is none")->default_str("0");
  add_integer(app, "--W,--width", flags.width, "Width in pixels, a multiple of 8");
  add_integer(app, "--H,--height", flags.height, "Height in pixels, a multiple of 8");
  app.add_option("--seed", flags.seed, "0 to 2^64-1; -1 draws one and prints it")
      ->type_name("N")
      ->default_str(flags.seed);
  app.add_option(
         "--seeding", flags.seeding,
         "run: one generator for all pictures, as the original; picture: picture i is what --seed N+i draws alone")
      ->type_name("KIND")
      ->default_str("run");
  app.add_option(
         "--prompt-syntax", flags.syntax,
         "exact: as the original, cut at the encoder's 77 tokens; weighted: (word:1.2), [word], BREAK, any length")
      ->type_name("KIND")
      ->default_str(flags.syntax);
  app.add_option("--rng", flags.rng, "Random numbers as PyTorch draws them on: cpu or cuda")
      ->type_name("KIND")
      ->default_str("cpu");
  app.add_flag("--vae-tiling", flags.tiled_decode,
               "Decode pictures beyond 1024x1024 in tiles: less memory, 1.5 times the time, a small error");
  add_repeatable(app, "--lora", flags.loras, "FILE[:WEIGHT]",
                 "LoRA file of any kind, and its weight [1], or FILE:unet=W,text=W; may be given several times");
  app.add_option(
         "--lora-dir", flags.lora_folder,
         "Where <lora:NAME:WEIGHT> in a prompt finds NAME.safetensors; else beside the model, in its loras/, or "
         "in sumi's data folder")
      ->type_name("DIR");
  add_repeatable(
      app, "--embedding", flags.embeddings, "FILE",
      "Embedding of textual inversion; a prompt names it by its file's name, <NAME> or embedding:NAME; may be "
      "given several times");
  app.add_option("--embedding-dir", flags.embedding_folder,
                 "Where embeddings named in prompts are found; else in embeddings/ beside the model or in sumi's data "
                 "folder (weighted syntax)")
      ->type_name("DIR");
  add_model_options(app, job.model);
  add_engine_options(app, job.engine);
  add_precision_option(app, job.engine);
  app.add_flag("--quiet", job.quiet, "Print only errors");
  app.add_flag("--json", job.json, "One JSON object on standard output at the end");
}

namespace {

// With --like, what the command line leaves out is left to the picture.
bool typed(const SharedFlags& flags, const char* option) { return flags.like.empty() || flags.given(option); }

void apply_drawing_flags(const SharedFlags& flags, Request& request) {
  request.defaults = flags.defaults;
  request.negative_prompt = flags.negative_prompt;
  request.sampler = flags.sampler;
  request.schedule = flags.schedule;
  request.steps = flags.steps;
  request.scale = flags.scale;
  request.eta = flags.eta;
  request.width = flags.width;
  request.height = flags.height;
  request.seeding = flags.seeding;
  request.rng = flags.rng;
  if (typed(flags, "--prompt-syntax")) request.syntax = flags.syntax;
  request.tiled_decode = flags.tiled_decode;
  request.lora_folder = flags.lora_folder;
  request.embeddings = flags.embeddings;
  request.embedding_folder = flags.embedding_folder;
  for (const std::string& lora : flags.loras) request.loras.push_back(parse_lora(lora));
  const auto seed = parse_seed(flags.seed);
  if (typed(flags, "--seed")) request.seed = seed ? *seed : engine::random_seed();
}

std::vector<std::string> apply_like(const SharedFlags& flags, GenerateJob& job) {
  if (flags.like.empty()) return {};
  Request& request = job.request;
  request.init = job.pictures[0].init.string();
  request.mask = job.pictures[0].mask.string();
  std::vector<std::string> untaken = take_like(flags.like, flags, job);
  for (InitPicture& picture : job.pictures) {
    if (picture.init.empty()) picture.init = request.init;
    if (picture.mask.empty()) picture.mask = request.mask;
  }
  return untaken;
}

// Seeds that stay open are drawn here, so that all jobs and all processes have the same.
void draw_open_seeds(const SharedFlags& flags, GenerateJob& job) {
  Request& request = job.request;
  const auto is_random = [](const std::string& seed) { return !parse_seed(seed); };
  job.seed_was_drawn = !request.seed || (typed(flags, "--seed") && is_random(flags.seed));
  if (!request.seed) request.seed = engine::random_seed();
  const bool varied = request.subseed_strength.value_or(0.0) > 0.0;
  const auto& subseed = flags.pictures.subseed;
  job.subseed_was_drawn = (varied && !request.subseed) || (subseed && is_random(*subseed));
  if (varied && !request.subseed) request.subseed = engine::random_seed();
}

void refuse_overwriting(const SharedFlags& flags, const GenerateJob& job) {
  for (const NamedOutput& output : job.outputs) {
    const auto keep = [&](const char* option, const std::filesystem::path& picture) {
      SUMI_CHECK_KIND(kUsage, !is_same_file(output.file, picture),
                      "{} {} would replace the picture of {}; choose another name", output.option, output.file.string(),
                      option);
    };
    keep("--like", flags.like);
    for (const InitPicture& picture : job.pictures) {
      keep("--init", picture.init);
      keep("--mask", picture.mask);
    }
    for (const Control& control : job.request.controls) keep("--control", control.image);
  }
}

// Reads every picture, so that none is found to be bad once others were drawn. The first is checked last, and kept.
void check_pictures(GenerateJob& job) {
  constexpr size_t kQuick = 8;  // pictures: done before a bar could be read
  const size_t count = job.pictures.size();
  Progress bar(
      {.label = "checking pictures", .total = static_cast<int64_t>(count), .quiet = job.quiet || count <= kQuick});
  for (size_t i = count; i-- > 0;) {
    job.request.init = job.pictures[i].init.string();
    job.request.mask = job.pictures[i].mask.string();
    job.checked.emplace(job.request);
    bar.step();
  }
}

}  // namespace

std::vector<std::string> apply_shared_flags(const SharedFlags& flags, GenerateJob& job) {
  apply_drawing_flags(flags, job.request);
  apply_picture_flags(flags.pictures, job.request);
  job.pictures = pictures_of(flags.pictures);
  std::vector<std::string> untaken = apply_like(flags, job);
  apply_dependent_flags(flags.pictures, job.request);
  refuse_overwriting(flags, job);
  draw_open_seeds(flags, job);
  check_pictures(job);
  job.engine.check();
  return untaken;
}

}  // namespace sumi::app
