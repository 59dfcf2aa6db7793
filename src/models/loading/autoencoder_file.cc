#include "models/loading/autoencoder_file.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "base/check.h"
#include "base/text_util.h"
#include "models/family.h"
#include "models/loading/diffusers_folder.h"
#include "models/loading/joined.h"
#include "models/loading/name_map.h"
#include "models/loading/open.h"
#include "models/loading/prefixes.h"
#include "models/loading/renamed.h"
#include "models/loading/tidy_names.h"
#include "models/taesd/taesd_file.h"

namespace sumi::models {
namespace {

namespace fs = std::filesystem;

bool any_starts(const io::Checkpoint& file, std::string_view prefix) {
  return std::any_of(file.tensors().begin(), file.tensors().end(),
                     [&](const io::TensorInfo& info) { return info.name.starts_with(prefix); });
}

bool is_part(std::string_view name) {
  return name.starts_with("encoder.") || name.starts_with("decoder.") || name.starts_with("quant_conv.") ||
         name.starts_with("post_quant_conv.");
}

// The tensors of a file of one network, in CompVis or diffusers' names, under the checkpoint's prefix.
std::unique_ptr<io::Checkpoint> of_component(std::unique_ptr<io::Checkpoint> file) {
  std::unordered_set<std::string> names;
  for (const io::TensorInfo& info : file->tensors()) names.insert(tidy_component_name(info.name, false));
  const auto has = [&](const std::string& name) { return names.contains(name); };
  const bool diffusers =
      has("decoder.mid_block.resnets.0.conv1.weight") || has("encoder.mid_block.resnets.0.conv1.weight");
  const std::string prefix(kVaePrefix);
  if (!diffusers) {
    return renamed(std::move(file), [&](const std::string& name) {
      const std::string tidy = tidy_component_name(name, false);
      return is_part(tidy) ? prefix + tidy : std::string();
    });
  }
  const NameMap map = vae_name_map(vae_levels_of_diffusers(has));
  return renamed(std::move(file), [&](const std::string& name) {
    const std::string tidy = tidy_component_name(name, false);
    return map.to_compvis(tidy).value_or(is_part(tidy) ? prefix + tidy : std::string());
  });
}

std::shared_ptr<const io::Checkpoint> autoencoder_of(std::shared_ptr<const io::Checkpoint> file) {
  return renamed(std::move(file),
                 [](const std::string& name) { return name.starts_with(kVaePrefix) ? name : std::string(); });
}

// The configuration beside the weights of a component, if there is one.
std::optional<AutoencoderConfig> config_beside(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_regular_file(folder / "config.json", ignored)) return std::nullopt;
  return autoencoder_from_diffusers(folder);
}

// A tiny autoencoder has no sizes that a model's configuration states: the file tells them itself.
AutoencoderFile tiny(std::shared_ptr<const io::Checkpoint> file, const AutoencoderConfig& of_model) {
  return {.file = std::move(file), .config = of_model, .states_scale = false, .tiny = true};
}

bool says_tiny(const fs::path& config) {
  std::error_code ignored;
  return fs::is_regular_file(config, ignored) && is_tiny_config(config);
}

AutoencoderFile open_folder(const fs::path& path, const ModelConfig& model) {
  std::error_code ignored;
  fs::path folder = path;
  if (!fs::exists(path / "config.json", ignored) && fs::is_directory(path / "vae", ignored)) folder = path / "vae";
  auto file = open_diffusers_component(folder);
  SUMI_CHECK_KIND(kNoInput, file, "{}: holds no weights of an autoencoder (diffusion_pytorch_model.safetensors)",
                  folder.string());
  if (says_tiny(folder / "config.json")) {
    const std::string source = file->path().string();
    auto found = taesd_of(std::move(file));
    SUMI_CHECK(found,
               "{}: its config.json says AutoencoderTiny, and no tensor of it begins with encoder.layers. or "
               "decoder.layers.",
               source);
    return tiny(std::move(found), model.autoencoder);
  }
  const auto config = config_beside(folder);
  AutoencoderFile out{.file = of_component(std::move(file)), .config = {}};
  out.config = config ? *config : detect_autoencoder(*out.file);
  out.states_scale = config.has_value();
  return out;
}

AutoencoderFile open_file(const fs::path& path, const ModelConfig& model) {
  if (auto found = open_taesd(path)) {
    if (path.stem().string().starts_with("diffusion_pytorch_model")) says_tiny(path.parent_path() / "config.json");
    return tiny(std::move(found), model.autoencoder);
  }
  std::unique_ptr<io::Checkpoint> file = open_model_files(path);
  AutoencoderFile out;
  if (any_starts(*file, kVaePrefix)) {
    const bool whole = file->metadata().contains(kConfigKey) && any_starts(*file, kUNetPrefix);
    if (whole) out.config = config_for(*file, {}).autoencoder;
    out.states_scale = whole;
    out.file = autoencoder_of(std::move(file));
    if (!whole) out.config = detect_autoencoder(*out.file);
    if (!whole) out.config.norm_groups = model.autoencoder.norm_groups;
    return out;
  }
  const auto config =
      path.stem().string().starts_with("diffusion_pytorch_model") ? config_beside(path.parent_path()) : std::nullopt;
  out.file = of_component(std::move(file));
  out.config = config ? *config : detect_autoencoder(*out.file);
  if (!config) out.config.norm_groups = model.autoencoder.norm_groups;
  out.states_scale = config.has_value();
  return out;
}

// Whether a tiny autoencoder fits the model's latents.
void check_tiny(const io::Checkpoint& file, const AutoencoderConfig& model, const std::string& source) {
  const int64_t channels = taesd_in(file, kVaePrefix).value().latent_channels;
  SUMI_CHECK(
      channels == model.embed_dim,
      "{}: is a tiny autoencoder for latents of {} channels{}, and the model's have {}; it is for another family "
      "of models",
      source, channels, channels == 16 ? " (as taesd3 and taef1 are)" : "", model.embed_dim);
  SUMI_CHECK(model.downsampling() == TaesdConfig::kDownsampling,
             "{}: is a tiny autoencoder, for {} pixels to one of a latent, and the model has {}; give another `vae`",
             source, TaesdConfig::kDownsampling, model.downsampling());
}

}  // namespace

