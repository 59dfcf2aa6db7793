#include "models/upscaler/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "models/loading/renamed.h"

namespace sumi::models {
namespace {

constexpr int64_t kMaxWidth = 4096, kMaxUpsamplings = 3, kMaxScale = 8;

bool any_begins_with(const io::Checkpoint& file, std::string_view prefix) {
  return std::any_of(file.tensors().begin(), file.tensors().end(),
                     [&](const io::TensorInfo& info) { return info.name.starts_with(prefix); });
}

// "rest" of "PREFIXrest".
std::optional<std::string_view> after(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  return name.substr(prefix.size());
}

// Takes a decimal number off the front of `text`; -1: there is none.
int64_t take_number(std::string_view& text) {
  int64_t number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || text.front() == '-') return -1;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

// The file without the wrapper that training puts around a network's names.
std::shared_ptr<const io::Checkpoint> unwrapped(std::shared_ptr<const io::Checkpoint> file) {
  for (const std::string_view wrapper : {"params_ema.", "params.", "module."}) {
    if (!any_begins_with(*file, wrapper)) continue;
    file = renamed(file, [&](const std::string& name) { return std::string(after(name, wrapper).value_or("")); });
  }
  return file;
}

// The first ESRGAN's names, a list of layers in which activations and enlargements count: `model.0`, the blocks and
// the convolution behind them in `model.1.sub`, three entries an upsampling, and the last two convolutions.
class OldNames {
 public:
  explicit OldNames(const io::Checkpoint& file) {
    while (file.has(fmt::format("model.1.sub.{}.RDB1.conv1.0.weight", blocks_))) ++blocks_;
    int64_t last = 0;
    for (const io::TensorInfo& info : file.tensors()) {
      if (auto rest = after(info.name, "model.")) last = std::max(last, take_number(*rest));
    }
    SUMI_CHECK(last >= kFewest && (last - kFewest) % 3 == 0 && (last - kFewest) / 3 <= kMaxUpsamplings,
               "{}: has the names of the first ESRGAN models, but \"model.{}\" cannot be the last layer of one",
               file.path().string(), last);
    upsamplings_ = (last - kFewest) / 3;
  }

  std::string operator()(const std::string& name) const {
    if (const auto rest = after(name, "model.1.sub.")) return in_body(name, *rest);
    auto rest = after(name, "model.");
    const int64_t layer = rest ? take_number(*rest) : -1;
    if (layer < 0) return name;
    if (layer == 0) return "conv_first" + std::string(*rest);
    if (layer == kFewest - 2 + 3 * upsamplings_) return "conv_hr" + std::string(*rest);
    if (layer == kFewest + 3 * upsamplings_) return "conv_last" + std::string(*rest);
    if (layer % 3 == 0) return fmt::format("conv_up{}{}", layer / 3, *rest);
    return name;
  }

 private:
  static constexpr int64_t kFewest = 4;  // the last layer's number without any upsampling

  std::string in_body(const std::string& name, std::string_view rest) const {
    const int64_t number = take_number(rest);
    if (number == blocks_) return "conv_body" + std::string(rest);
    // ".RDB1.conv1.0.weight"
    const auto dense = after(rest, ".RDB");
    if (number < 0 || !dense) return name;
    std::string in_block(*dense);
    const size_t list = in_block.find(".0.");
    if (list == std::string::npos) return name;
    in_block.erase(list, 2);
    return fmt::format("body.{}.rdb{}", number, in_block);
  }

