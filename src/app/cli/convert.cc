// sumi convert: a model in another type, as one file, safetensors or GGUF.
#include <algorithm>
#include <memory>

#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/output.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "base/progress.h"
#include "engine/cast_checkpoint.h"
#include "io/gguf.h"
#include "io/safetensors.h"
#include "models/loading/autoencoder_file.h"
#include "models/loading/open.h"

namespace sumi::app {
namespace {

struct Convert {
  ModelChoice model;
  std::string dtype = "auto", convolutions, out, about;

  int run() const;
  template <class Writer>
  void write(const io::Checkpoint& file, const std::map<std::string, std::string>& metadata) const;
};

int Convert::run() const {
  SUMI_CHECK_KIND(kUsage, !model.checkpoint.empty(), "no model to convert; name one with --ckpt");
  const ModelOptions words{.prediction = model.prediction, .dtype = dtype};
  engine::check_model_options(words);
  const auto type = engine::weights_dtype_of(words);
  const bool quantizes = type && is_quantized(*type);
  std::optional<DType> of_convolutions;
  if (!convolutions.empty()) {
    SUMI_CHECK_KIND(kUsage, quantizes, "--convolutions is for --dtype q8_0 and q4_0");
    of_convolutions = dtype_from_name(convolutions);
  }
  const bool gguf = std::filesystem::path(out).extension() == ".gguf";
  SUMI_CHECK_KIND(kUsage, gguf || !quantizes,
                  "safetensors has no type {}; use f32, f16 or bf16, or end the name in .gguf", dtype);
  check_writable_file(out);
  std::shared_ptr<const io::Checkpoint> stored = models::open_model_files(model.checkpoint);
  std::error_code error;
  SUMI_CHECK_KIND(kUsage, !std::filesystem::equivalent(model.checkpoint, out, error),
                  "--out is the model itself; choose another name");
  SUMI_CHECK_KIND(kUsage, model.vae.empty() || !std::filesystem::equivalent(model.vae, out, error),
                  "--out is the autoencoder of --vae; choose another name");
  std::optional<models::AutoencoderConfig> autoencoder;
  if (!model.vae.empty() && model.vae != "own") {
    const models::ModelConfig config = models::config_for(*stored, model.config);
    const models::AutoencoderFile chosen = models::open_autoencoder(model.vae, config);
    SUMI_CHECK_KIND(kUsage, !chosen.tiny,
                    "{}: is a tiny autoencoder, which other programs look for in a file of its own, not in a "
                    "checkpoint; leave out --vae",
                    model.vae);
    autoencoder = chosen.config;
    autoencoder->scale_factor = config.autoencoder.scale_factor;
    stored = models::with_autoencoder(stored, chosen.file);
  }
  const auto file = type ? engine::cast_checkpoint(stored, *type, of_convolutions) : stored;
  std::map<std::string, std::string> metadata = file->metadata();
  std::erase_if(metadata, [](const auto& entry) {  // of the file's own layout
    return entry.first.starts_with("comfy.gguf.") || entry.first == "general.alignment" ||
           entry.first == "general.file_type" || entry.first == "general.quantization_version";
  });
  // A folder's configuration files are not copied, and shapes alone do not determine everything.
  const auto prediction = engine::prediction_of(words);
  const bool comes_along = metadata.contains(models::kConfigKey) || file->format() != "diffusers folder";
  if (!comes_along || !model.config.empty() || prediction || autoencoder) {
    models::ModelConfig config = models::config_for(*stored, model.config);
    if (autoencoder) config.autoencoder = *autoencoder;
    if (prediction) config.prediction = *prediction;
    if (config.scale_by_std) {  // computed from the first latents when the model was trained
      config.autoencoder.scale_factor = models::config_for(*stored, {}).autoencoder.scale_factor;
      config.scale_by_std = false;
    }
    metadata[models::kConfigKey] = models::config_to_yaml(config);
  }
  if (!about.empty()) metadata[models::kAboutKey] = about;
  if (gguf) {
    write<io::GgufWriter>(*file, metadata);
  } else {
    const bool quantized = std::any_of(file->tensors().begin(), file->tensors().end(),
                                       [](const io::TensorInfo& info) { return is_quantized(info.dtype); });
    SUMI_CHECK_KIND(kUsage, !quantized, "safetensors has no quantised types, which {} has; add --dtype f16 or f32",
                    model.checkpoint);
    write<io::SafetensorsWriter>(*file, metadata);
  }
  say(out + "\n");
  return 0;
}

template <class Writer>
void Convert::write(const io::Checkpoint& file, const std::map<std::string, std::string>& metadata) const {
  Writer writer(out, file.tensors(), metadata);
  Progress bar({.label = "converting", .total = static_cast<int64_t>(file.tensors().size())});
  int64_t done = 0;
  for (const io::TensorInfo& info : file.tensors()) {
    writer.write(file.tensor(info.name));
    bar.update(++done);
  }
  const SignalsWait wait;
  writer.commit();
}

std::function<int()> declare(CLI::App& app) {
  auto convert = std::make_shared<Convert>();
  add_model_options(app, convert->model, false);
  app.add_option("--dtype", convert->dtype,
                 "Type of the weights: f32, f16, bf16, or auto (as they are); in a .gguf also q8_0 and q4_0")
      ->type_name("TYPE")
      ->default_str("auto");
  app.add_option(
         "--convolutions", convert->convolutions,
         "With --dtype q8_0 or q4_0, the type of all convolutions: f32, f16 or bf16. By default they are quantised "
         "too, which other programs, stable-diffusion.cpp among them, cannot read")
      ->type_name("TYPE");
  app.add_option("--out", convert->out, "The file to write, .safetensors or .gguf")->required()->type_name("FILE");
  app.add_option("--about", convert->about, "Where the model comes from, for `sumi list models`")->type_name("TEXT");
  return [convert] { return convert->run(); };
}

const CommandRegistration kRegistration(
    {.name = "convert",
     .help = "Write a model as one file, safetensors or GGUF, in another type if asked",
     .examples = R"(Examples:
  sumi convert --ckpt sd-v1-4.ckpt --dtype f16 --out sd-v1-4.safetensors
  sumi convert --ckpt some-diffusers-folder --out model.safetensors
  sumi convert --ckpt sd-v1-4.ckpt --dtype q8_0 --out sd-v1-4-q8_0.gguf
  sumi convert --ckpt sd-v1-4.ckpt --dtype q8_0 --convolutions f16 --out for-other-programs.gguf
)",
     .declare = declare});

}  // namespace
}  // namespace sumi::app
