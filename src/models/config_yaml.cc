// LDM's YAML configurations: v1-inference.yaml and similar files.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/check.h"
#include "base/log.h"
#include "base/small_file.h"
#include "base/text_util.h"
#include "models/family.h"

namespace sumi::models {
namespace {

constexpr int64_t kMaxYamlBytes = 256 << 10;  // LDM's have 3 kB; a node of two bytes takes hundreds in memory
constexpr size_t kMaxListEntries = 64;

// One mapping of the file. done() warns of keys that were not read; a null value counts as absent.
class Section {
 public:
  Section(const YAML::Node& node, std::string file, std::string where)
      : node_(node), file_(std::move(file)), where_(std::move(where)) {
    SUMI_CHECK(node_.IsMap(), "{}: {} is missing or not a mapping; is this an LDM configuration?", file_,
               where_.empty() ? "the document" : where_);
  }

  bool has(const char* key) { return find(key).has_value(); }
  bool is_scalar(const char* key) {
    const auto node = find(key);
    return node && node->IsScalar();
  }
  Section section(const char* key) {
    const auto node = find(key);
    return Section(node ? *node : YAML::Node(YAML::NodeType::Undefined), file_, name(key));
  }
  int64_t integer(const char* key) { return convert<int64_t>(required(key), key, "a whole number"); }
  int64_t integer(const char* key, int64_t fallback) { return has(key) ? integer(key) : fallback; }
  double number(const char* key, double fallback) {
    return has(key) ? convert<double>(required(key), key, "a number") : fallback;
  }
  bool boolean(const char* key, bool fallback) {
    return has(key) ? convert<bool>(required(key), key, "true or false") : fallback;
  }
  std::string text(const char* key, const std::string& fallback = {}) {
    return has(key) ? convert<std::string>(required(key), key, "text") : fallback;
  }
  // A list of whole numbers; a single one is a list of one.
  std::vector<int64_t> integers(const char* key) {
    const YAML::Node node = required(key);
    if (!node.IsSequence()) return {convert<int64_t>(node, key, "a whole number or a list of them")};
    SUMI_CHECK(node.size() <= kMaxListEntries, "{}: {} has {} entries; at most {}", file_, name(key), node.size(),
               kMaxListEntries);
    std::vector<int64_t> values;
    for (const auto& entry : node) values.push_back(convert<int64_t>(entry, key, "a list of whole numbers"));
    return values;
  }
  std::vector<int64_t> integers(const char* key, std::vector<int64_t> fallback) {
    return has(key) ? integers(key) : std::move(fallback);
  }

  // The last part of the class that `target` names.
  std::string target() {
    const std::string full = excerpt(text("target"));
    return full.substr(full.rfind('.') + 1);
  }
  // Keys that change nothing here: training, memory, data.
  void ignore(std::initializer_list<const char*> keys) { asked_.insert(keys.begin(), keys.end()); }
  // Refuses a switch for a feature that the models here do not have.
  void refuse_if(bool condition, const char* key) {
    SUMI_CHECK(!condition, "{}: {} asks for a kind of network that is not supported", file_, name(key));
  }
  // Warns of keys that were not read. Call it last.
  void done() const {
    for (const auto& entry : node_) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "(not a name)";
      if (!asked_.contains(key)) warn("{}: {} is unknown and ignored", file_, excerpt(name(key)));
    }
  }
  std::string name(const std::string& key) const { return where_.empty() ? key : where_ + "." + key; }
  const std::string& file() const { return file_; }

 private:
  std::optional<YAML::Node> find(const char* key) {
    asked_.insert(key);
    const YAML::Node node = std::as_const(node_)[key];
    if (!node.IsDefined() || node.IsNull() || (node.IsScalar() && node.Scalar() == "None")) return std::nullopt;
    return node;
  }
  YAML::Node required(const char* key) {
    const auto node = find(key);
    SUMI_CHECK(node, "{}: {} is missing", file_, name(key));
    return *node;
  }
  template <class T> T convert(const YAML::Node& node, const char* key, const char* expected) const {
    T value{};
    const bool fits = node.IsScalar() && YAML::convert<T>::decode(node, value);
    SUMI_CHECK(fits, "{}: {} is {}, not {}", file_, name(key),
               node.IsScalar() ? "\"" + excerpt(node.Scalar()) + "\"" : "a structure", expected);
    return value;
  }