  int64_t blocks_ = 0, upsamplings_ = 0;
};

// Names of the years between.
std::string from_middle_name(const std::string& name) {
  if (const auto rest = after(name, "RRDB_trunk.")) {
    std::string block(*rest);
    if (const size_t at = block.find(".RDB"); at != std::string::npos) block.replace(at, 4, ".rdb");
    return "body." + block;
  }
  if (const auto rest = after(name, "trunk_conv")) return "conv_body" + std::string(*rest);
  if (const auto rest = after(name, "upconv")) return "conv_up" + std::string(*rest);
  if (const auto rest = after(name, "HRconv")) return "conv_hr" + std::string(*rest);
  return name;
}

// What a file is that is none of ours, by a part of a tensor's name.
struct Stranger {
  std::string_view part, what;
};
constexpr std::array<Stranger, 20> kStrangers{{{"model.diffusion_model.", "a diffusion model"},
                                               {"first_stage_model.", "an autoencoder"},
                                               {"lora_unet_", "a LoRA"},
                                               {"lora_te", "a LoRA"},
                                               {".conv1x1.", "an ESRGAN+ model"},
                                               {"overlap_attn", "a HAT model"},
                                               {".attn.attns.", "a DAT model"},
                                               {".logit_scale", "a Swin2SR model"},
                                               {".relative_position_bias_table", "a SwinIR model"},
                                               {".residual_group.", "a SwinIR model"},
                                               {".conv_du.", "an RCAN model"},
                                               {"body.0.body.0.weight", "an EDSR model"},
                                               {"block_1.c1_r.", "a SPAN model"},
                                               {"residual_layer.", "an OmniSR model"},
                                               {"unet1.", "a Real-CUGAN model"},
                                               {"feats.0.weight", "a PLKSR model"},
                                               {"stylegan_decoder.", "a GFPGAN model, which restores faces"},
                                               {"quantize.embedding.", "a CodeFormer model, which restores faces"},
                                               {"first_stage.", "an autoencoder"},
                                               {"encoder.conv_in.", "an autoencoder"}}};

[[noreturn]] void refuse(const io::Checkpoint& file) {
  constexpr std::string_view kKinds = "upscaling models are ESRGAN, Real-ESRGAN and its compact form";
  for (const Stranger& stranger : kStrangers) {
    for (const io::TensorInfo& info : file.tensors()) {
      if (info.name.find(stranger.part) != std::string::npos)
        fail(ErrorKind::kData, "{}: is {}, which is not supported here; {}", file.path().string(), stranger.what,
             kKinds);
    }
  }
  fail(ErrorKind::kData,
       "{}: is not an upscaling model: it has neither \"conv_first.weight\" nor \"model.0.weight\"; {}",
       file.path().string(), kKinds);
}

// Sizes of a tensor; throws where it is missing or has another number of dimensions.
const Shape& shape_of(const io::Checkpoint& file, const std::string& name, int rank) {
  const io::TensorInfo* info = file.find(name);
  SUMI_CHECK(info != nullptr, "{}: is not a whole upscaling model: \"{}\" is missing", file.path().string(), name);
  SUMI_CHECK(info->shape.rank() == rank, "{}: \"{}\" has the shape {}, which is none of an upscaling model's",
             file.path().string(), name, info->shape.str());
  return info->shape;
}

void check_width(const io::Checkpoint& file, int64_t width, const char* what) {
  SUMI_CHECK(width >= 1 && width <= kMaxWidth, "{}: an upscaling model of {} {}; 1 to {} are supported",
             file.path().string(), width, what, kMaxWidth);
}

RrdbConfig rrdb_config(const io::Checkpoint& file) {
  RrdbConfig c{.blocks = 0, .upsamplings = 0};
  const Shape& first = shape_of(file, "conv_first.weight", 4);
  c.features = first[0];
  c.growth = shape_of(file, "body.0.rdb1.conv1.weight", 4)[0];
  check_width(file, c.features, "features");
  check_width(file, c.growth, "channels of growth");
  c.unshuffle = first[1] == 3 ? 1 : first[1] == 12 ? 2 : first[1] == 48 ? 4 : 0;
  SUMI_CHECK(c.unshuffle > 0,
             "{}: an upscaling model of pictures with {} channels; colour pictures have 3 (or 12 or 48, "
             "where pixels become channels)",
             file.path().string(), first[1]);
  while (file.has(fmt::format("body.{}.rdb1.conv1.weight", c.blocks))) ++c.blocks;
  while (file.has(fmt::format("conv_up{}.weight", c.upsamplings + 1))) ++c.upsamplings;
  SUMI_CHECK(c.upsamplings <= kMaxUpsamplings && c.scale() >= 1,
             "{}: an upscaling model that doubles {} times after a reduction by {}", file.path().string(),
             c.upsamplings, c.unshuffle);
  return c;
}

CompactConfig compact_config(const io::Checkpoint& file) {
  CompactConfig c{.convolutions = -1};
  c.features = shape_of(file, "body.0.weight", 4)[0];
  check_width(file, c.features, "features");
  while (file.has(fmt::format("body.{}.weight", 2 * (c.convolutions + 1) + 1))) ++c.convolutions;
  const Shape& last = shape_of(file, fmt::format("body.{}.weight", 2 * (c.convolutions + 1)), 4);
  c.scale = 1;
  while (c.scale < kMaxScale && 3 * c.scale * c.scale < last[0]) ++c.scale;
  SUMI_CHECK(3 * c.scale * c.scale == last[0],
             "{}: an upscaling model whose last layer has {} outputs, not 3 for each "
             "pixel of a square of up to {}x{}",
             file.path().string(), last[0], kMaxScale, kMaxScale);
  return c;
}

bool is_compact(const io::Checkpoint& file) {
  const io::TensorInfo *conv = file.find("body.0.weight"), *slopes = file.find("body.1.weight");
  return conv != nullptr && slopes != nullptr && conv->shape.rank() == 4 && slopes->shape.rank() == 1;
}

}  // namespace

UpscalerFile recognise_upscaler(std::shared_ptr<const io::Checkpoint> file) {
  file = unwrapped(std::move(file));
  if (is_compact(*file)) return {file, compact_config(*file)};
  if (any_begins_with(*file, "model.1.sub.0.RDB1.conv1.0.")) {
    file = renamed(file, OldNames(*file));
  } else if (any_begins_with(*file, "RRDB_trunk.0.RDB1.")) {
    file = renamed(file, from_middle_name);
  }
  const bool is_plus = std::any_of(file->tensors().begin(), file->tensors().end(), [](const io::TensorInfo& info) {
    return info.name.find(".conv1x1.") != std::string::npos;
  });
  if (is_plus || !any_begins_with(*file, "body.0.rdb1.")) refuse(*file);
  return {file, rrdb_config(*file)};
}

}  // namespace sumi::models
