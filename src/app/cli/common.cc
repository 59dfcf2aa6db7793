#include "app/cli/common.h"

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/cli/arguments.h"
#include "app/cli/find_model.h"
#include "app/cli/process.h"
#include "app/places.h"
#include "base/check.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/parse_number.h"
#include "io/json_text.h"

namespace sumi::app {

void add_engine_options(CLI::App& app, EngineFlags& flags, bool with_weights) {
  app.add_option("--backend", flags.backend, "Where to compute: cpu, or ref (plain loops, slow)")
      ->type_name("NAME")
      ->default_str("cpu");
  add_integer(app, "--threads", flags.threads, "Threads, 1 to 1024; by default one per core");
  if (!with_weights) return;
  app.add_option(
         "--dtype", flags.dtype,
         "Type the weights are rounded to: f32, f16, bf16, q8_0, q4_0 (8 or 4 bits and a scale for every 32), or auto "
         "(as in the file). Arithmetic is in f32")
      ->type_name("TYPE")
      ->default_str("auto");
  app.add_flag(
      "--exact", flags.exact,
      "Direct instead of Winograd convolutions: less rounding error; steps take 1.4, decoding 2.8 times as long");
}

void add_precision_option(CLI::App& app, EngineFlags& flags) {
  app.add_option(
         "--precision", flags.precision,
         "What the networks compute in: full (f32), f16 or bf16 (results of layers are rounded to that type, sums "
         "are f32; the autoencoder stays in f32 under f16), or autocast, the original's default: full")
      ->type_name("TYPE")
      ->default_str("autocast");
}

EngineOptions EngineFlags::options() const {
  SUMI_CHECK_KIND(kUsage, !threads || (*threads >= 1 && *threads <= 1024), "--threads must be from 1 to 1024, not {}",
                  threads.value_or(0));
  const text::Places places = find_places();
  return {.threads = threads.value_or(0),
          .pin_threads = true,
          .catch_truncated_files = true,
          .data_folder = places.data_folder.string(),
          .hub_cache = places.hub_cache.string()};
}

void EngineFlags::check() const {
  engine::check_model_options({.backend = backend, .dtype = dtype, .precision = precision});
  options();
}

void EngineFlags::apply() const {
  check();
  if (threads) set_num_threads(static_cast<int>(*threads));
}

void add_model_options(CLI::App& app, ModelChoice& choice, bool with_tokenizer) {
  app.add_option("--ckpt", choice.checkpoint, "Checkpoint: .ckpt, .safetensors, .gguf, or a diffusers folder")
      ->type_name("FILE");
  app.add_option("--config", choice.config,
                 "LDM configuration (YAML); by default the folder's, else inferred from the tensors")
      ->type_name("FILE");
  app.add_option("--prediction", choice.prediction, "What the UNet predicts: eps, v, x0, or auto")
      ->type_name("KIND")
      ->default_str("auto");
  app.add_option("--vae", choice.vae,
                 "Autoencoder in place of the model's: a file (.vae.pt, .safetensors, a checkpoint), diffusers' vae "
                 "folder, or a tiny one (taesd_decoder.pth); own: the model's, even where NAME.vae.pt lies beside it")
      ->type_name("FILE");
  if (!with_tokenizer) return;
  app.add_option("--tokenizer", choice.tokenizer, "Folder with vocab.json and merges.txt")->type_name("DIR");
}

void add_preview_vae_option(CLI::App& app, ModelChoice& choice) {
  app.add_option("--preview-vae", choice.preview_vae,
                 "Tiny autoencoder (TAESD) that draws the previews, a file or folder; by default a linear estimate")
      ->type_name("FILE");
}

ModelOptions ModelChoice::options(const EngineFlags& engine) const {
  ModelOptions options{.config = config,
                       .vae = vae,
                       .preview_vae = preview_vae,
                       .tokenizer = tokenizer,
                       .prediction = prediction,
                       .backend = engine.backend,
                       .dtype = engine.dtype,
                       .precision = engine.precision,
                       .exact = engine.exact};
  engine::check_model_options(options);
  options.path = checkpoint.empty() ? default_checkpoint().string() : checkpoint;
  return options;
}

namespace {

constexpr const char* kLoraForms = "FILE, FILE:WEIGHT or FILE:unet=WEIGHT,text=WEIGHT";

double lora_weight(std::string_view text, std::string_view argument) {
  const auto weight = number_in<double>(text);
  SUMI_CHECK_KIND(kUsage, weight && std::isfinite(*weight), "--lora takes {}, not {}", kLoraForms, argument);
  return *weight;
}

}  // namespace

Lora parse_lora(const std::string& text) {
  std::error_code error;
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || std::filesystem::exists(text, error)) return {.file = text};
  SUMI_CHECK_KIND(kUsage, colon > 0, "--lora takes {}, not {}", kLoraForms, text);
  Lora lora{.file = text.substr(0, colon)};
  std::string_view weights = std::string_view(text).substr(colon + 1);
  if (weights.find('=') == std::string_view::npos) {
    lora.weight = lora_weight(weights, text);
    return lora;
  }
  for (bool more = true; more;) {
    const size_t comma = weights.find(',');
    more = comma != std::string_view::npos;
    const std::string_view part = weights.substr(0, comma);
    weights.remove_prefix(more ? comma + 1 : weights.size());
    std::optional<double>* which = part.starts_with("unet=")   ? &lora.unet
                                   : part.starts_with("text=") ? &lora.text
                                                               : nullptr;
    SUMI_CHECK_KIND(kUsage, which != nullptr && !*which, "--lora takes {}, not {}", kLoraForms, text);
    *which = lora_weight(part.substr(5), text);
  }
  return lora;
}

std::string as_line(const nlohmann::ordered_json& json) { return io::json_line(json) + "\n"; }

void tell_warnings(const Model& model, size_t& told) {
  for (const std::vector<std::string> all = model.info().warnings; told < all.size(); ++told) warn("{}", all[told]);
}

void run_job(Job& job, const Hooks& hooks) {
  const StopCancels stop(job);
  job.run(hooks);
}

}  // namespace sumi::app