AutoencoderFile open_autoencoder(const fs::path& path, const ModelConfig& model) {
  std::error_code ignored;
  AutoencoderFile out = fs::is_directory(path, ignored) ? open_folder(path, model) : open_file(path, model);
  const std::string source = path.string();
  if (out.tiny) {
    check_tiny(*out.file, model.autoencoder, source);
    return out;
  }
  SUMI_CHECK(!out.file->tensors().empty(),
             "{}: holds no autoencoder: no tensor of it begins with decoder., encoder. or {}", source, kVaePrefix);
  if (!out.states_scale) out.config.scale_factor = model.autoencoder.scale_factor;
  check_config(out.config, source);
  SUMI_CHECK(out.config.embed_dim == model.autoencoder.embed_dim,
             "{}: is an autoencoder for latents of {} channels, and the model's have {}; it is for another family of "
             "models",
             source, out.config.embed_dim, model.autoencoder.embed_dim);
  return out;
}

ModelConfig sd1_config() {
  ModelConfig config{.family = "sd1"};
  family_for(config).complete(config, config.family);
  return config;
}

fs::path autoencoder_beside(const fs::path& checkpoint) {
  std::error_code ignored;
  if (!fs::is_regular_file(checkpoint, ignored)) return {};
  for (const char* ending : {".vae.pt", ".vae.ckpt", ".vae.safetensors"}) {
    fs::path file = checkpoint;
    file.replace_extension(ending);
    if (fs::is_regular_file(file, ignored)) return file;
  }
  return {};
}

std::shared_ptr<const io::Checkpoint> with_autoencoder(std::shared_ptr<const io::Checkpoint> model,
                                                       std::shared_ptr<const io::Checkpoint> autoencoder) {
  return joined(std::move(model), std::move(autoencoder), std::string(kVaePrefix));
}

}  // namespace sumi::models
