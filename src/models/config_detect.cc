// A configuration from the names and shapes of a CompVis checkpoint.
#include <algorithm>

#include "base/check.h"
#include "base/text_util.h"
#include "models/family.h"
#include "models/loading/name_map.h"
#include "models/loading/prefixes.h"
#include "models/loading/unet_from_names.h"

namespace sumi::models {
namespace {

// Looks up tensors; a UNet stored only as its moving average counts too. The original writes that under the parameter's
// name without dots: `model.diffusion_model.out.0.bias` is `model_ema.diffusion_modelout0bias`.
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
    SUMI_CHECK(info->shape.rank() == rank, "{}: {} has the shape {}; {} dimensions are expected", path(), name,
               info->shape.str(), rank);
    return info->shape;
  }
  // How many of the names `before` + 0, 1, 2 … + `after` exist without a gap.
  int64_t count(const std::string& before, const std::string& after) const {
    int64_t n = 0;
    while (has(before + std::to_string(n) + after)) ++n;
    return n;
  }
  std::string path() const { return checkpoint_.path().string(); }

 private:
  const io::Checkpoint& checkpoint_;
};

const std::string kUNet(kUNetPrefix);
const std::string kVae(kVaePrefix);
const std::string kText(kTextPrefix);

// `width` as a multiple of `base`.
int64_t multiple(const Lookup& lookup, int64_t width, int64_t base, const char* what) {
  SUMI_CHECK(base > 0 && width > 0 && width % base == 0,
             "{}: a level of the {} has {} channels, which is not a multiple of the first's {}", lookup.path(), what,
             width, base);
  return width / base;
}

[[noreturn]] void fail_levels(const Lookup& lookup) {
  fail(ErrorKind::kData,
       "{}: the names of its tensors do not determine the levels of the UNet; give its configuration, a YAML "
       "file, with `config`",
       lookup.path());
}

// The way down must have exactly the residual blocks and resampling layers of `topology`, which was read from the way
// up.
void check_blocks(const Lookup& lookup, const UNetConfig& c, const UNetTopology& topology) {
  if (*std::min_element(c.num_res_blocks.begin(), c.num_res_blocks.end()) < 1) fail_levels(lookup);
  for (const BlockPlan& block : topology.input_blocks) {
    const std::string first = kUNet + block.name + ".0.";
    const bool by_conv = block.layers[0].kind == LayerPlan::Kind::kResample;
    if (&block != &topology.input_blocks.front() && !lookup.has(first + (by_conv ? "op.weight" : "in_layers.0.weight")))
      fail_levels(lookup);
  }
  if (lookup.has(fmt::format("{}input_blocks.{}.0.in_layers.0.weight", kUNet, topology.input_blocks.size())))
    fail_levels(lookup);
}

// Each level is as wide as its first residual block.
void read_widths(const Lookup& lookup, const UNetTopology& topology, UNetConfig& c) {
  std::fill(c.channel_mult.begin(), c.channel_mult.end(), 0);
  for (const BlockPlan& block : topology.input_blocks) {
    if (block.res_blocks() == 0 || c.channel_mult[block.level] != 0) continue;
    const Shape& weight = lookup.shape(fmt::format("{}{}.0.out_layers.3.weight", kUNet, block.name), 4);
    c.channel_mult[block.level] = multiple(lookup, weight[0], c.model_channels, "UNet");
  }
}

// Width of the keys' source in the cross-attention of `block`.
int64_t keys_of(const Lookup& lookup, const BlockPlan& block) {
  return lookup.shape(fmt::format("{}{}.1.transformer_blocks.0.attn2.to_k.weight", kUNet, block.name), 2)[1];
}

