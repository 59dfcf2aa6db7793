// sumi train ldm: a latent diffusion model on a folder of captioned pictures.
#include <memory>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/find_model.h"
#include "app/cli/output.h"
#include "app/cli/process.h"
#include "app/cli/train_common.h"
#include "app/places.h"
#include "base/check.h"
#include "base/text_util.h"
#include "engine/open.h"
#include "engine/run.h"
#include "image/grid.h"
#include "image/png.h"
#include "models/defaults.h"
#include "models/loading/prefixes.h"
#include "train/dataset.h"
#include "train/ldm_setup.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

struct TrainLdm {
  EngineFlags engine;
  ModelChoice model;
  train::LdmOptions options;
  RunChoice run_options;
  std::vector<std::string> sample_prompts;
  bool dry_run = false;
  bool embedding = false;  // `sumi train embedding`
  std::string word, init = "*";
  int64_t vectors = 1;

  int run();
  void check_parts(const io::Checkpoint& file, bool takes_text) const;
  Request sample_request(const models::ModelConfig& config) const;
};

// A picture of each prompt, from the same noise every time.
Request TrainLdm::sample_request(const models::ModelConfig& config) const {
  const int64_t size = train::picture_size(options, config);
  return {.prompts = sample_prompts, .width = size, .height = size, .seed = 42};
}

// Names the network that is missing in a file, instead of its tensors.
void TrainLdm::check_parts(const io::Checkpoint& file, bool takes_text) const {
  SUMI_CHECK(options.from_scratch || has_network(file, models::kUNetPrefix),
             "{}: has no UNet: --from-scratch makes a fresh one, or name a whole model", file.path().string());
  SUMI_CHECK(
      !takes_text || (options.from_scratch && options.train_text) || has_network(file, models::kConditionerPrefix),
      "{}: has no text encoder: --from-scratch --train-text makes a fresh one, or name a whole model",
      file.path().string());
}

int TrainLdm::run() {
  engine.apply();
  run_options.put_into(options);
  const ModelOptions model_options = model.options(engine);
  const auto dtype = engine::weights_dtype_of(model_options);
  SUMI_CHECK_KIND(kUsage, !dtype || !is_quantized(*dtype) || options.lora_rank > 0 || embedding,
                  "--dtype {} quantises the weights, which cannot be trained; use it with --lora", engine.dtype);
  options.exact = engine.exact;
  const std::string result = embedding               ? word + ".safetensors"
                             : options.lora_rank > 0 ? "lora.safetensors"
                                                     : "model.safetensors";
  check_run_place(options, model_options.path, result);
  const engine::OpenModel opened = engine::open_model(model_options);
  if (embedding) options.embedding.word = word;
  train::check_ldm_options(options, opened.config);
  check_parts(*opened.stored, opened.config.unet.context_dim > 0);
  const fs::path path = model_options.path;
  options.model = strip_control((path.has_filename() ? path : path.parent_path()).filename().string());
  const text::ClipTokenizer own_tokenizer = engine::load_tokenizer(opened, model.tokenizer, find_places());
  models::StableDiffusion networks = engine::load_model(
      opened, {.fresh_text = options.from_scratch && options.train_text, .fresh_unet = options.from_scratch});
  text::ClipTokenizer tokenizer = own_tokenizer;
  if (embedding) {
    options.embedding = train::begin_embedding(networks, own_tokenizer, word, init, vectors);
    tokenizer = train::with_embedding(own_tokenizer, options.embedding, opened.config);
  }
  check_training_memory(train::state_bytes(networks, options));
  if (dry_run) {
    train::LeftOut left_out;
    const std::vector<train::Example> examples = train::find_examples(options.data, &left_out);
    for (const std::string& line : train::describe_examples(examples, left_out)) {
      if (!run_options.quiet) note(line);
    }
    if (opened.config.unet.context_dim > 0 && options.caption_dropout < 1.0 && !embedding)
      train::check_captions(examples, options.data);
    const auto pictures = static_cast<int64_t>(examples.size());
    return report_plan(pictures, train::plan_ldm(networks, options), options.lr.steps, run_options);
  }
  TrainingWatch watch(run_options.quiet);
  std::function<void(int64_t)> on_sample;
  if (!sample_prompts.empty()) {
    // Few steps where the model names no number: only a preview.
    const engine::Form form{.drawing = {.steps = 20}};
    const auto job = std::make_shared<engine::ResolvedJob>(
        engine::resolve({.config = opened.config,
                         .tokenizer = [&]() -> const text::ClipTokenizer& { return tokenizer; },
                         .noise_schedule = *opened.noise_schedule},
                        engine::parse_request(sample_request(opened.config), form)));
    if (embedding) job->embeddings = options.embedding.vectors;  // as they are trained
    on_sample = [&, job](int64_t step) {
      std::vector<Image> pictures;
      engine::run_job(networks, *job,
                      {.picture = [&](Picture&& picture) { pictures.push_back(std::move(picture.image)); }},
                      {.cancel = &stop_requested(), .check_files = [&] { opened.stored->check_intact(); }});
      make_output_folder(options.out / "samples");
      image::write_png(options.out / "samples" / fmt::format("{:08}.png", step),
                       image::make_grid(pictures, std::min<int64_t>(8, static_cast<int64_t>(pictures.size()))));
    };
  }
  const train::RunResult trained =
      train::train_ldm(networks, *opened.stored, own_tokenizer, options, watch.hooks(on_sample));
  return report_run(trained, run_options, options.out / result, watch);
}

