// sumi probe text, unet, vae-decode, vae-encode: one network on given numbers.
#include <cmath>
#include <filesystem>
#include <memory>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/probe_io.h"
#include "base/check.h"
#include "base/parse_number.h"
#include "engine/controls.h"
#include "models/embedding_file.h"
#include "models/loading/autoencoder_file.h"
#include "ops/elementwise.h"
#include "ops/layout.h"

namespace sumi::app {
namespace {

struct Probe {
  EngineFlags engine;
  ModelChoice model;
  std::string in, out;
  std::vector<std::string> loras, embeddings;
  std::vector<std::string> controls;  // FILE[:WEIGHT]
  bool guess = false;
};

// What the probes' options add to the model.
struct Extras {
  Tensor embeddings;  // undefined: none
  std::vector<engine::ControlJob> controls;
  bool guess = false;
};

// Reads inputs from `in`, runs the model, adds the results to `out`.
using Work = void (*)(const models::StableDiffusion& model, const Extras& extras, const ProbeInput& in,
                      ProbeOutput& out);

void run_text(const models::StableDiffusion& model, const Extras& extras, const ProbeInput& in, ProbeOutput& out) {
  models::TextQuery query;
  if (extras.embeddings) query.added = {extras.embeddings};
  for (const std::string& ending : in.endings("text_ids")) {
    out.add("text_hidden" + ending, model.encode_text(in.ids("text_ids" + ending, 2), query).hidden);
  }
}

void run_unet(const models::StableDiffusion& model, const Extras& extras, const ProbeInput& in, ProbeOutput& out) {
  engine::Controls controls(extras.controls, model, extras.guess);
  for (const std::string& ending : in.endings("x")) {
    const Tensor x = in.image("x" + ending).to(model.device());
    const std::string context = in.resolve("context", ending);
    models::Conditioning conditioning;
    if (in.has(context)) conditioning.sequence = in.floats(context, 3).to(model.device());
    const std::vector<double> timesteps = in.numbers(in.resolve("t", ending), x.dim(0));
    if (!extras.controls.empty()) {
      const Tensor hint = in.image(in.resolve("hint", ending)).to(model.device());
      const auto control = controls.with(std::vector<Tensor>(extras.controls.size(), hint), 1, false);
      conditioning.control = control(x, timesteps, conditioning, 0);
    }
    out.add_image("eps" + ending, model.predict(x, timesteps, conditioning));
  }
}

// A tiny autoencoder's own pictures are in [0, 1], and diffusers' in [-1, 1].
void run_decode(const models::StableDiffusion& model, const Extras&, const ProbeInput& in, ProbeOutput& out) {
  const bool tiny = !model.encodes_with_variance();
  for (const std::string& ending : in.endings("z")) {
    const Tensor image = model.decode_unscaled(in.image("z" + ending).to(model.device()));
    out.add_image("image" + ending, tiny ? affine(0.5f, image, 0.0f, {}, 0.5f) : image);
    if (tiny) out.add_image("diffusers_image" + ending, image);
  }
}

void run_tiny_encode(const models::StableDiffusion& model, const ProbeInput& in, ProbeOutput& out) {
  const bool around_zero = !in.has_any("in") && in.has_any("image");
  const std::string stem = around_zero ? "image" : "in";
  for (const std::string& ending : in.endings(stem)) {
    const Tensor given = in.image(stem + ending);
    const Tensor image = around_zero ? given : affine(2.0f, given, 0.0f, {}, -1.0f);
    const Tensor latent = model.encode(image.to(model.device()));
    out.add_image("latent" + ending, latent);
    out.add_image("diffusers_latent" + ending, latent);
  }
}

void run_encode(const models::StableDiffusion& model, const Extras&, const ProbeInput& in, ProbeOutput& out) {
  if (!model.encodes_with_variance()) return run_tiny_encode(model, in, out);
  for (const std::string& ending : in.endings("image")) {
    out.add_image("moments" + ending, model.encode(in.image("image" + ending).to(model.device())));
  }
}

// The vectors of all files, in order; undefined: none.
Tensor read_rows(const std::vector<std::string>& files, int64_t width) {
  std::vector<Tensor> rows;
  for (const std::string& file : files) {
    for (const models::Embedding& embedding : models::read_embeddings(*io::open_checkpoint(file), width))
      rows.push_back(embedding.vectors);
  }
  return rows.empty() ? Tensor() : concat_rows(rows);
}

// FILE[:WEIGHT]
engine::ControlJob control_of(const std::string& argument, const models::ModelConfig& config) {
  std::error_code ignored;
  const size_t colon = std::filesystem::exists(argument, ignored) ? std::string::npos : argument.rfind(':');
  if (colon == std::string::npos) return {.file = models::open_control(argument, config)};
  const auto weight = number_in<double>(std::string_view(argument).substr(colon + 1));
  SUMI_CHECK_KIND(kUsage, colon > 0 && weight && std::isfinite(*weight), "--control takes FILE or FILE:WEIGHT, not {}",
                  argument);
  return {.file = models::open_control(argument.substr(0, colon), config), .weight = *weight};
}

// A tiny autoencoder needs no model around it.
engine::OpenModel open(const Probe& probe, const models::LoadOptions& parts) {
  const ModelChoice& choice = probe.model;
  if (parts.autoencoder && choice.checkpoint.empty() && !choice.vae.empty() && choice.vae != "own") {
    const ModelOptions options{.backend = probe.engine.backend,
                               .dtype = probe.engine.dtype,
                               .precision = probe.engine.precision,
                               .exact = probe.engine.exact};
    engine::check_model_options(options);
    if (auto tiny = engine::open_tiny_autoencoder(choice.vae, models::sd1_config(), options)) return *tiny;
  }
  return engine::open_model(choice.options(probe.engine));
}

int run(const Probe& probe, models::LoadOptions parts, Work work) {
  probe.engine.apply();
  ProbeOutput out(probe.out);
  const ProbeInput in(probe.in);
  const engine::OpenModel opened = open(probe, parts);
  const models::StableDiffusion model = engine::load_model(opened, parts);
  nn::Adapters adapters;
  for (const std::string& argument : probe.loras) {
    const Lora lora = parse_lora(argument);
    model.adapt(adapters, *io::open_checkpoint(lora.file),
                {.unet = lora.unet.value_or(lora.weight), .text = lora.text.value_or(lora.weight)});
  }
  adapters.finish();
  {
    const nn::AdaptersScope adapted(&adapters);
    Extras extras{.embeddings = read_rows(probe.embeddings, opened.config.text.hidden_size), .guess = probe.guess};
    for (const std::string& argument : probe.controls) extras.controls.push_back(control_of(argument, opened.config));
    work(model, extras, in, out);
  }
  out.write();
  return 0;
}

std::function<std::function<int()>(CLI::App&)> probing(models::LoadOptions parts, Work work) {
  return [parts, work](CLI::App& app) -> std::function<int()> {
    auto probe = std::make_shared<Probe>();
    add_model_options(app, probe->model, false);
    app.add_option("--in", probe->in, "Inputs (safetensors, NCHW); names may end in digits: x0, t0, … x1, t1, …")
        ->required()
        ->type_name("FILE");
    app.add_option("--out", probe->out, "Where the outputs go (safetensors, NCHW, float32)")
        ->required()
        ->type_name("FILE");
    if (!parts.autoencoder)
      add_repeatable(app, "--lora", probe->loras, "FILE[:WEIGHT]",
                     "LoRA file of any kind, and its weight [1]; may be given several times");
    if (parts.unet) {
      add_repeatable(app, "--control", probe->controls, "FILE[:WEIGHT]",
                     "ControlNet that follows \"hint\" [B,3,8h,8w] in [0, 1], and its weight [1]; may be given several "
                     "times");
      app.add_flag("--guess-mode", probe->guess, "Softer towards the fine levels");
    }
    if (parts.text)
      add_repeatable(
          app, "--embedding", probe->embeddings, "FILE",
          "Embedding whose vectors the ids from the vocabulary's end on stand for; may be given several times");
    add_engine_options(app, probe->engine);
    add_precision_option(app, probe->engine);
    return [probe, parts, work] { return run(*probe, parts, work); };
  };
}

const models::LoadOptions kText{.text = true, .unet = false, .autoencoder = false};
const models::LoadOptions kUnet{.text = false, .unet = true, .autoencoder = false};
const models::LoadOptions kDecoder{.text = false, .unet = false, .encoder = false};
const models::LoadOptions kEncoder{.text = false, .unet = false, .decoder = false};

const CommandRegistration kTextRegistration({"probe text", "Text encoder: text_ids [B,77] -> text_hidden [B,77,D]", "",
                                             probing(kText, run_text)});
const CommandRegistration kUnetRegistration({"probe unet",
                                             "UNet: x [B,C,h,w], t [B], context [B,T,D], hint [B,3,8h,8w] -> eps", "",
                                             probing(kUnet, run_unet)});
const CommandRegistration kDecodeRegistration({"probe vae-decode",
                                               "Decoder: z [B,C,h,w], not scaled -> image, of a TAESD in [0,1]", "",
                                               probing(kDecoder, run_decode)});
const CommandRegistration kEncodeRegistration({"probe vae-encode",
                                               "Encoder: image [B,3,H,W] -> moments; TAESD: in [B,3,H,W] -> latent", "",
                                               probing(kEncoder, run_encode)});

}  // namespace
}  // namespace sumi::app