// The context's width: that of the keys in cross-attention. If these are as wide as the channels at every level, it is
// a second self-attention, unless only one width occurs and the file has text.
int64_t read_context(const Lookup& lookup, const UNetTopology& topology, const UNetConfig& c) {
  const auto width_of = [&](const BlockPlan& block) { return c.model_channels * c.channel_mult[block.level]; };
  const int64_t width = width_of(topology.middle), keys = keys_of(lookup, topology.middle);
  if (keys != width) return keys;
  bool only_width = true;
  for (const BlockPlan& block : topology.input_blocks) {
    if (block.attention() == nullptr || width_of(block) == width) continue;
    // The keys of another level are not as wide as its channels, so the equality in the middle is a coincidence.
    if (keys_of(lookup, block) != width_of(block)) return width;
    only_width = false;
  }
  return only_width && lookup.has(kText + "embeddings.token_embedding.weight") ? width : 0;
}

UNetConfig detect_unet(const Lookup& lookup) {
  UNetConfig c = unet_of_compvis_names([&](const std::string& name) { return lookup.has(kUNet + name); });
  const UNetTopology topology = make_topology(c);  // only blocks and layers are used: widths are still unknown
  check_blocks(lookup, c, topology);
  const Shape& first = lookup.shape(kUNet + "input_blocks.0.0.weight", 4);
  c.model_channels = first[0];
  c.in_channels = first[1];
  c.out_channels = lookup.shape(kUNet + "out.2.weight", 4)[0];
  read_widths(lookup, topology, c);
  if (std::adjacent_find(c.num_res_blocks.begin(), c.num_res_blocks.end(), std::not_equal_to<>()) ==
      c.num_res_blocks.end()) {
    c.num_res_blocks.resize(1);
  }
  const Shape& time = lookup.shape(kUNet + "input_blocks.1.0.emb_layers.1.weight", 2);
  c.use_scale_shift_norm = time[0] % 2 == 0 && time[0] / 2 == c.model_channels * c.channel_mult[0];
  const io::TensorInfo* projection = lookup.find(fmt::format("{}{}.1.proj_in.weight", kUNet, topology.middle.name));
  c.use_linear_in_transformer = projection != nullptr && projection->shape.rank() == 2;
  c.context_dim = c.use_spatial_transformer ? read_context(lookup, topology, c) : 0;
  return c;
}

AutoencoderConfig detect_autoencoder(const Lookup& lookup) {
  AutoencoderConfig c;
  SUMI_CHECK(!lookup.has(kVae + "quantize.embedding.weight"), "{}: has a VQ autoencoder; KL autoencoders are supported",
             lookup.path());
  if (!lookup.has(kVae + "decoder.conv_in.weight")) return c;  // none in this file: the common one is taken
  const VaeLevels levels = vae_levels_of_compvis([&](const std::string& name) { return lookup.has(kVae + name); });
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

// The error for a file without a UNet under any known name.
[[noreturn]] void fail_unknown(const io::Checkpoint& checkpoint) {
  std::string first;
  for (size_t i = 0; i < std::min<size_t>(3, checkpoint.tensors().size()); ++i) {
    first += fmt::format("{}{}", i == 0 ? "" : ", ", strip_control(checkpoint.tensors()[i].name.substr(0, 80)));
  }
  fail(ErrorKind::kData,
       "{}: not a Stable Diffusion checkpoint: it has no tensor {}input_blocks.0.0.weight; its first tensors are {}",
       checkpoint.path().string(), kUNet, first.empty() ? "none at all" : first);
}

}  // namespace

UNetConfig detect_unet(const io::Checkpoint& checkpoint) { return detect_unet(Lookup(checkpoint)); }

AutoencoderConfig detect_autoencoder(const io::Checkpoint& checkpoint) {
  return detect_autoencoder(Lookup(checkpoint));
}

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
  // A file with a family's own names is of that family, whatever else its sizes would fit.
  const auto named = checkpoint.metadata().find(kFamilyKey);
  if (named != checkpoint.metadata().end()) config.family = named->second;
  const Family family = family_for(config);
  config.family = family.name;
  family.complete(config, path);
  check_config(config, path);
  return config;
}

}  // namespace sumi::models
