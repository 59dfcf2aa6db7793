// Configurations of a diffusers folder: one JSON file per component.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/log.h"
#include "base/text_util.h"
#include "io/json_file.h"
#include "io/model_folder.h"
#include "models/family.h"

namespace sumi::models {
namespace {

using Json = nlohmann::json;

std::string shown(const Json& value) {
  constexpr size_t kLength = 60;
  const std::string text = strip_control(value.dump(-1, ' ', true));
  return text.size() <= kLength ? text : text.substr(0, kLength) + "…";
}

// One component's configuration. Null counts as absent; keys without a meaning here are ignored without a warning:
// there are many.
class Section {
 public:
  explicit Section(const std::filesystem::path& file)
      : file_(file.string()), json_(io::read_json_file(file, io::kMaxConfigBytes, true)) {
    SUMI_CHECK(json_.is_object(), "{}: is not a JSON object", file_);
    for (const char* key : {"auto_map", "trust_remote_code", "custom_pipeline", "custom_code"}) {
      if (has(key))
        warn("{}: refers to custom code ({}: {}), which is ignored and never run", file_, key, shown(json_[key]));
    }
  }

  bool has(const char* key) const { return json_.contains(key) && !json_[key].is_null(); }
  const Json& value(const char* key) const { return json_[key]; }
  int64_t integer(const char* key, int64_t fallback) const { return has(key) ? to_integer(json_[key], key) : fallback; }
  double number(const char* key, double fallback) const {
    if (!has(key)) return fallback;
    SUMI_CHECK(json_[key].is_number(), "{}: {} is {}, not a number", file_, key, shown(json_[key]));
    return json_[key].get<double>();
  }
  bool boolean(const char* key, bool fallback) const {
    if (!has(key)) return fallback;
    SUMI_CHECK(json_[key].is_boolean(), "{}: {} is {}, not true or false", file_, key, shown(json_[key]));
    return json_[key].get<bool>();
  }
  std::string text(const char* key, const std::string& fallback) const {
    if (!has(key)) return fallback;
    SUMI_CHECK(json_[key].is_string(), "{}: {} is {}, not text", file_, key, shown(json_[key]));
    return json_[key].get<std::string>();
  }
  // A list of whole numbers; a single one is a list of one.
  std::vector<int64_t> integers(const char* key, std::vector<int64_t> fallback) const {
    return list<int64_t>(key, std::move(fallback), [&](const Json& entry) { return to_integer(entry, key); });
  }
  std::vector<std::string> texts(const char* key, std::vector<std::string> fallback) const {
    return list<std::string>(key, std::move(fallback), [&](const Json& entry) {
      SUMI_CHECK(entry.is_string(), "{}: {} holds {}, not text", file_, key, shown(entry));
      return entry.get<std::string>();
    });
  }
  // Refuses the component unless it is of one of these classes or names no class.
  void check_class(const char* key, std::initializer_list<const char*> accepted, const std::string& name) const {
    const bool fits = name.empty() || std::find(accepted.begin(), accepted.end(), name) != accepted.end();
    SUMI_CHECK(fits, "{}: {} is \"{}\", which is not supported; {} is", file_, key, strip_control(name),
               *accepted.begin());
  }
  // Refuses anything but `expected` if the key is present.
  void require(const char* key, const Json& expected) const {
    SUMI_CHECK(!has(key) || json_[key] == expected, "{}: {} is {}; only {} is supported", file_, key, shown(json_[key]),
               expected.is_null() ? "a model without it" : shown(expected));
  }
  const std::string& file() const { return file_; }

 private:
  int64_t to_integer(const Json& entry, const char* key) const {
    const bool fits = entry.is_number_integer() && !(entry.is_number_unsigned() && entry.get<uint64_t>() > INT64_MAX);
    SUMI_CHECK(fits, "{}: {} is {}, not a whole number", file_, key, shown(entry));
    return entry.get<int64_t>();
  }
  template <class T, class Convert>
  std::vector<T> list(const char* key, std::vector<T> fallback, Convert convert) const {
    constexpr size_t kMaxEntries = 64;
    if (!has(key)) return fallback;
    if (!json_[key].is_array()) return {convert(json_[key])};
    SUMI_CHECK(json_[key].size() <= kMaxEntries, "{}: {} has {} entries; at most {}", file_, key, json_[key].size(),
               kMaxEntries);
    std::vector<T> values;
    for (const Json& entry : json_[key]) values.push_back(convert(entry));
    return values;
  }

