#include "app/cli/common.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "app/cli/arguments.h"
#include "base/check.h"
#include "base/parallel.h"
#include "base/text_util.h"
#include "models/loading/open.h"
#include "models/loading/prefixes.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOriginalCheckpoint = "models/ldm/stable-diffusion-v1/model.ckpt";

bool is_checkpoint_name(const fs::path& path) {
  const std::string ending = path.extension().string();
  return !path.filename().string().starts_with(".") && (ending == ".ckpt" || ending == ".safetensors");
}

bool has_unet(const fs::path& path) {
  try {
    return has_network(*models::open_model_files(path), models::kUNetPrefix);
  } catch (const Error&) {
    return false;
  }
}

// Checkpoints in a folder OWNER--NAME of `sumi pull`. It may also hold LoRAs or a CLIP model.
void add_pulled(const fs::path& folder, std::vector<fs::path>& found) {
  if (folder.filename().string().find("--") == std::string::npos) return;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    if (is_checkpoint_name(entries->path()) && has_unet(entries->path())) found.push_back(entries->path());
  }
}

// Model folders and files that `sumi pull` or a person put into the data folder; "random-…" are made-up weights.
std::vector<fs::path> models_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const fs::path& path = entries->path();
    const std::string name = path.filename().string();
    if (name.starts_with(".") || name.starts_with("random-")) continue;
    std::error_code ignored;
    if (fs::exists(path / "model_index.json", ignored) || is_checkpoint_name(path)) {
      found.push_back(path);
    } else {
      add_pulled(path, found);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

// The file of a LoRA named in a prompt: in the folder given, else beside the model, in its loras/, or in the data
// folder's loras/.
fs::path find_lora(const std::string& name, const fs::path& chosen, const fs::path& model) {
  std::vector<fs::path> folders;
  std::error_code error;
  if (!chosen.empty()) {
    folders = {chosen};
  } else {
    const fs::path beside = fs::is_directory(model, error) ? model : fs::absolute(model, error).parent_path();
    folders = {beside, beside / "loras", beside / "Lora"};
    if (const auto data = text::find_data_folder()) folders.push_back(*data / "loras");
  }
  std::string looked;
  for (const fs::path& folder : folders) {
    for (const char* ending : {".safetensors", ".pt", ".ckpt"}) {
      fs::path file = folder / (name + ending);
      if (fs::is_regular_file(file, error)) return file;
    }
    looked += (looked.empty() ? "" : ", ") + folder.string();
  }
  fail(ErrorKind::kNoInput,
       "the prompt names the lora \"{}\"; there is no {}.safetensors in {}; choose its folder with --lora-dir",
       strip_control(name), strip_control(name), looked);
}

}  // namespace

void add_engine_options(CLI::App& app, EngineOptions& options, bool with_weights) {
  app.add_option("--backend", options.backend, "Where to compute: cpu, or ref (plain loops, slow)")
      ->type_name("NAME")
      ->default_str("cpu");
  add_integer(app, "--threads", options.threads, "Threads, 1 to 1024; by default one per core");
  if (!with_weights) return;
  app.add_option(
         "--dtype", options.dtype,
         "Type the weights are rounded to: f32, f16, bf16, q8_0, q4_0 (8 or 4 bits and a scale for every 32), or auto "
         "(as in the file). Arithmetic is in f32")
      ->type_name("TYPE")
      ->default_str("auto");
  app.add_flag(
      "--exact", options.exact,
      "Direct instead of Winograd convolutions: less rounding error; steps take 1.4, decoding 2.8 times as long");
}

void add_precision_option(CLI::App& app, EngineOptions& options) {
  app.add_option(
         "--precision", options.precision,
         "What the networks compute in: full (f32), f16 or bf16 (results of layers are rounded to that type, sums "
         "are f32; the autoencoder stays in f32 under f16), or autocast, the original's default: full")
      ->type_name("TYPE")
      ->default_str("autocast");
}

DType EngineOptions::activations() const {
  if (precision == "full" || precision == "autocast") return DType::kF32;
  SUMI_CHECK_KIND(kUsage, precision == "f16" || precision == "bf16",
                  "--precision must be full, f16, bf16 or autocast, not {}", precision);
  return dtype_from_name(precision);
}

Device EngineOptions::device() const {
  const Device device = device_from_name(backend);
  const auto there = engine::available_devices();
  SUMI_CHECK_KIND(kUnavailable, std::find(there.begin(), there.end(), device) != there.end(),
                  "this program was built without the backend {}; `sumi list backends` shows those it has", backend);
  return device;
}

std::optional<DType> EngineOptions::weights_dtype() const {
  if (dtype == "auto") return std::nullopt;
  const DType type = dtype_from_name(dtype);
  SUMI_CHECK_KIND(kUsage, is_weight_type(type), "--dtype must be auto, f32, f16, bf16, q8_0 or q4_0, not {}", dtype);
  return type;
}

void EngineOptions::apply() const {
  device();
  weights_dtype();
  activations();
  if (!threads) return;
  SUMI_CHECK_KIND(kUsage, *threads >= 1 && *threads <= 1024, "--threads must be from 1 to 1024, not {}", *threads);
  set_num_threads(static_cast<int>(*threads));
}

void add_model_options(CLI::App& app, ModelChoice& choice, bool with_tokenizer) {
  app.add_option("--ckpt", choice.checkpoint, "Checkpoint: .ckpt, .safetensors, or a diffusers folder")
      ->type_name("FILE");
  app.add_option("--config", choice.config,
                 "LDM configuration (YAML); by default the folder's, else inferred from the tensors")
      ->type_name("FILE");
  app.add_option("--prediction", choice.prediction, "What the UNet predicts: eps, v, x0, or auto")
      ->type_name("KIND")
      ->default_str("auto");
  if (!with_tokenizer) return;
  app.add_option("--tokenizer", choice.tokenizer, "Folder with vocab.json and merges.txt")->type_name("DIR");
}

