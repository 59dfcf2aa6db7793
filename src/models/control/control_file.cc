#include "models/control/control_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/text_util.h"
#include "io/json_file.h"
#include "models/control/control_kind.h"
#include "models/control/control_net.h"
#include "models/loading/bind.h"
#include "models/loading/diffusers_folder.h"
#include "models/loading/factors.h"
#include "models/loading/name_map.h"
#include "models/loading/prefixes.h"
#include "models/loading/renamed.h"
#include "models/loading/tidy_names.h"

namespace sumi::models {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "control_model.";

bool any_starts(const io::Checkpoint& file, std::string_view prefix) {
  return std::any_of(file.tensors().begin(), file.tensors().end(),
                     [&](const io::TensorInfo& info) { return info.name.starts_with(prefix); });
}

// diffusers' modules beside the UNet's.
std::vector<Rename> own_modules(size_t skips) {
  std::vector<Rename> renames{{"input_hint_block.0", "controlnet_cond_embedding.conv_in"},
                              {"input_hint_block.14", "controlnet_cond_embedding.conv_out"},
                              {"middle_block_out.0", "controlnet_mid_block"}};
  for (int i = 0; i < 6; ++i) {
    renames.push_back(
        {"input_hint_block." + std::to_string(2 * i + 2), "controlnet_cond_embedding.blocks." + std::to_string(i)});
  }
  for (size_t i = 0; i < skips; ++i)
    renames.push_back({"zero_convs." + std::to_string(i) + ".0", "controlnet_down_blocks." + std::to_string(i)});
  return renames;
}

std::unique_ptr<io::Checkpoint> from_diffusers(std::unique_ptr<io::Checkpoint> file, const UNetConfig& config) {
  const UNetTopology topology = make_topology(config);
  const NameMap unet = unet_name_map(topology), own(own_modules(topology.input_blocks.size()));
  return renamed(std::move(file), [&](const std::string& name) {
    if (const auto found = own.to_compvis(name)) return std::string(kPrefix) + *found;
    if (const auto found = unet.to_compvis(name)) return std::string(kPrefix) + found->substr(kUNetPrefix.size());
    return std::string(kPrefix) + name;
  });
}

// The network's tensors under the names of CompVis' files.
std::unique_ptr<io::Checkpoint> under_own_names(std::unique_ptr<io::Checkpoint> file, const UNetConfig& config) {
  const bool tidy = std::all_of(file->tensors().begin(), file->tensors().end(), [](const io::TensorInfo& info) {
    return tidy_component_name(info.name, false) == info.name;
  });
  if (!tidy) {
    file = renamed(
        std::move(file), [](const std::string& name) { return tidy_component_name(name, false); }, SameName::kKeepOwn);
  }
  check_is_control(*file);
  if (any_starts(*file, kPrefix)) {
    return renamed(std::move(file),
                   [](const std::string& name) { return name.starts_with(kPrefix) ? name : std::string(); });
  }
  if (any_starts(*file, "controlnet_cond_embedding.")) return from_diffusers(std::move(file), config);
  return renamed(std::move(file), [](const std::string& name) { return std::string(kPrefix) + name; });
}

fs::path component_folder(const fs::path& path) {
  std::error_code ignored;
  const bool whole = !fs::exists(path / "config.json", ignored) && fs::is_directory(path / "controlnet", ignored);
  return whole ? path / "controlnet" : path;
}

std::unique_ptr<io::Checkpoint> open_weights(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    check_no_picture(path);
    return with_factors_applied(io::open_checkpoint(path));
  }
  const fs::path folder = component_folder(path);
  auto file = open_diffusers_component(folder);
  SUMI_CHECK_KIND(kNoInput, file, "{}: holds no weights of a ControlNet (diffusion_pytorch_model.safetensors)",
                  folder.string());
  return file;
}

