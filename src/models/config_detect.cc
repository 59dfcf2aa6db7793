// A configuration from the names and shapes of a CompVis checkpoint.
#include <algorithm>

#include "base/check.h"
#include "base/text_util.h"
#include "io/name_map.h"
#include "models/family.h"

namespace sumi::models {
namespace {

// Looks tensors up; a UNet that is there only as its moving average counts. The original writes that under the
// parameter's name without dots: `model.diffusion_model.out.0.bias` is `model_ema.diffusion_modelout0bias`.
class Lookup {
 public:
  explicit Lookup(const io::Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  const io::TensorInfo* find(const std::string& name) const {
    if (const auto* info = checkpoint_.find(name)) return info;
    constexpr std::string_view kModel = "model.";
    if (!name.starts_with(kModel)) return nullptr;
    std::string averaged = name.substr(kModel.size());
    averaged.erase(std::remove(averaged.begin(), averaged.end(), '.'), averaged.end());
    return checkpoint_.find("model_ema." + averaged);
  }
  bool has(const std::string& name) const { return find(name) != nullptr; }
  // The tensor's shape, which must have this many dimensions.
  const Shape& shape(const std::string& name, int rank) const {
    const io::TensorInfo* info = find(name);
    SUMI_CHECK(info, "{}: has no tensor {}", path(), name);
    SUMI_CHECK(info->shape.rank() == rank, "{}: {} has the shape {}; a network of this kind has {} dimensions there",
               path(), name, info->shape.str(), rank);
    return info->shape;
  }
  // `name`, with 0, 1, 2 … between the two halves: how many there are in a row.
  int64_t count(const std::string& before, const std::string& after) const {
    int64_t n = 0;
    while (has(before + std::to_string(n) + after)) ++n;
    return n;
  }
  std::string path() const { return checkpoint_.path().string(); }

 private:
  const io::Checkpoint& checkpoint_;
};

const std::string kUNet(io::kUNetPrefix);
const std::string kVae(io::kVaePrefix);
const std::string kText = std::string(io::kTextPrefix) + "text_model.";

// `width` as a multiple of `base`.
int64_t multiple(const Lookup& lookup, int64_t width, int64_t base, const char* what) {
  SUMI_CHECK(base > 0 && width > 0 && width % base == 0,
             "{}: a level of the {} has {} channels, which is no multiple of the first's {}", lookup.path(), what,
             width, base);
  return width / base;
}

// The transformer whose sizes are read: `at` less a trailing dot, `width` its channels.
void read_transformer(const Lookup& lookup, const std::string& at, int64_t width, UNetConfig& c) {
  c.use_spatial_transformer = lookup.has(at + ".proj_in.weight");
  if (!c.use_spatial_transformer) {
    c.context_dim = 0;
    return;
  }
  const io::TensorInfo* proj = lookup.find(at + ".proj_in.weight");
  c.use_linear_in_transformer = proj->shape.rank() == 2;
  c.transformer_depth = lookup.count(at + ".transformer_blocks.", ".attn1.to_q.weight");
  const Shape& keys = lookup.shape(at + ".transformer_blocks.0.attn2.to_k.weight", 2);
  c.context_dim = keys[1] == width ? 0 : keys[1];
}

void read_levels(const Lookup& lookup, const io::UNetStages& stages, UNetConfig& c) {
  c.channel_mult.clear();
  c.num_res_blocks.clear();
  c.attention_resolutions.clear();
  int64_t block = 1;
  for (size_t level = 0; level < stages.down.size(); ++level) {
    const io::UNetStage& stage = stages.down[level];
    const std::string at = fmt::format("{}input_blocks.{}", kUNet, block);
    const int64_t width = lookup.shape(at + ".0.out_layers.3.weight", 4)[0];
    c.channel_mult.push_back(multiple(lookup, width, c.model_channels, "UNet"));
    c.num_res_blocks.push_back(stage.blocks);
    if (stage.attends && level < 62) c.attention_resolutions.push_back(int64_t{1} << level);
    const bool last = level + 1 == stages.down.size();
    const bool resamples = stage.resampler != io::UNetStage::Resampler::kNone;
    bool all_there = stage.blocks >= 1;
    for (int i = 0; i < stage.blocks; ++i) {
      all_there &= lookup.has(fmt::format("{}input_blocks.{}.0.in_layers.0.weight", kUNet, block + i));
    }
    SUMI_CHECK(all_there && resamples != last,
               "{}: the levels of its UNet cannot be told from the names; give its configuration with --config",
               lookup.path());
    c.resblock_updown |= stage.resampler == io::UNetStage::Resampler::kResBlock;
    block += stage.blocks + (resamples ? 1 : 0);
  }
  SUMI_CHECK(!stages.down.empty() && !lookup.has(fmt::format("{}input_blocks.{}.0.in_layers.0.weight", kUNet, block)),
             "{}: the levels of its UNet cannot be told from the names; give its configuration with --config",
             lookup.path());
  if (std::adjacent_find(c.num_res_blocks.begin(), c.num_res_blocks.end(), std::not_equal_to<>()) ==
      c.num_res_blocks.end()) {
    c.num_res_blocks.resize(1);
  }
  const int64_t first_width = c.model_channels * c.channel_mult[0];
  const Shape& time = lookup.shape(kUNet + "input_blocks.1.0.emb_layers.1.weight", 2);
  c.use_scale_shift_norm = time[0] == 2 * first_width;
}

// The context's width: that of the keys in cross-attention. Where these are as wide as the channels at every level it
// is self-attention once more, unless only one width is to be seen and there is text.
void read_context(const Lookup& lookup, const io::UNetStages& stages, UNetConfig& c) {
  const int64_t width = c.model_channels * c.channel_mult.back();
  read_transformer(lookup, kUNet + "middle_block.1", width, c);
  if (!c.use_spatial_transformer || c.context_dim != 0) return;
  bool only_width = true;
  int64_t block = 1;
  for (size_t level = 0; level < stages.down.size(); ++level) {
    const io::UNetStage& stage = stages.down[level];
    const int64_t other = c.model_channels * c.channel_mult[level];
    if (stage.attends && other != width) {
      const Shape& keys =
          lookup.shape(fmt::format("{}input_blocks.{}.1.transformer_blocks.0.attn2.to_k.weight", kUNet, block), 2);
      if (keys[1] != other) c.context_dim = width;  // so the middle's keys are as wide as its channels by chance
      only_width = false;
    }
    block += stage.blocks + 1;
  }
  if (only_width && lookup.has(kText + "embeddings.token_embedding.weight")) c.context_dim = width;
}

UNetConfig detect_unet(const Lookup& lookup) {
  UNetConfig c;
  const Shape& first = lookup.shape(kUNet + "input_blocks.0.0.weight", 4);
  c.model_channels = first[0];
  c.in_channels = first[1];
  c.out_channels = lookup.shape(kUNet + "out.2.weight", 4)[0];
  const io::UNetStages stages =
      io::unet_stages_of_compvis([&](const std::string& name) { return lookup.has(kUNet + name); });
  read_levels(lookup, stages, c);
  read_context(lookup, stages, c);
  return c;
}

AutoencoderConfig detect_autoencoder(const Lookup& lookup) {
  AutoencoderConfig c;
  SUMI_CHECK(!lookup.has(kVae + "quantize.embedding.weight"), "{}: has a VQ autoencoder; KL autoencoders are supported",
             lookup.path());
  if (!lookup.has(kVae + "decoder.conv_in.weight")) return c;  // none in this file: the common one is taken
  const io::VaeLevels levels =
      io::vae_levels_of_compvis([&](const std::string& name) { return lookup.has(kVae + name); });
  const Shape& out = lookup.shape(kVae + "decoder.conv_out.weight", 4);
  c.out_channels = c.in_channels = out[0];
  c.ch = out[1];
  if (lookup.has(kVae + "encoder.conv_in.weight")) {
    const Shape& in = lookup.shape(kVae + "encoder.conv_in.weight", 4);
    c.ch = in[0];
    c.in_channels = in[1];
  }
  const Shape& latent = lookup.shape(kVae + "post_quant_conv.weight", 4);
  c.z_channels = latent[0];
  c.embed_dim = latent[1];
  SUMI_CHECK(!levels.decoder.empty() && levels.decoder.size() <= 12,
             "{}: its autoencoder's decoder has {} levels; 1 to 12 are supported", lookup.path(),
             levels.decoder.size());
  c.num_res_blocks = levels.decoder[0] - 1;
  c.resolution = int64_t{1} << (levels.decoder.size() + 4);
  c.ch_mult.clear();
  for (size_t level = 0; level < levels.decoder.size(); ++level) {
    const std::string at = fmt::format("{}decoder.up.{}", kVae, level);
    c.ch_mult.push_back(multiple(lookup, lookup.shape(at + ".block.0.conv1.weight", 4)[0], c.ch, "autoencoder"));
    if (lookup.has(at + ".attn.0.norm.weight")) c.attn_resolutions.push_back(c.resolution >> level);
  }
  return c;
}

ClipTextConfig detect_text(const Lookup& lookup) {
  ClipTextConfig c;
  const std::string tokens = kText + "embeddings.token_embedding.weight";
  if (!lookup.has(tokens)) return c;  // none in this file: the common one is taken
  const Shape& embedding = lookup.shape(tokens, 2);
  c.vocab_size = embedding[0];
  c.hidden_size = embedding[1];
  c.max_positions = lookup.shape(kText + "embeddings.position_embedding.weight", 2)[0];
  c.layers = lookup.count(kText + "encoder.layers.", ".mlp.fc1.weight");
  if (c.layers > 0) c.intermediate_size = lookup.shape(kText + "encoder.layers.0.mlp.fc1.weight", 2)[0];
  return c;
}

// What to say of a file without a UNet under the names that are known.
[[noreturn]] void fail_unknown(const io::Checkpoint& checkpoint) {
  std::string first;
  for (size_t i = 0; i < std::min<size_t>(3, checkpoint.tensors().size()); ++i) {
    first += fmt::format("{}{}", i == 0 ? "" : ", ", strip_control(checkpoint.tensors()[i].name.substr(0, 80)));
  }
  fail(ErrorKind::kData,
       "{}: is no Stable Diffusion checkpoint: it has no {}input_blocks.0.0.weight; its tensors begin with {}",
       checkpoint.path().string(), kUNet, first.empty() ? "nothing: there are none" : first);
}

}  // namespace

ModelConfig detect_config(const io::Checkpoint& checkpoint) {
  const Lookup lookup(checkpoint);
  const std::string path = lookup.path();
  if (const std::string kind = unsupported_kind(checkpoint); !kind.empty())
    fail(ErrorKind::kData, "{}: is {}", path, kind);
  if (!lookup.has(kUNet + "input_blocks.0.0.weight")) fail_unknown(checkpoint);
  ModelConfig config;
  config.unet = detect_unet(lookup);
  config.autoencoder = detect_autoencoder(lookup);
  config.text = detect_text(lookup);
  const Family family = family_of(config);
  config.family = family.name;
  family.complete(config, path);
  check_config(config, path);
  return config;
}

}  // namespace sumi::models
