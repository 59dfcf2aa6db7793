// sumi train ldm: a latent diffusion model on a folder of captioned pictures.
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "base/progress.h"
#include "image/grid.h"
#include "image/png.h"
#include "pipeline/memory_plan.h"
#include "pipeline/open_model.h"
#include "pipeline/txt2img.h"
#include "train/dataset.h"
#include "train/ldm_setup.h"

namespace sumi::app {
namespace {

struct TrainLdm {
  EngineOptions engine;
  ModelChoice model;
  train::LdmOptions options;
  std::string data, out, seed = "42";
  std::vector<std::string> sample_prompts;
  bool quiet = false, json = false, dry_run = false;

  int run();
  int plan(models::StableDiffusion& networks, Device device) const;
  pipeline::Txt2ImgRequest sample_request(const models::ModelConfig& config) const;
};

// The bar, with what people watch.
class Watch {
 public:
  explicit Watch(bool quiet) : quiet_(quiet) {}

  void latent(int64_t done, int64_t total) {
    begin("encoding pictures", total);
    bar_->update(done);
  }
  void step(const train::RunProgress& p) {
    mean_ = mean_ ? 0.98 * *mean_ + 0.02 * p.loss : p.loss;
    if (p.skipped && !quiet_) note(fmt::format("step {}: the loss is no number; nothing was changed", p.step));
    begin("training", p.steps);
    bar_->label(fmt::format("training, loss {:.4f}, lr {:.2g}", *mean_, p.lr));
    bar_->update(p.step);
  }
  void note(const std::string& text) {
    bar_.reset();
    if (!quiet_) complain("sumi: " + text + "\n");
  }

 private:
  void begin(const std::string& what, int64_t total) {
    if (bar_ && what_ == what) return;
    bar_.reset();
    what_ = what;
    bar_ = std::make_unique<Progress>(ProgressOptions{.label = what, .total = total, .quiet = quiet_});
  }