// What diffusers' config.json tells beyond the shapes. There need not be one.
void read_config(const fs::path& path, ControlFile& out) {
  std::error_code ignored;
  const bool folder = fs::is_directory(path, ignored);
  if (!folder && !path.filename().string().starts_with("diffusion_pytorch_model")) return;
  const fs::path file = (folder ? component_folder(path) : path.parent_path()) / "config.json";
  if (!fs::is_regular_file(file, ignored)) return;
  const nlohmann::json json = io::read_json_file(file, io::kMaxConfigBytes, true);
  SUMI_CHECK(json.is_object(), "{}: is not a JSON object", file.string());
  const auto order = json.find("controlnet_conditioning_channel_order");
  SUMI_CHECK(order == json.end() || order->is_null() || *order == "rgb",
             "{}: its ControlNet takes hints in the channels' order {}; only rgb is supported", file.string(),
             excerpt(order->dump(-1, ' ', true)));
  const auto pooled = json.find("global_pool_conditions");
  if (pooled == json.end() || pooled->is_null()) return;
  SUMI_CHECK(pooled->is_boolean(), "{}: global_pool_conditions is not true or false", file.string());
  out.pooled = pooled->get<bool>();
}

// The width of the texts that the network looks at; 0: it has no such layer.
int64_t context_of(const io::Checkpoint& file) {
  for (const io::TensorInfo& info : file.tensors()) {
    if (info.name.ends_with(".attn2.to_k.weight") && info.shape.rank() == 2) return info.shape[1];
  }
  return 0;
}

void check_family(const io::Checkpoint& file, const UNetConfig& config) {
  const std::string path = file.path().string();
  const int64_t context = context_of(file);
  SUMI_CHECK(
      context == 0 || context == config.context_dim,
      "{}: is a ControlNet for models whose texts are {} wide, and this model's are {}; take one for this family "
      "(768: Stable Diffusion 1.x, 1024: 2.x, 2048: SDXL)",
      path, context, config.context_dim);
  SUMI_CHECK(!any_starts(file, std::string(kPrefix) + "label_emb.") &&
                 !any_starts(file, std::string(kPrefix) + "add_embedding."),
             "{}: is a ControlNet for SDXL, and this model is another", path);
}

// A first look at every tensor: a network that cannot be bound is refused before any work.
void check_shapes(const io::Checkpoint& file, const UNetConfig& config) {
  ControlNet network(config);
  nn::for_each_param(network, std::string(kPrefix), [&](const std::string& name, nn::Param& param) {
    const io::TensorInfo* info = file.find(name);
    SUMI_CHECK(info != nullptr, "{}: has no tensor {}, which a ControlNet for this model has", file.path().string(),
               name);
    SUMI_CHECK(info->shape.numel() == param.shape.numel(),
               "{}: {} is {} where a ControlNet for this model has {}; it was made for another kind of model",
               file.path().string(), name, info->shape.str(), param.shape.str());
  });
}

}  // namespace

int64_t ControlFile::weight_bytes() const {
  int64_t bytes = 0;
  for (const io::TensorInfo& info : file->tensors()) {
    // Binding turns f64 into f32 and 8-bit floats into f16.
    const DType bound = info.dtype == DType::kF64 ? DType::kF32 : is_float8(info.dtype) ? DType::kF16 : info.dtype;
    bytes += bytes_of(bound, info.shape.numel());
  }
  return bytes;
}

UNetConfig control_config(const ModelConfig& model) {
  UNetConfig config = model.unet;
  config.in_channels = model.autoencoder.embed_dim;
  return config;
}

std::shared_ptr<const ControlFile> open_control(const fs::path& path, const ModelConfig& model) {
  ControlFile out{.file = nullptr, .config = control_config(model)};
  out.file = under_own_names(open_weights(path), out.config);
  out.pooled = path.stem().string().find("shuffle") != std::string::npos;
  read_config(path, out);
  check_family(*out.file, out.config);
  check_shapes(*out.file, out.config);
  return std::make_shared<const ControlFile>(std::move(out));
}

std::unique_ptr<ControlNet> bind_control(const ControlFile& file, Device device) {
  auto network = std::make_unique<ControlNet>(file.config, file.pooled);
  BindReport report{.file = file.file->path().string()};
  bind_module(*network, *file.file, std::string(kPrefix), report, {.device = device});
  report.check();
  return network;
}

}  // namespace sumi::models