  YAML::Node node_;
  std::string file_, where_;
  std::set<std::string> asked_;
};

YAML::Node parse(const std::string& text, const std::string& source) {
  SUMI_CHECK(static_cast<int64_t>(text.size()) <= kMaxYamlBytes, "{}: {} bytes; a configuration has at most {}", source,
             text.size(), kMaxYamlBytes);
  if (const auto bad = find_invalid_utf8(text)) fail(ErrorKind::kData, "{}: not UTF-8 at byte {}", source, *bad);
  try {
    return YAML::Load(text);
  } catch (const YAML::Exception& e) {
    fail(ErrorKind::kData, "{}: not valid YAML at line {}: {}", source, e.mark.line + 1, excerpt(e.msg));
  }
}

// Accepts one class; the error for any other says what it is.
void check_target(Section& section, std::initializer_list<const char*> accepted) {
  const std::string target = section.target();
  if (std::find(accepted.begin(), accepted.end(), target) != accepted.end()) return;
  struct Known {
    const char* name;
    const char* what;
  };
  constexpr Known kKnown[] = {{"VQModel", "a VQ autoencoder"},
                              {"VQModelInterface", "a VQ autoencoder"},
                              {"IdentityFirstStage", "a model of pixels, without an autoencoder"},
                              {"FrozenOpenCLIPEmbedder", "OpenCLIP's text encoder, as in Stable Diffusion 2"},
                              {"BERTEmbedder", "a BERT text encoder"},
                              {"FrozenT5Embedder", "a T5 text encoder"},
                              {"ClassEmbedder", "class labels instead of text"},
                              {"SpatialRescaler", "an image instead of text"},
                              {"DiffusionEngine", "Stable Diffusion XL"},
                              {"LatentUpscaleDiffusion", "an upscaler"},
                              {"LatentDepth2ImageDiffusion", "a depth-to-image model"}};
  const auto* known =
      std::find_if(std::begin(kKnown), std::end(kKnown), [&](const Known& k) { return target == k.name; });
  fail(ErrorKind::kData, "{}: {} is \"{}\"{}, which is not supported; {} is", section.file(), section.name("target"),
       target, known == std::end(kKnown) ? "" : fmt::format(" ({})", known->what), *accepted.begin());
}

// `attention_resolutions` names the levels that attend by their downsampling factors; `transformer_depth` is one number
// for all levels or, as in SGM's configurations, one per level; entries of levels without attention are ignored.
void read_depths(Section& p, UNetConfig& c) {
  const std::vector<int64_t> factors = p.integers("attention_resolutions"),
                             given = p.integers("transformer_depth", {1});
  const size_t levels = c.channel_mult.size();
  SUMI_CHECK(given.size() == 1 || given.size() == levels,
             "{}: {} has {} entries; one, or one for each of the {} levels", p.file(), p.name("transformer_depth"),
             given.size(), levels);
  const auto depth_of = [&](size_t level) {
    return c.use_spatial_transformer ? given[given.size() > 1 ? level : 0] : 1;
  };
  c.transformer_depth.assign(levels, 0);
  for (size_t level = 0; level < std::min<size_t>(levels, 62); ++level) {
    if (std::find(factors.begin(), factors.end(), int64_t{1} << level) == factors.end()) continue;
    c.transformer_depth[level] = depth_of(level);
    SUMI_CHECK(c.transformer_depth[level] != 0, "{}: {} is 0 for level {}, but {} gives that level attention", p.file(),
               p.name("transformer_depth"), level, p.name("attention_resolutions"));
  }
  c.middle_depth = levels > 0 ? p.integer("transformer_depth_middle", depth_of(levels - 1)) : 1;
}

UNetConfig read_unet(Section section) {
  check_target(section, {"UNetModel"});
  Section p = section.section("params");
  UNetConfig c;
  c.in_channels = p.integer("in_channels");
  c.out_channels = p.integer("out_channels");
  c.model_channels = p.integer("model_channels");
  c.num_res_blocks = p.integers("num_res_blocks");
  c.channel_mult = p.integers("channel_mult", {1, 2, 4, 8});
  c.num_heads = p.integer("num_heads", -1);
  c.num_head_channels = p.integer("num_head_channels", -1);
  c.use_spatial_transformer = p.boolean("use_spatial_transformer", false);
  read_depths(p, c);
  const std::vector<int64_t> context = p.integers("context_dim", {0});
  SUMI_CHECK(context.size() == 1, "{}: {} has {} entries; one is supported", p.file(), p.name("context_dim"),
             context.size());
  c.context_dim = context[0];
  c.use_linear_in_transformer = p.boolean("use_linear_in_transformer", false);
  c.use_scale_shift_norm = p.boolean("use_scale_shift_norm", false);
  c.resblock_updown = p.boolean("resblock_updown", false);
  c.conv_resample = p.boolean("conv_resample", true);
  c.legacy = p.boolean("legacy", true);
  c.norm_groups = p.integer("norm_groups", 32);  // sumi's own
  p.refuse_if(p.has("num_classes"), "num_classes");
  p.refuse_if(p.has("adm_in_channels"), "adm_in_channels");
  p.refuse_if(p.has("n_embed"), "n_embed");
  p.refuse_if(p.integer("dims", 2) != 2, "dims");
  p.refuse_if(p.boolean("use_new_attention_order", false) && !c.use_spatial_transformer, "use_new_attention_order");
  p.refuse_if(p.integer("num_heads_upsample", -1) != -1 && p.integer("num_heads_upsample") != c.num_heads,
              "num_heads_upsample");
  for (const char* key : {"disable_self_attentions", "num_attention_blocks", "spatial_transformer_attn_type"})
    p.refuse_if(p.has(key), key);
  p.refuse_if(p.boolean("disable_middle_self_attn", false), "disable_middle_self_attn");
  p.ignore({"image_size", "use_checkpoint", "use_fp16", "use_bf16", "dropout"});
  p.done();
  return c;
}

AutoencoderConfig read_autoencoder(Section section) {
  check_target(section, {"AutoencoderKL"});
  Section p = section.section("params");
  AutoencoderConfig c;
  c.embed_dim = p.integer("embed_dim");
  Section d = p.section("ddconfig");
  d.refuse_if(!d.boolean("double_z", true), "double_z");
  c.z_channels = d.integer("z_channels");
  c.resolution = d.integer("resolution", 256);
  c.in_channels = d.integer("in_channels", 3);
  c.out_channels = d.integer("out_ch", 3);
  c.ch = d.integer("ch");
  c.ch_mult = d.integers("ch_mult", {1, 2, 4, 8});
  c.num_res_blocks = d.integer("num_res_blocks");
  c.attn_resolutions = d.integers("attn_resolutions", {});
  c.norm_groups = d.integer("norm_groups", 32);  // sumi's own
  d.refuse_if(!d.text("attn_type", "vanilla").starts_with("vanilla"), "attn_type");
  d.refuse_if(!d.boolean("resamp_with_conv", true), "resamp_with_conv");
  for (const char* key : {"use_linear_attn", "give_pre_end", "tanh_out"}) d.refuse_if(d.boolean(key, false), key);
  d.ignore({"dropout"});
  d.done();
  p.ignore({"monitor", "lossconfig", "ckpt_path", "ignore_keys", "image_key", "colorize_nlabels", "ema_decay",
            "learn_logvar"});
  p.done();
  return c;
}

AutoencoderLossConfig read_loss(Section section) {
  check_target(section, {"LPIPSWithDiscriminator"});
  AutoencoderLossConfig c;
  if (!section.has("params")) return c;
  Section p = section.section("params");
  c.kl_weight = p.number("kl_weight", c.kl_weight);
  c.perceptual_weight = p.number("perceptual_weight", c.perceptual_weight);
  c.disc_weight = p.number("disc_weight", c.disc_weight) * p.number("disc_factor", 1.0);
  c.disc_start = p.integer("disc_start", c.disc_start);
  c.disc_layers = p.integer("disc_num_layers", c.disc_layers);
  c.disc_width = p.integer("disc_width", c.disc_width);  // sumi's own; LDM always has 64
  p.refuse_if(p.boolean("use_actnorm", false), "use_actnorm");
  p.refuse_if(p.boolean("disc_conditional", false), "disc_conditional");
  p.refuse_if(p.text("disc_loss", "hinge") != "hinge", "disc_loss");
  p.refuse_if(p.number("logvar_init", 0.0) != 0.0, "logvar_init");
  p.refuse_if(p.number("pixelloss_weight", 1.0) != 1.0, "pixelloss_weight");
  p.refuse_if(p.integer("disc_in_channels", 3) != 3, "disc_in_channels");
  p.done();
  return c;
}

ClipTextConfig read_text(Section section) {
  check_target(section, {"FrozenCLIPEmbedder"});
  ClipTextConfig c;
  if (!section.has("params")) return c;
  Section p = section.section("params");
  c.vocab_size = p.integer("vocab_size", c.vocab_size);
  c.max_positions = p.integer("max_position_embeddings", c.max_positions);
  c.hidden_size = p.integer("hidden_size", c.hidden_size);
  c.layers = p.integer("num_hidden_layers", c.layers);
  c.heads = p.integer("num_attention_heads", c.heads);
  c.intermediate_size = p.integer("intermediate_size", c.intermediate_size);
  c.layer_norm_eps = p.number("layer_norm_eps", c.layer_norm_eps);
  const std::string act = p.text("hidden_act", "quick_gelu");
  p.refuse_if(act != "quick_gelu" && act != "gelu", "hidden_act");
  c.quick_gelu = act == "quick_gelu";
  p.refuse_if(p.text("layer", "last") != "last", "layer");
  p.ignore({"version", "device", "max_length", "freeze", "layer_idx"});
  p.done();
  return c;
}

void read_noise_schedule(Section& p, ModelConfig& config) {
  const int64_t timesteps = p.integer("timesteps", 1000);
  SUMI_CHECK(timesteps >= 1 && timesteps <= 100000, "{}: {} is {}; it must be 1 to 100000", p.file(),
             p.name("timesteps"), timesteps);
  config.timesteps = static_cast<int>(timesteps);
  config.linear_start = p.number("linear_start", 1e-4);
  config.linear_end = p.number("linear_end", 2e-2);
  const std::string kind = p.text("beta_schedule", "linear");
  SUMI_CHECK(kind == "linear" || kind == "cosine" || kind == "sqrt_linear",
             "{}: {} is \"{}\"; linear, cosine and sqrt_linear are known", p.file(), p.name("beta_schedule"),
             excerpt(kind));
  config.beta_schedule = kind == "sqrt_linear" ? "linear_betas" : kind;  // LDM's "linear" is diffusers' "scaled_linear"
  const std::string name = p.text("parameterization", "eps");
  const auto prediction = diffusion::prediction_of(name);
  SUMI_CHECK(prediction, "{}: {} is \"{}\"; eps, v and x0 are supported", p.file(), p.name("parameterization"),
             excerpt(name));
  config.prediction = *prediction;
}

}  // namespace