  std::string file_;
  Json json_;
};

bool all_equal(const std::vector<int64_t>& values) {
  return std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end();
}

// Widths of the levels as multiples of the first.
std::vector<int64_t> multipliers(const Section& s, const std::vector<int64_t>& widths) {
  SUMI_CHECK(!widths.empty(), "{}: block_out_channels is empty", s.file());
  std::vector<int64_t> out;
  for (const int64_t width : widths) {
    SUMI_CHECK(width >= 1 && width <= 65536, "{}: block_out_channels holds {}; widths are 1 to 65536", s.file(), width);
    SUMI_CHECK(width % widths[0] == 0,
               "{}: block_out_channels holds {}, which is not a multiple of the first level's {}", s.file(), width,
               widths[0]);
    out.push_back(width / widths[0]);
  }
  return out;
}

// Which levels attend, finest first, by the types of their blocks; the way up must mirror the way down.
std::vector<bool> attending_levels(const Section& s, size_t levels, const std::string& plain,
                                   const std::string& attending, const std::string& plain_up,
                                   const std::string& attending_up) {
  const std::vector<std::string> down = s.texts("down_block_types", std::vector<std::string>(levels, plain));
  const std::vector<std::string> up = s.texts("up_block_types", std::vector<std::string>(levels, plain_up));
  SUMI_CHECK(down.size() == levels && up.size() == levels,
             "{}: {} levels of block_out_channels, {} down_block_types and {} up_block_types", s.file(), levels,
             down.size(), up.size());
  std::vector<bool> attends;
  for (size_t i = 0; i < levels; ++i) {
    SUMI_CHECK(down[i] == plain || down[i] == attending, "{}: down_block_types holds \"{}\"; {} and {} are supported",
               s.file(), strip_control(down[i]), attending, plain);
    attends.push_back(down[i] == attending);
    const std::string& mirror = up[levels - 1 - i];
    SUMI_CHECK(mirror == (attends[i] ? attending_up : plain_up),
               "{}: up_block_types holds \"{}\" where down_block_types has \"{}\"; one must mirror the other", s.file(),
               strip_control(mirror), down[i]);
  }
  return attends;
}

// Despite its name, `attention_head_dim` is the number of heads; if it differs by level, all heads have one width.
void read_heads(const Section& s, const std::vector<int64_t>& widths, UNetConfig& c) {
  const char* key = s.has("num_attention_heads") ? "num_attention_heads" : "attention_head_dim";
  const std::vector<int64_t> heads = s.integers(key, {8});
  for (const int64_t n : heads)
    SUMI_CHECK(n >= 1 && n <= 65536, "{}: {} holds {}; it must be 1 to 65536", s.file(), key, n);
  SUMI_CHECK(heads.size() == 1 || heads.size() == widths.size(), "{}: {} has {} entries for {} levels", s.file(), key,
             heads.size(), widths.size());
  if (all_equal(heads)) {
    c.num_heads = heads[0];
    return;
  }
  for (size_t i = 0; i < heads.size(); ++i) {
    SUMI_CHECK(widths[i] % heads[i] == 0, "{}: {} attention heads do not divide the {} channels of level {}", s.file(),
               heads[i], widths[i], i);
    SUMI_CHECK(widths[i] / heads[i] == widths[0] / heads[0],
               "{}: {} gives heads of {} channels at level 0 and of {} at level {}; one width is supported", s.file(),
               key, widths[0] / heads[0], widths[i] / heads[i], i);
  }
  c.num_head_channels = widths[0] / heads[0];
}

// The transformer depth of each level with attention. The middle block takes the last level's entry, even if that level
// has no attention.
void read_depths(const Section& s, size_t levels, UNetConfig& c) {
  const char *key = "transformer_layers_per_block", *reversed_key = "reverse_transformer_layers_per_block";
  const auto attends =
      attending_levels(s, levels, "DownBlock2D", "CrossAttnDownBlock2D", "UpBlock2D", "CrossAttnUpBlock2D");
  std::vector<int64_t> given = s.integers(key, {1});
  if (given.size() == 1) given.assign(levels, given[0]);
  SUMI_CHECK(given.size() == levels, "{}: {} has {} entries for {} levels", s.file(), key, given.size(), levels);
  // Of the way up, the coarsest level first.
  const std::vector<int64_t> reversed = s.integers(reversed_key, std::vector<int64_t>(given.rbegin(), given.rend()));
  SUMI_CHECK(reversed.size() == levels, "{}: {} has {} entries for {} levels", s.file(), reversed_key, reversed.size(),
             levels);
  c.transformer_depth.assign(levels, 0);
  for (size_t level = 0; level < levels; ++level) {
    if (!attends[level]) continue;
    const int64_t depth = given[level], up = reversed[levels - 1 - level];
    SUMI_CHECK(depth >= 1, "{}: {} holds {} for level {}, whose blocks attend", s.file(), key, depth, level);
    SUMI_CHECK(up == depth,
               "{}: level {} has {} transformer blocks on its way down and {} on its way up ({}); one must "
               "mirror the other",
               s.file(), level, depth, up, reversed_key);
    c.transformer_depth[level] = depth;
  }
  c.middle_depth = given.back();
}

// The values of a plain UNet; any other value belongs to a kind that is not supported.
void require_plain_unet(const Section& s) {
  struct Plain {
    const char* key;
    Json value;
  };
  const Plain required[] = {{"act_fn", "silu"},
                            {"addition_embed_type", nullptr},
                            {"attention_type", "default"},
                            {"center_input_sample", false},
                            {"class_embed_type", nullptr},
                            {"class_embeddings_concat", false},
                            {"conv_in_kernel", 3},
                            {"conv_out_kernel", 3},
                            {"cross_attention_norm", nullptr},
                            {"downsample_padding", 1},
                            {"dual_cross_attention", false},
                            {"encoder_hid_dim", nullptr},
                            {"encoder_hid_dim_type", nullptr},
                            {"flip_sin_to_cos", true},
                            {"freq_shift", 0},
                            {"mid_block_only_cross_attention", false},
                            {"mid_block_scale_factor", 1},
                            {"mid_block_type", "UNetMidBlock2DCrossAttn"},
                            {"norm_eps", 1e-5},
                            {"num_class_embeds", nullptr},
                            {"only_cross_attention", false},
                            {"resnet_out_scale_factor", 1.0},
                            {"resnet_skip_time_act", false},
                            {"time_cond_proj_dim", nullptr},
                            {"time_embedding_act_fn", nullptr},
                            {"time_embedding_dim", nullptr},
                            {"time_embedding_type", "positional"},
                            {"timestep_post_act", nullptr}};
  for (const Plain& plain : required) s.require(plain.key, plain.value);
}

int64_t single(const Section& s, const char* key, const std::vector<int64_t>& values) {
  SUMI_CHECK(!values.empty() && all_equal(values), "{}: {} is {}; one value for all levels is supported", s.file(), key,
             shown(s.value(key)));
  return values[0];
}

UNetConfig read_unet(const Section& s) {
  s.check_class("_class_name", {"UNet2DConditionModel"}, s.text("_class_name", ""));
  require_plain_unet(s);
  const std::vector<int64_t> widths = s.integers("block_out_channels", {320, 640, 1280, 1280});
  UNetConfig c;
  c.in_channels = s.integer("in_channels", 4);
  c.out_channels = s.integer("out_channels", 4);
  c.channel_mult = multipliers(s, widths);
  c.model_channels = widths[0];
  c.num_res_blocks = s.integers("layers_per_block", {2});
  SUMI_CHECK(!c.num_res_blocks.empty(), "{}: layers_per_block is empty", s.file());
  if (all_equal(c.num_res_blocks)) c.num_res_blocks.resize(1);
  read_depths(s, widths.size(), c);
  read_heads(s, widths, c);
  c.context_dim = single(s, "cross_attention_dim", s.integers("cross_attention_dim", {1280}));
  c.use_linear_in_transformer = s.boolean("use_linear_projection", false);
  const std::string time = s.text("resnet_time_scale_shift", "default");
  SUMI_CHECK(time == "default" || time == "scale_shift",
             "{}: resnet_time_scale_shift is \"{}\"; default and scale_shift are supported", s.file(),
             strip_control(time));
  c.use_scale_shift_norm = time == "scale_shift";
  c.legacy = false;
  c.norm_groups = s.integer("norm_num_groups", 32);
  return c;
}

AutoencoderConfig read_autoencoder(const Section& s) {
  s.check_class("_class_name", {"AutoencoderKL"}, s.text("_class_name", ""));
  s.require("act_fn", "silu");
  s.require("shift_factor", nullptr);
  s.require("latents_mean", nullptr);
  s.require("latents_std", nullptr);
  for (const char* key : {"use_quant_conv", "use_post_quant_conv", "mid_block_add_attention"}) s.require(key, true);
  const std::vector<int64_t> widths = s.integers("block_out_channels", {64});
  AutoencoderConfig c;
  c.ch_mult = multipliers(s, widths);
  c.ch = widths[0];
  c.norm_groups = s.integer("norm_num_groups", 32);
  c.embed_dim = c.z_channels = s.integer("latent_channels", 4);
  c.in_channels = s.integer("in_channels", 3);
  c.out_channels = s.integer("out_channels", 3);
  c.num_res_blocks = s.integer("layers_per_block", 1);
  c.scale_factor = s.number("scaling_factor", 0.18215);
  const auto attends = attending_levels(s, widths.size(), "DownEncoderBlock2D", "AttnDownEncoderBlock2D",
                                        "UpDecoderBlock2D", "AttnUpDecoderBlock2D");
  SUMI_CHECK(widths.size() <= 12, "{}: block_out_channels has {} levels; at most 12", s.file(), widths.size());
  c.resolution =
      int64_t{1} << (widths.size() + 4);  // any value that halves at each level; attention is stated relative to it
  for (size_t i = 0; i < attends.size(); ++i) {
    if (attends[i]) c.attn_resolutions.push_back(c.resolution >> i);
  }
  return c;
}

ClipTextConfig read_text(const Section& s) {
  const auto classes = s.texts("architectures", {"CLIPTextModel"});
  s.check_class("architectures", {"CLIPTextModel", "CLIPTextModelWithProjection"}, classes.empty() ? "" : classes[0]);
  const std::string act = s.text("hidden_act", "quick_gelu");
  SUMI_CHECK(act == "quick_gelu" || act == "gelu", "{}: hidden_act is \"{}\"; quick_gelu and gelu are supported",
             s.file(), strip_control(act));
  ClipTextConfig c;
  c.vocab_size = s.integer("vocab_size", 49408);
  c.max_positions = s.integer("max_position_embeddings", 77);
  c.hidden_size = s.integer("hidden_size", 512);
  c.layers = s.integer("num_hidden_layers", 12);
  c.heads = s.integer("num_attention_heads", 8);
  c.intermediate_size = s.integer("intermediate_size", 2048);
  c.quick_gelu = act == "quick_gelu";
  c.layer_norm_eps = s.number("layer_norm_eps", 1e-5);
  return c;
}

// Only the forward process is read from a scheduler: the job chooses the sampler.
void read_scheduler(const Section& s, ModelConfig& config) {
  const std::string name = s.text("_class_name", "");
  SUMI_CHECK(!name.starts_with("FlowMatch"),
             "{}: {} belongs to a flow-matching model (Stable Diffusion 3, Flux), which is not supported", s.file(),
             strip_control(name));
  s.check_class("_class_name",
                {"DDIMScheduler", "PNDMScheduler", "DDPMScheduler", "LMSDiscreteScheduler", "EulerDiscreteScheduler",
                 "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "KDPM2DiscreteScheduler",
                 "KDPM2AncestralDiscreteScheduler", "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler",
                 "DPMSolverSDEScheduler", "DEISMultistepScheduler", "UniPCMultistepScheduler", "LCMScheduler",
                 "TCDScheduler", "DDIMInverseScheduler", "DPMSolverMultistepInverseScheduler"},
                name);
  s.require("trained_betas", nullptr);
  s.require("rescale_betas_zero_snr", false);
  const int64_t timesteps = s.integer("num_train_timesteps", 1000);
  SUMI_CHECK(timesteps >= 1 && timesteps <= 100000, "{}: num_train_timesteps is {}; it must be 1 to 100000", s.file(),
             timesteps);
  config.timesteps = static_cast<int>(timesteps);
  config.linear_start = s.number("beta_start", 1e-4);
  config.linear_end = s.number("beta_end", 2e-2);
  for (const double beta : {config.linear_start, config.linear_end}) {
    SUMI_CHECK(beta > 0.0 && beta < 1.0, "{}: a beta of {}; betas lie between 0 and 1", s.file(), beta);
  }
  const std::string kind = s.text("beta_schedule", "linear");
  const bool known = kind == "linear" || kind == "scaled_linear" || kind == "squaredcos_cap_v2";
  SUMI_CHECK(known, "{}: beta_schedule is \"{}\"; linear, scaled_linear and squaredcos_cap_v2 are known", s.file(),
             strip_control(kind));
  config.beta_schedule = kind == "scaled_linear" ? "linear"
                         : kind == "linear"      ? "linear_betas"
                                                 : "cosine";  // to LDM's names
  const std::string prediction = s.text("prediction_type", "epsilon");
  SUMI_CHECK(prediction == "epsilon" || prediction == "v_prediction" || prediction == "sample",
             "{}: prediction_type is \"{}\"; epsilon, v_prediction and sample are supported", s.file(),
             strip_control(prediction));
  config.prediction = prediction == "epsilon"        ? diffusion::Prediction::kEpsilon
                      : prediction == "v_prediction" ? diffusion::Prediction::kVelocity
                                                     : diffusion::Prediction::kSample;
}

// The kind of pipeline, and whether it refers to custom classes.
void check_model_index(const Section& s) {
  constexpr const char* kLibraries[] = {"diffusers", "transformers", "stable_diffusion"};
  if (s.has("_class_name") && s.value("_class_name").is_array()) {
    warn("{}: refers to a custom pipeline ({}), which is ignored and never run", s.file(),
         shown(s.value("_class_name")));
  } else {
    const std::string name = s.text("_class_name", "");
    for (const char* other :
         {"StableDiffusionXL", "StableDiffusion3", "Flux", "PixArt", "Kandinsky", "StableCascade", "Wuerstchen"}) {
      SUMI_CHECK(!name.starts_with(other), "{}: is a {}; this version runs Stable Diffusion 1.x", s.file(),
                 strip_control(name));
    }
  }
  for (const char* component : {"unet", "vae", "text_encoder", "scheduler", "tokenizer"}) {
    if (!s.has(component) || !s.value(component).is_array() || s.value(component).empty()) continue;
    const Json& library = s.value(component)[0];
    const bool known =
        library.is_null() || std::find(std::begin(kLibraries), std::end(kLibraries), library) != std::end(kLibraries);
    if (!known)
      warn("{}: the {} refers to custom code ({}), which is ignored and never run", s.file(), component,
           shown(library));
  }
}

// The token that fills up short texts, from the tokenizer's files: text, or an object with its "content". Empty: not
// stated.
std::string padding_token(const std::filesystem::path& folder) {
  for (const char* file : {"tokenizer/tokenizer_config.json", "tokenizer/special_tokens_map.json"}) {
    std::error_code ignored;
    if (!std::filesystem::exists(std::filesystem::symlink_status(folder / file, ignored))) continue;
    const Json json = io::read_json_file(io::file_in_folder(folder, file), io::kMaxConfigBytes, true);
    if (!json.is_object() || !json.contains("pad_token")) continue;
    const Json& pad = json["pad_token"];
    if (pad.is_string()) return pad.get<std::string>();
    if (pad.is_object() && pad.contains("content") && pad["content"].is_string())
      return pad["content"].get<std::string>();
  }
  return {};
}

// Texts are filled up with the end mark here, which the text encoder of Stable Diffusion 2 was not trained with.
void check_padding(const std::filesystem::path& folder, const ClipTextConfig& text) {
  const std::string pad = padding_token(folder);
  const bool is_end = pad == "<|endoftext|>" || (pad.empty() && text.quick_gelu);
  SUMI_CHECK(
      is_end,
      "{}: is of Stable Diffusion 2.x, whose text encoder (OpenCLIP's) takes ids that are filled up with {}; this "
      "version runs Stable Diffusion 1.x",
      folder.string(), pad.empty() ? "zeros" : fmt::format("\"{}\"", shorten(strip_control(pad), 40)));
}

}  // namespace

AutoencoderConfig autoencoder_from_diffusers(const std::filesystem::path& folder) {
  return read_autoencoder(Section(io::file_in_folder(folder, "config.json")));
}

ModelConfig config_from_diffusers(const std::filesystem::path& folder) {
  const auto section = [&](const char* file) { return Section(io::file_in_folder(folder, file)); };
  const auto there = [&](const char* file) {
    std::error_code ignored;
    return std::filesystem::exists(std::filesystem::symlink_status(folder / file, ignored));
  };
  check_model_index(section("model_index.json"));
  ModelConfig config;
  const Section unet = section("unet/config.json");
  config.unet = read_unet(unet);
  if (there("vae/config.json")) config.autoencoder = read_autoencoder(section("vae/config.json"));
  if (there("text_encoder/config.json")) config.text = read_text(section("text_encoder/config.json"));
  check_padding(folder, config.text);
  if (there("scheduler/scheduler_config.json")) {
    read_scheduler(section("scheduler/scheduler_config.json"), config);
  } else {
    warn("{}: has no scheduler/scheduler_config.json; using Stable Diffusion's noise schedule", folder.string());
  }
  check_config(config, folder.string());
  config.family = family_of(config).name;
  const std::vector<int64_t> sides = unet.integers("sample_size", {64});  // of the latent
  SUMI_CHECK(!sides.empty() && sides[0] >= 1 && sides[0] <= 4096, "{}: sample_size must be 1 to 4096 latents",
             unet.file());
  config.default_size = sides[0] * config.autoencoder.downsampling();
  check_config(config, folder.string());
  return config;
}

}  // namespace sumi::models