  bool quiet_;
  std::string what_;
  std::unique_ptr<Progress> bar_;
  std::optional<double> mean_;  // of the loss, over about fifty steps
};

// Pictures of each prompt, the same noise every time.
pipeline::Txt2ImgRequest TrainLdm::sample_request(const models::ModelConfig& config) const {
  pipeline::Txt2ImgRequest request;
  for (const std::string& prompt : sample_prompts) request.batches.push_back({prompt});
  request.width = request.height = train::picture_size(options, config);
  set_sampler(request.sampling, "ddim", "");
  request.sampling.steps = 20;
  request.scale = 5.0;
  pipeline::check_request(request);
  pipeline::check_request_for(request, config);
  return request;
}

int TrainLdm::plan(models::StableDiffusion& networks, Device device) const {
  const auto pictures = static_cast<int64_t>(train::find_examples(options.data).size());
  const train::LdmPlan plan = train::plan_ldm(networks, options, device);
  const double hours = plan.seconds * static_cast<double>(options.lr.steps) / 3600.0;
  if (json) {
    say(nlohmann::ordered_json{{"pictures", pictures},
                               {"trained_values", plan.trained_values},
                               {"memory_bytes", plan.bytes},
                               {"seconds_per_step", plan.seconds},
                               {"hours", hours}}
            .dump() +
        "\n");
    return 0;
  }
  say(fmt::format(
      "{} pictures, {:.1f} million trained values\n{} of memory beside the mapped file\n{:.2f} s a step, {} "
      "for {} steps\n",
      pictures, static_cast<double>(plan.trained_values) / 1e6, pipeline::format_bytes(plan.bytes), plan.seconds,
      format_duration(3600.0 * hours), options.lr.steps));
  return 0;
}

int TrainLdm::run() {
  engine.apply();
  options.data = data;
  options.out = out;
  const auto parsed = parse_seed(seed);
  SUMI_CHECK_KIND(kUsage, parsed, "--seed must be from 0 to 2^64-1");
  options.seed = *parsed;
  const pipeline::ModelOptions model_options = model.options(engine);
  const pipeline::OpenModel opened = pipeline::open_model(model_options);
  train::check_ldm_options(options, opened.config);
  options.model = model_options.checkpoint.filename().string();
  const text::ClipTokenizer tokenizer = model.load_tokenizer(model_options.checkpoint);
  models::check_vocabulary(opened.config, tokenizer.vocab_size());
  models::StableDiffusion networks = pipeline::load_model(opened);
  if (dry_run) return plan(networks, opened.device);
  Watch watch(quiet);
  std::function<void(int64_t)> on_sample;
  if (!sample_prompts.empty()) {
    on_sample = [&, request = sample_request(opened.config)](int64_t step) {
      std::vector<image::Image> pictures;
      pipeline::txt2img(networks, opened.device, tokenizer, request, {.on_picture = [&](pipeline::Picture&& picture) {
                          pictures.push_back(std::move(picture.image));
                        }});
      std::filesystem::create_directories(options.out / "samples");
      image::write_png(options.out / "samples" / fmt::format("{:08}.png", step),
                       image::make_grid(pictures, std::min<int64_t>(8, static_cast<int64_t>(pictures.size()))));
    };
  }
  const train::RunResult result =
      train::train_ldm(networks, *opened.checkpoint, opened.device, tokenizer, options,
                       {.on_step = [&](const train::RunProgress& p) { watch.step(p); },
                        .on_latent = [&](int64_t done, int64_t total) { watch.latent(done, total); },
                        .note = [&](const std::string& text) { watch.note(text); },
                        .on_sample = on_sample,
                        .cancel = &stop_requested()});
  if (result.skipped_pictures > 0) watch.note(fmt::format("{} pictures could not be read", result.skipped_pictures));
  if (result.stopped) watch.note(fmt::format("stopped after step {}, saved; go on with --resume", result.steps));
  const std::string file = (options.out / (options.lora_rank > 0 ? "lora.safetensors" : "model.safetensors")).string();
  if (json) {
    say(nlohmann::ordered_json{{"steps", result.steps},
                               {"loss", result.last_loss},
                               {"skipped_steps", result.skipped_steps},
                               {"skipped_pictures", result.skipped_pictures},
                               {"model", result.stopped ? nlohmann::ordered_json() : nlohmann::ordered_json(file)}}
            .dump() +
        "\n");
  } else if (!result.stopped) {
    say(file + "\n");
  }
  SUMI_CHECK_KIND(kCancelled, !result.stopped, "stopped");
  return 0;
}

std::function<int()> declare(CLI::App& app) {
  auto train = std::make_shared<TrainLdm>();
  train::LdmOptions& o = train->options;
  app.add_option("--data", train->data, "Folder of pictures, with captions in .txt files or metadata.jsonl")
      ->required()
      ->type_name("DIR");
  app.add_option("--out", train->out, "Where checkpoints, metrics.csv and the trained model go")
      ->required()
      ->type_name("DIR");
  add_model_options(app, train->model);
  add_integer(app, "--steps", o.lr.steps, "Optimizer steps");
  add_integer(app, "--batch", o.batch, "Pictures at once");
  add_integer(app, "--accumulate", o.accumulate, "Batches a step");
  add_integer(app, "--size", o.size, "Pixels a side; 0: the model's");
  add_number(app, "--lr", o.lr.peak, "Learning rate");
  add_integer(app, "--warmup", o.lr.warmup, "Steps in which it rises from 0");
  app.add_option("--lr-shape", o.lr.shape, "After the warm-up: constant or cosine")
      ->type_name("KIND")
      ->default_str(o.lr.shape);
  add_number(app, "--clip", o.clip, "Largest norm of the gradient; 0: any");
  add_number(app, "--weight-decay", o.weight_decay, "AdamW's weight decay");
  add_number(app, "--ema", o.ema, "Decay of the averaged weights; 0: none");
  add_number(app, "--caption-dropout", o.caption_dropout, "Share of captions left empty, for guidance");
  add_number(app, "--min-snr", o.min_snr_gamma, "Min-SNR weighting's gamma; 0: none");
  app.add_flag("--flip", o.flip, "Mirror pictures half of the time");
  app.add_flag("--train-text", o.train_text, "Train the text encoder along");
  add_integer(app, "--lora", o.lora_rank, "Train a LoRA of that rank instead of the weights; 0: the weights");
  add_number(app, "--lora-alpha", o.lora_alpha, "Its alpha; 0: the rank");
  app.add_flag("--from-scratch", o.from_scratch, "Fresh weights for what is trained; the autoencoder stays");
  app.add_flag("--checkpointing", o.checkpoint_activations, "Compute activations again instead of keeping them");
  add_integer(app, "--save-every", o.save_every, "Steps between checkpoints");
  add_repeatable(app, "--sample-prompt", train->sample_prompts, "TEXT",
                 "Draw this every --sample-every steps; may be repeated");
  add_integer(app, "--sample-every", o.sample_every, "Steps between sample sheets");
  app.add_flag("--dry-run", train->dry_run, "Only tell what is trained, how much memory it takes and how long");
  app.add_flag("--resume", o.resume, "Go on from the last checkpoint in --out");
  app.add_option("--seed", train->seed, "Of everything random")->type_name("N")->default_str(train->seed);
  add_engine_options(app, train->engine);
  app.add_flag("--quiet", train->quiet, "Say nothing but errors");
  app.add_flag("--json", train->json, "One JSON object on standard output at the end");
  return [train] { return train->run(); };
}

const CommandRegistration kRegistration({.name = "train ldm",
                                         .help = "Train or fine-tune a diffusion model on captioned pictures",
                                         .examples = R"(Examples:
  sumi train ldm --ckpt sd-v1-4.ckpt --data pictures/ --out run1 --size 256 --steps 2000 --lr 1e-5 --checkpointing
  sumi train ldm --ckpt sd-v1-4.ckpt --data pictures/ --out run2 --lora 8 --size 512 --lr 1e-4 --checkpointing
  sumi txt2img --ckpt sd-v1-4.ckpt --lora run2/lora.safetensors:0.8 --prompt "…"
  sumi train ldm --ckpt sd-v1-4.ckpt --data pictures/ --out run1 --resume --size 256 --steps 2000 --lr 1e-5
A stopped or killed run goes on with --resume and ends with the same bytes.
)",
                                         .declare = declare});

}  // namespace
}  // namespace sumi::app