std::function<int()> declare(CLI::App& app) {
  auto train = std::make_shared<TrainLdm>();
  train::LdmOptions& o = train->options;
  add_run_options(app, train->run_options, o, "with captions in .txt files or metadata.jsonl");
  add_model_options(app, train->model);
  add_number(app, "--lr", o.lr.peak, "Learning rate");
  add_integer(app, "--size", o.size, "Pixels a side; 0: the model's");
  add_integer(app, "--crops", o.crops, "Randomly placed squares per picture; 0: its middle");
  add_number(app, "--clip", o.clip, "Limit of the gradient's norm; 0: none");
  add_number(app, "--weight-decay", o.weight_decay, "AdamW's weight decay");
  add_number(app, "--beta2", o.beta2, "AdamW's decay of the squared gradients' mean");
  add_number(app, "--ema", o.ema, "Decay of the averaged weights; 0: none");
  add_number(app, "--caption-dropout", o.caption_dropout, "Share of captions left empty, for guidance");
  add_number(app, "--min-snr", o.min_snr_gamma, "Min-SNR weighting's gamma; 0: none");
  add_number(app, "--timestep-shift", o.timestep_shift, "Above 1: draw more timesteps with much noise");
  app.add_flag("--train-text", o.train_text, "Train the text encoder as well");
  add_number(app, "--text-lr-scale", o.text_lr_scale,
             "The text encoder's learning rate, as a multiple of --lr; with --train-text");
  add_integer(app, "--lora", o.lora_rank, "Train a LoRA of that rank instead of the weights; 0: the weights");
  add_number(app, "--lora-alpha", o.lora_alpha, "The LoRA's alpha; 0: the rank");
  app.add_flag("--from-scratch", o.from_scratch,
               "Start the trained networks from fresh weights; the autoencoder is kept");
  app.add_flag("--checkpointing", o.checkpoint_activations,
               "Recompute activations in the backward pass instead of keeping them");
  add_repeatable(app, "--sample-prompt", train->sample_prompts, "TEXT",
                 "Draw this every --sample-every steps; may be repeated");
  app.add_flag("--dry-run", train->dry_run, "Only report what would be trained, and the memory and the time it takes");
  add_engine_options(app, train->engine);
  return [train] { return train->run(); };
}

const CommandRegistration kRegistration({.name = "train ldm",
                                         .help = "Train or fine-tune a diffusion model on captioned pictures",
                                         .examples = R"(Examples:
  sumi train ldm --ckpt sd-v1-4.ckpt --data pictures/ --out run1 --size 256 --steps 2000 --lr 1e-5 --checkpointing
  sumi train ldm --ckpt sd-v1-4.ckpt --data pictures/ --out run2 --lora 8 --size 512 --lr 1e-4 --checkpointing
  sumi txt2img --ckpt sd-v1-4.ckpt --lora run2/lora.safetensors:0.8 --prompt "…"
  sumi train ldm --ckpt sd-v1-4.ckpt --data pictures/ --out run1 --resume --size 256 --steps 2000 --lr 1e-5 --checkpointing
A stopped or killed run continues with --resume and ends with the same bytes.
)",
                                         .declare = declare});

std::function<int()> declare_embedding(CLI::App& app) {
  auto train = std::make_shared<TrainLdm>();
  train->embedding = true;
  train::LdmOptions& o = train->options;
  o.caption_dropout = 0.0;
  o.weight_decay = 0.0;
  o.ema = 0.0;
  o.lr.peak = 5e-3;
  o.batch = 1;
  add_run_options(app, train->run_options, o, "with captions in .txt files or metadata.jsonl, or without");
  add_model_options(app, train->model);
  app.add_option("--word", train->word, "The word that prompts will use; the file is called so")
      ->required()
      ->type_name("WORD");
  app.add_option("--init", train->init, "Words whose vectors it begins with")
      ->type_name("TEXT")
      ->default_str(train->init);
  add_integer(app, "--vectors", train->vectors, "Vectors, 1 to 75; each takes one of a prompt's 75 places");
  add_number(app, "--lr", o.lr.peak, "Learning rate");
  add_integer(app, "--size", o.size, "Pixels a side; 0: the model's");
  add_integer(app, "--crops", o.crops, "Randomly placed squares per picture; 0: its middle");
  add_number(app, "--clip", o.clip, "Limit of the gradient's norm; 0: none");
  add_number(app, "--weight-decay", o.weight_decay, "AdamW's weight decay");
  add_number(app, "--min-snr", o.min_snr_gamma, "Min-SNR weighting's gamma; 0: none");
  add_number(app, "--timestep-shift", o.timestep_shift, "Above 1: draw more timesteps with much noise");
  app.add_flag("--checkpointing", o.checkpoint_activations,
               "Recompute activations in the backward pass instead of keeping them");
  add_repeatable(app, "--sample-prompt", train->sample_prompts, "TEXT",
                 "Draw this every --sample-every steps; may be repeated");
  app.add_flag("--dry-run", train->dry_run, "Only report what would be trained, and the memory and the time it takes");
  add_engine_options(app, train->engine);
  return [train] { return train->run(); };
}

const CommandRegistration kEmbeddingRegistration(
    {.name = "train embedding",
     .help = "Train a word for a subject or a style (textual inversion); the model stays as it is",
     .examples = R"(Examples:
  sumi train embedding --ckpt sd-v1-4.ckpt --data my-cat/ --out run3 --word my-cat --init cat --vectors 4 --size 512 \
      --steps 3000 --checkpointing
  sumi "a my-cat on a sofa" --ckpt sd-v1-4.ckpt --embedding run3/my-cat.safetensors
The word is put before captions that do not have it; a picture without a caption is "a photo of WORD".
)",
     .declare = declare_embedding});

}  // namespace
}  // namespace sumi::app
