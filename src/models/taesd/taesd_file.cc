#include "models/taesd/taesd_file.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string>

#include "base/check.h"
#include "base/text_util.h"
#include "io/json_file.h"
#include "models/loading/joined.h"
#include "models/loading/prefixes.h"
#include "models/loading/renamed.h"

namespace sumi::models {
namespace {

namespace fs = std::filesystem;
using io::Checkpoint;

constexpr std::string_view kEncoder = "taesd_encoder.", kDecoder = "taesd_decoder.";
constexpr std::string_view kEncoderLayers = "encoder.layers.", kDecoderLayers = "decoder.layers.";
constexpr std::string_view kPlainEncoder = "encoder.", kPlainDecoder = "decoder.";
constexpr int64_t kMaxWidth = 4096;

bool any_name(const Checkpoint& file, const auto& test) {
  return std::any_of(file.tensors().begin(), file.tensors().end(),
                     [&](const io::TensorInfo& info) { return test(std::string_view(info.name)); });
}

// "12.rest" as 12 and ".rest"; -1: it does not begin with a number.
int64_t layer_of(std::string_view name, std::string_view* rest = nullptr) {
  int64_t layer = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.' || layer < 0 || layer > 1000) return -1;
  if (rest != nullptr) *rest = name.substr(static_cast<size_t>(end - name.data()));
  return layer;
}

// "3.conv.0.weight": no other network that is known has layers of such names.
bool is_in_block(std::string_view name) {
  std::string_view rest;
  return layer_of(name, &rest) >= 0 && rest.starts_with(".conv.");
}

// The same, or "1.weight".
bool is_layer(std::string_view name) {
  std::string_view rest;
  return is_in_block(name) || (layer_of(name, &rest) >= 0 && (rest == ".weight" || rest == ".bias"));
}

std::string under_prefix(std::string_view half, std::string_view name) {
  return std::string(kVaePrefix) + std::string(half) + std::string(name);
}

// diffusers' decoder does not count the clamp in front.
std::string counted_from_the_clamp(std::string_view name) {
  std::string_view rest;
  const int64_t layer = layer_of(name, &rest);
  return layer < 0 ? std::string(name) : std::to_string(layer + 1) + std::string(rest);
}

std::shared_ptr<const Checkpoint> of_diffusers(std::shared_ptr<const Checkpoint> file) {
  return renamed(std::move(file), [](const std::string& full) {
    const std::string_view name = full;
    if (name.starts_with(kEncoderLayers)) return under_prefix(kEncoder, name.substr(kEncoderLayers.size()));
    if (!name.starts_with(kDecoderLayers)) return std::string();
    return under_prefix(kDecoder, counted_from_the_clamp(name.substr(kDecoderLayers.size())));
  });
}

// "decoder.3.conv.0.weight" for the prefix "decoder.".
auto in_block_of(std::string_view prefix) {
  return
      [prefix](std::string_view name) { return name.starts_with(prefix) && is_in_block(name.substr(prefix.size())); };
}

// Both halves as the original's class saves them.
std::shared_ptr<const Checkpoint> of_both_halves(std::shared_ptr<const Checkpoint> file) {
  return renamed(std::move(file), [](const std::string& name) {
    const bool half = name.starts_with(kPlainEncoder) || name.starts_with(kPlainDecoder);
    return half ? under_prefix("taesd_", name) : std::string();
  });
}

// The original's file of one half: the encoder's list begins with a convolution, the decoder's with a clamp.
std::shared_ptr<const Checkpoint> of_one_half(std::shared_ptr<const Checkpoint> file) {
  const bool encoder = file->has("0.weight"), decoder = file->has("1.weight");
  SUMI_CHECK(encoder != decoder,
             "{}: has layers of a tiny autoencoder, but {} the first convolution of an encoder (0.weight) {} that of a "
             "decoder (1.weight)",
             file->path().string(), encoder ? "both" : "neither", encoder ? "and" : "nor");
  const std::string_view half = encoder ? kEncoder : kDecoder;
  return renamed(std::move(file), [half](const std::string& name) {
    return layer_of(name) < 0 ? std::string() : under_prefix(half, name);
  });
}

// The other half's name: the last "decoder" of the file's name for "encoder", or the reverse; empty: it has neither.
fs::path other_half(const fs::path& path) {
  constexpr std::string_view kNames[] = {"decoder", "encoder"};
  std::string name = path.filename().string();
  for (const size_t own : {size_t{0}, size_t{1}}) {
    const size_t at = name.rfind(kNames[own]);
    if (at == std::string::npos) continue;
    name.replace(at, kNames[own].size(), kNames[1 - own]);
    return path.parent_path() / name;
  }
  return {};
}

bool has_half(const Checkpoint& file, std::string_view half) {
  const std::string prefix = std::string(kVaePrefix) + std::string(half);
  return any_name(file, [&](std::string_view name) { return name.starts_with(prefix); });
}

// The shape of a convolution that tells the sizes.
Shape shape_of(const Checkpoint& file, const std::string& name) {
  const io::TensorInfo* info = file.find(name);
  SUMI_CHECK(info != nullptr, "{}: its tiny autoencoder lacks the tensor {}", file.path().string(), name);
  SUMI_CHECK(info->shape.rank() == 4, "{}: the convolution {} has the shape {}, not [out,in,3,3]", file.path().string(),
             name, info->shape.str());
  return info->shape;
}

}  // namespace

std::shared_ptr<const Checkpoint> taesd_of(std::shared_ptr<const Checkpoint> file) {
  const auto begins = [](std::string_view prefix) {
    return [prefix](std::string_view name) { return name.starts_with(prefix) && is_layer(name.substr(prefix.size())); };
  };
  if (any_name(*file, begins(kEncoder)) || any_name(*file, begins(kDecoder))) {
    return renamed(std::move(file), [](const std::string& name) {
      const bool part = name.starts_with(kEncoder) || name.starts_with(kDecoder);
      return part ? under_prefix("", name) : std::string();
    });
  }
  if (any_name(*file, begins(kEncoderLayers)) || any_name(*file, begins(kDecoderLayers)))
    return of_diffusers(std::move(file));
  if (any_name(*file, in_block_of(kPlainEncoder)) || any_name(*file, in_block_of(kPlainDecoder)))
    return of_both_halves(std::move(file));
  return any_name(*file, is_in_block) ? of_one_half(std::move(file)) : nullptr;
}

std::shared_ptr<const Checkpoint> open_taesd(const fs::path& path) {
  std::shared_ptr<const Checkpoint> file = taesd_of(io::open_checkpoint(path));
  if (!file || (has_half(*file, kEncoder) && has_half(*file, kDecoder))) return file;
  const fs::path beside = other_half(path);
  std::error_code ignored;
  if (beside.empty() || !fs::is_regular_file(beside, ignored)) return file;
  std::shared_ptr<const Checkpoint> other = taesd_of(io::open_checkpoint(beside));
  const std::string_view missing = has_half(*file, kEncoder) ? kDecoder : kEncoder;
  SUMI_CHECK(other && has_half(*other, missing), "{}: lies beside {} and is not the other half of its tiny autoencoder",
             beside.string(), path.filename().string());
  return joined(std::move(file), std::move(other), std::string(kVaePrefix) + std::string(missing));
}

bool is_tiny_config(const fs::path& config) {
  const nlohmann::json json = io::read_json_file(config, io::kMaxConfigBytes, true);
  if (!json.is_object() || !json.contains("_class_name") || json["_class_name"] != "AutoencoderTiny") return false;
  const std::pair<const char*, nlohmann::json> fixed[] = {
      {"act_fn", "relu"},    {"upsample_fn", "nearest"}, {"upsampling_scaling_factor", 2},
      {"scaling_factor", 1}, {"shift_factor", 0},        {"in_channels", 3},
      {"out_channels", 3}};
  for (const auto& [key, value] : fixed) {
    const auto found = json.find(key);
    SUMI_CHECK(found == json.end() || found->is_null() || *found == value,
               "{}: {} is {}; only {} is supported for a tiny autoencoder", config.string(), key,
               strip_control(found->dump(-1, ' ', true)), value.dump());
  }
  return true;
}

std::optional<TaesdConfig> taesd_in(const Checkpoint& file, std::string_view prefix) {
  const std::string encoder = std::string(prefix) + std::string(kEncoder),
                    decoder = std::string(prefix) + std::string(kDecoder);
  const auto begins = [](const std::string& with) {
    return [&](std::string_view name) { return name.starts_with(with); };
  };
  TaesdConfig config{.encoder = any_name(file, begins(encoder)), .decoder = any_name(file, begins(decoder))};
  if (!config.encoder && !config.decoder) return std::nullopt;
  const Shape first = shape_of(file, config.decoder ? decoder + "1.weight" : encoder + "0.weight");
  config.width = first[0];
  config.latent_channels = config.decoder ? first[1] : shape_of(file, encoder + "14.weight")[0];
  for (const int64_t size : {config.width, config.latent_channels}) {
    SUMI_CHECK(size >= 1 && size <= kMaxWidth, "{}: its tiny autoencoder has {} channels; 1 to {} are possible",
               file.path().string(), size, kMaxWidth);
  }
  return config;
}

std::unique_ptr<Taesd> bind_taesd(const Checkpoint& file, std::string_view prefix, const TaesdConfig& config,
                                  BindReport& report, const BindOptions& options) {
  auto network = std::make_unique<Taesd>(config);
  bind_module(*network, file, std::string(prefix), report, options);
  return network;
}

}  // namespace sumi::models