AutoencoderTraining autoencoder_from_yaml(const std::filesystem::path& path) {
  Section root(parse(read_small_file(path, kMaxYamlBytes), path.string()), path.string(), "");
  Section model = root.section("model");
  const bool alone = model.target() == "AutoencoderKL";
  Section p = model.section("params");
  Section part = alone ? root.section("model") : p.section("first_stage_config");
  AutoencoderTraining out;
  Section params = part.section("params");
  if (params.has("lossconfig") && params.section("lossconfig").target() != "Identity")
    out.loss = read_loss(params.section("lossconfig"));
  out.model = read_autoencoder(part);
  check_config(out.model, path.string());
  return out;
}

ModelConfig config_from_yaml(const std::filesystem::path& path) {
  return config_from_yaml_text(read_small_file(path, kMaxYamlBytes), path.string());
}

constexpr double kCosineOffset = 0.008;  // the only one in diffusion/noise_schedule.cc

ModelConfig config_from_yaml_text(const std::string& text, const std::string& source) {
  Section root(parse(text, source), source, "");
  Section model = root.section("model");
  check_target(model, {"LatentDiffusion", "LatentInpaintDiffusion", "LatentFinetuneDiffusion"});
  Section p = model.section("params");
  ModelConfig config;
  read_noise_schedule(p, config);
  const double offset = p.number("cosine_s", kCosineOffset);
  SUMI_CHECK(config.beta_schedule != "cosine" || offset == kCosineOffset, "{}: {} is {}; only {} is supported",
             p.file(), p.name("cosine_s"), offset, kCosineOffset);
  config.unet = read_unet(p.section("unet_config"));
  config.autoencoder = read_autoencoder(p.section("first_stage_config"));
  config.autoencoder.scale_factor = p.number("scale_factor", 1.0);
  config.scale_by_std = p.boolean("scale_by_std", false);
  const bool unconditional = !p.has("cond_stage_config") || p.is_scalar("cond_stage_config");  // "__is_unconditional__"
  if (!unconditional) config.text = read_text(p.section("cond_stage_config"));
  const std::string conditioning = p.text("conditioning_key", "crossattn");
  SUMI_CHECK(conditioning == "crossattn" || conditioning == "hybrid" || unconditional,
             "{}: {} is \"{}\"; crossattn and hybrid are supported", p.file(), p.name("conditioning_key"),
             excerpt(conditioning));
  const std::vector<int64_t> sides = p.integers("image_size", {64});  // of the latent
  SUMI_CHECK(!sides.empty() && sides[0] >= 1 && sides[0] <= 4096, "{}: {} must be 1 to 4096 latents", p.file(),
             p.name("image_size"));
  p.ignore({"num_timesteps_cond",
            "log_every_t",
            "first_stage_key",
            "cond_stage_key",
            "channels",
            "cond_stage_trainable",
            "monitor",
            "use_ema",
            "scheduler_config",
            "ckpt_path",
            "load_only_unet",
            "ignore_keys",
            "use_positional_encodings",
            "learn_logvar",
            "logvar_init",
            "v_posterior",
            "original_elbo_weight",
            "l_simple_weight",
            "loss_type",
            "finetune_keys",
            "concat_keys",
            "masked_image_key",
            "clip_denoised",
            "cond_stage_forward",
            "conditioning_dropout",
            "unet_trainable"});
  p.done();
  if (root.has("sampling")) {
    Section sampling = root.section("sampling");
    config.sampling = {.sampler = strip_control(sampling.text("sampler")),
                       .steps = sampling.integer("steps", 0),
                       .scale = sampling.number("scale", 0.0)};
    sampling.done();
  }
  check_config(config, source);
  SUMI_CHECK(unconditional || config.unet.context_dim == 0 || config.unet.context_dim == config.text.hidden_size,
             "{}: the UNet's context_dim is {} and the text encoder's hidden_size {}; they must be the same", source,
             config.unet.context_dim, config.text.hidden_size);
  config.family = family_of(config).name;
  config.default_size = sides[0] * config.autoencoder.downsampling();
  check_config(config, source);
  return config;
}

}  // namespace sumi::models