std::optional<diffusion::Prediction> ModelChoice::parsed_prediction() const {
  if (prediction == "auto") return std::nullopt;
  const auto parsed = diffusion::prediction_of(prediction);
  SUMI_CHECK_KIND(kUsage, parsed, "--prediction must be eps, v, x0 or auto, not {}", prediction);
  return parsed;
}

engine::ModelOptions ModelChoice::options(const EngineOptions& engine) const {
  return {.checkpoint = checkpoint.empty() ? default_checkpoint() : fs::path(checkpoint),
          .config = config,
          .device = engine.device(),
          .dtype = engine.weights_dtype(),
          .prediction = parsed_prediction(),
          .exact = engine.exact,
          .activations = engine.activations(),
          .loras = parsed_loras()};
}

std::vector<engine::LoraChoice> ModelChoice::parsed_loras() const {
  std::vector<engine::LoraChoice> choices;
  for (const std::string& text : loras) {
    std::error_code error;
    const size_t colon = text.rfind(':');
    if (colon == std::string::npos || fs::exists(text, error)) {
      choices.push_back({text, 1.0});
      continue;
    }
    double weight = 0.0;
    const char *begin = text.data() + colon + 1, *end = text.data() + text.size();
    const auto [stopped, trouble] = std::from_chars(begin, end, weight);
    SUMI_CHECK_KIND(kUsage, trouble == std::errc() && stopped == end && std::isfinite(weight) && colon > 0,
                    "--lora takes FILE or FILE:WEIGHT, not {}", text);
    choices.push_back({text.substr(0, colon), weight});
  }
  for (const text::LoraTag& tag : named_loras)
    choices.push_back(
        {find_lora(tag.name, lora_folder, checkpoint.empty() ? default_checkpoint() : fs::path(checkpoint)),
         tag.weight});
  return choices;
}

text::ClipTokenizer ModelChoice::load_tokenizer(const fs::path& model_path, const io::Checkpoint* file) const {
  if (tokenizer.empty() && file != nullptr) {
    const auto vocabulary = file->metadata().find(models::kVocabularyKey),
               merges = file->metadata().find(models::kMergesKey);
    if (vocabulary != file->metadata().end() && merges != file->metadata().end()) {
      const std::string name = file->path().string();
      return text::ClipTokenizer::parse({.vocabulary = vocabulary->second,
                                         .merges = merges->second,
                                         .vocabulary_source = name + ", its vocabulary",
                                         .merges_source = name + ", its merges"});
    }
  }
  std::optional<fs::path> folder;
  if (!tokenizer.empty()) folder = tokenizer;
  return text::ClipTokenizer::load(text::find_tokenizer(folder, model_path));
}

std::string as_line(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

bool has_network(const io::Checkpoint& file, std::string_view prefix) {
  return std::any_of(file.tensors().begin(), file.tensors().end(),
                     [&](const io::TensorInfo& info) { return info.name.starts_with(prefix); });
}

std::vector<fs::path> own_models() {
  const auto data = text::find_data_folder();
  return data ? models_in(*data / "models") : std::vector<fs::path>();
}

// build/sumi and build/release/sumi belong to models/NAME/NAME.safetensors of their source tree, PREFIX/bin/sumi to
// PREFIX/share/sumi/models.
std::vector<fs::path> bundled_models() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (error || folder.empty()) return {};
  std::vector<fs::path> found = models_in(folder / "../share/sumi/models");
  for (const char* source : {"..", "../.."}) {
    if (!fs::exists(folder / source / "CMakeLists.txt", error)) continue;
    for (const auto& entry : fs::directory_iterator(folder / source / "models", error)) {
      for (fs::path& model : models_in(entry.path())) found.push_back(std::move(model));
    }
  }
  for (fs::path& path : found) path = fs::weakly_canonical(path, error);
  std::sort(found.begin(), found.end());
  return found;
}

fs::path default_checkpoint() {
  if (const char* named = std::getenv("SUMI_MODEL"); named != nullptr && *named != '\0') return named;
  std::error_code error;
  if (fs::exists(kOriginalCheckpoint, error)) return kOriginalCheckpoint;
  const std::vector<fs::path> found = own_models(), bundled = bundled_models();
  if (found.size() == 1) return found[0];
  if (found.empty() && !bundled.empty()) return bundled[0];
  const auto data = text::find_data_folder();
  const std::string folder = data ? (*data / "models").string() : "no data folder: HOME is not set";
  SUMI_CHECK_KIND(kUsage, found.empty(), "{} holds {} models; choose one with --ckpt, or with SUMI_MODEL", folder,
                  found.size());
  fail(ErrorKind::kNoInput,
       "no model: name one with --ckpt FILE or SUMI_MODEL, or fetch one with `sumi pull OWNER/NAME` (looked for {} and "
       "in {})",
       kOriginalCheckpoint, folder);
}

void set_sampler(diffusion::SampleOptions& options, const std::string& sampler, const std::string& schedule) {
  std::string implied;
  options.sampler = diffusion::resolve_sampler(sampler, &implied);
  SUMI_CHECK_KIND(kUsage, schedule.empty() || implied.empty() || schedule == implied,
                  "\"{}\" means the schedule {}, but --schedule says {}", sampler, implied, schedule);
  options.schedule = schedule.empty() ? implied : schedule;
  diffusion::check_sampler(options.sampler, options.schedule);
}

}  // namespace sumi::app
