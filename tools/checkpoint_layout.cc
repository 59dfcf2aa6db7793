#include "tools/checkpoint_layout.h"

#include <algorithm>

#include "base/check.h"

namespace sumi::tools {
namespace {

// A place in the tree of modules, under its two names.
struct Place {
  std::string compvis;
  std::string diffusers;

  Place at(std::string_view child) const { return at(child, child); }
  Place at(std::string_view compvis_child, std::string_view diffusers_child) const {
    return {compvis + "." + std::string(compvis_child), diffusers + "." + std::string(diffusers_child)};
  }
};

// Collects the entries of one component; the layers below are the vocabulary of all three.
class ComponentBuilder {
 public:
  // `diffusers_root` is cut from every diffusers name: a component's file starts at its own root.
  ComponentBuilder(std::vector<LayoutEntry>& entries, std::string component)
      : entries_(entries), component_(std::move(component)) {}

  Place root(std::string compvis) const { return {std::move(compvis), ""}; }

  void tensor(const Place& place, const Shape& shape) { tensor(place, shape, shape); }
  void tensor(const Place& place, const Shape& shape, const Shape& diffusers_shape) {
    entries_.push_back({place.compvis, shape, component_, place.diffusers.substr(1), diffusers_shape});
  }
  void norm(const Place& place, int64_t channels) {
    tensor(place.at("weight"), {channels});
    tensor(place.at("bias"), {channels});
  }
  void linear(const Place& place, int64_t in, int64_t out, bool bias = true) {
    tensor(place.at("weight"), {out, in});
    if (bias) tensor(place.at("bias"), {out});
  }
  void conv(const Place& place, int64_t in, int64_t out, int64_t kernel) {
    tensor(place.at("weight"), {out, in, kernel, kernel});
    tensor(place.at("bias"), {out});
  }
  // A 1x1 convolution that diffusers keeps as a linear layer.
  void conv_as_linear(const Place& place, int64_t in, int64_t out) {
    tensor(place.at("weight"), {out, in, 1, 1}, {out, in});
    tensor(place.at("bias"), {out});
  }

 private:
  std::vector<LayoutEntry>& entries_;
  std::string component_;
};

class UNetLayout {
 public:
  UNetLayout(std::vector<LayoutEntry>& entries, const models::UNetConfig& config)
      : b_(entries, "unet"), config_(config), root_(b_.root("model.diffusion_model")) {}

  void build() {
    const int64_t width = config_.model_channels;
    b_.linear(root_.at("time_embed.0", "time_embedding.linear_1"), width, 4 * width);
    b_.linear(root_.at("time_embed.2", "time_embedding.linear_2"), 4 * width, 4 * width);
    down();
    middle();
    up();
    b_.norm(root_.at("out.0", "conv_norm_out"), width);
    b_.conv(root_.at("out.2", "conv_out"), width, config_.out_channels, 3);
  }

 private:
  int levels() const { return static_cast<int>(config_.channel_mult.size()); }
  int64_t width(int level) const { return config_.model_channels * config_.channel_mult[static_cast<size_t>(level)]; }
  int64_t blocks(int level) const {
    const auto& counts = config_.num_res_blocks;
    return counts.size() == 1 ? counts[0] : counts[static_cast<size_t>(level)];
  }
  int64_t depth(int level) const { return config_.transformer_depth[static_cast<size_t>(level)]; }
  bool attends(int level) const { return depth(level) > 0; }

  void down() {
    b_.conv(root_.at("input_blocks.0.0", "conv_in"), config_.in_channels, config_.model_channels, 3);
    channels_ = config_.model_channels;
    skips_ = {channels_};
    int block = 1;
    for (int level = 0; level < levels(); ++level) {
      for (int64_t i = 0; i < blocks(level); ++i, ++block) {
        const std::string input = fmt::format("input_blocks.{}", block);
        const std::string down = fmt::format("down_blocks.{}", level);
        res_block(root_.at(input + ".0", fmt::format("{}.resnets.{}", down, i)), channels_, width(level));
        channels_ = width(level);
        if (attends(level)) transformer(root_.at(input + ".1", fmt::format("{}.attentions.{}", down, i)), depth(level));
        skips_.push_back(channels_);
      }
      if (level + 1 == levels()) break;
      b_.conv(root_.at(fmt::format("input_blocks.{}.0.op", block),
                       fmt::format("down_blocks.{}.downsamplers.0.conv", level)),
              channels_, channels_, 3);
      skips_.push_back(channels_);
      ++block;
    }
  }

  void middle() {
    res_block(root_.at("middle_block.0", "mid_block.resnets.0"), channels_, channels_);
    transformer(root_.at("middle_block.1", "mid_block.attentions.0"), config_.middle_depth);
    res_block(root_.at("middle_block.2", "mid_block.resnets.1"), channels_, channels_);
  }

  void up() {
    int block = 0;
    for (int level = levels() - 1; level >= 0; --level) {
      const std::string up = fmt::format("up_blocks.{}", levels() - 1 - level);
      for (int64_t i = 0; i <= blocks(level); ++i, ++block) {
        const std::string output = fmt::format("output_blocks.{}", block);
        res_block(root_.at(output + ".0", fmt::format("{}.resnets.{}", up, i)), channels_ + skips_.back(),
                  width(level));
        skips_.pop_back();
        channels_ = width(level);
        if (attends(level)) transformer(root_.at(output + ".1", fmt::format("{}.attentions.{}", up, i)), depth(level));
        if (level > 0 && i == blocks(level)) {
          b_.conv(root_.at(fmt::format("{}.{}.conv", output, attends(level) ? 2 : 1), up + ".upsamplers.0.conv"),
                  channels_, channels_, 3);
        }
      }
    }
  }

  void res_block(const Place& at, int64_t in, int64_t out) {
    b_.norm(at.at("in_layers.0", "norm1"), in);
    b_.conv(at.at("in_layers.2", "conv1"), in, out, 3);
    b_.linear(at.at("emb_layers.1", "time_emb_proj"), 4 * config_.model_channels, out);
    b_.norm(at.at("out_layers.0", "norm2"), out);
    b_.conv(at.at("out_layers.3", "conv2"), out, out, 3);
    if (in != out) b_.conv(at.at("skip_connection", "conv_shortcut"), in, out, 1);
  }

  void transformer(const Place& at, int64_t depth) {
    const int64_t c = channels_;
    b_.norm(at.at("norm"), c);
    project(at.at("proj_in"));
    for (int64_t i = 0; i < depth; ++i) {
      const Place block = at.at(fmt::format("transformer_blocks.{}", i));
      attention(block.at("attn1"), c);
      b_.linear(block.at("ff.net.0.proj"), c, 8 * c);  // GEGLU: values and gates, each four times as wide
      b_.linear(block.at("ff.net.2"), 4 * c, c);
      attention(block.at("attn2"), config_.context_dim > 0 ? config_.context_dim : c);
      b_.norm(block.at("norm1"), c);
      b_.norm(block.at("norm2"), c);
      b_.norm(block.at("norm3"), c);
    }
    project(at.at("proj_out"));
  }

  void project(const Place& at) {
    if (config_.use_linear_in_transformer) {
      b_.linear(at, channels_, channels_);
    } else {
      b_.conv(at, channels_, channels_, 1);
    }
  }

  void attention(const Place& at, int64_t context) {
    b_.linear(at.at("to_q"), channels_, channels_, false);
    b_.linear(at.at("to_k"), context, channels_, false);
    b_.linear(at.at("to_v"), context, channels_, false);
    b_.linear(at.at("to_out.0"), channels_, channels_);
  }

  ComponentBuilder b_;
  const models::UNetConfig& config_;
  Place root_;
  int64_t channels_ = 0;
  std::vector<int64_t> skips_;
};

class AutoencoderLayout {
 public:
  AutoencoderLayout(std::vector<LayoutEntry>& entries, const models::AutoencoderConfig& config)
      : b_(entries, "vae"), config_(config), root_(b_.root("first_stage_model")) {}

  void build() {
    encoder(root_.at("encoder"));
    decoder(root_.at("decoder"));
    b_.conv(root_.at("quant_conv"), 2 * config_.z_channels, 2 * config_.embed_dim, 1);
    b_.conv(root_.at("post_quant_conv"), config_.embed_dim, config_.z_channels, 1);
  }

 private:
  int levels() const { return static_cast<int>(config_.ch_mult.size()); }
  int64_t width(int level) const { return config_.ch * config_.ch_mult[static_cast<size_t>(level)]; }

  void encoder(const Place& at) {
    b_.conv(at.at("conv_in"), config_.in_channels, config_.ch, 3);
    int64_t channels = config_.ch;
    for (int level = 0; level < levels(); ++level) {
      const Place down = at.at(fmt::format("down.{}", level), fmt::format("down_blocks.{}", level));
      channels = res_blocks(down, channels, width(level), config_.num_res_blocks);
      if (level + 1 < levels()) b_.conv(down.at("downsample.conv", "downsamplers.0.conv"), channels, channels, 3);
    }
    middle(at, channels);
    b_.norm(at.at("norm_out", "conv_norm_out"), channels);
    b_.conv(at.at("conv_out"), channels, 2 * config_.z_channels, 3);
  }

  // The state_dict lists the levels from the finest up; the data flows the other way, and so does diffusers' count.
  void decoder(const Place& at) {
    const int top = levels() - 1;
    b_.conv(at.at("conv_in"), config_.z_channels, width(top), 3);
    middle(at, width(top));
    for (int level = 0; level <= top; ++level) {
      const Place up = at.at(fmt::format("up.{}", level), fmt::format("up_blocks.{}", top - level));
      res_blocks(up, width(std::min(level + 1, top)), width(level), config_.num_res_blocks + 1);
      if (level > 0) b_.conv(up.at("upsample.conv", "upsamplers.0.conv"), width(level), width(level), 3);
    }
    b_.norm(at.at("norm_out", "conv_norm_out"), config_.ch);
    b_.conv(at.at("conv_out"), config_.ch, config_.out_channels, 3);
  }

  int64_t res_blocks(const Place& at, int64_t in, int64_t out, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      res_block(at.at(fmt::format("block.{}", i), fmt::format("resnets.{}", i)), in, out);
      in = out;
    }
    return out;
  }

  void middle(const Place& at, int64_t channels) {
    res_block(at.at("mid.block_1", "mid_block.resnets.0"), channels, channels);
    const Place attention = at.at("mid.attn_1", "mid_block.attentions.0");
    b_.norm(attention.at("norm", "group_norm"), channels);
    b_.conv_as_linear(attention.at("q", "to_q"), channels, channels);
    b_.conv_as_linear(attention.at("k", "to_k"), channels, channels);
    b_.conv_as_linear(attention.at("v", "to_v"), channels, channels);
    b_.conv_as_linear(attention.at("proj_out", "to_out.0"), channels, channels);
    res_block(at.at("mid.block_2", "mid_block.resnets.1"), channels, channels);
  }

  void res_block(const Place& at, int64_t in, int64_t out) {
    b_.norm(at.at("norm1"), in);
    b_.conv(at.at("conv1"), in, out, 3);
    b_.norm(at.at("norm2"), out);
    b_.conv(at.at("conv2"), out, out, 3);
    if (in != out) b_.conv(at.at("nin_shortcut", "conv_shortcut"), in, out, 1);
  }

  ComponentBuilder b_;
  const models::AutoencoderConfig& config_;
  Place root_;
};

void text_layout(std::vector<LayoutEntry>& entries, const models::ClipTextConfig& config) {
  ComponentBuilder b(entries, "text_encoder");
  const Place text = b.root("cond_stage_model.transformer").at("text_model");
  const int64_t width = config.hidden_size;
  b.tensor(text.at("embeddings.token_embedding.weight"), {config.vocab_size, width});
  b.tensor(text.at("embeddings.position_embedding.weight"), {config.max_positions, width});
  b.norm(text.at("final_layer_norm"), width);
  for (int64_t i = 0; i < config.layers; ++i) {
    const Place layer = text.at(fmt::format("encoder.layers.{}", i));
    for (const char* projection : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      b.linear(layer.at("self_attn").at(projection), width, width);
    }
    b.norm(layer.at("layer_norm1"), width);
    b.norm(layer.at("layer_norm2"), width);
    b.linear(layer.at("mlp.fc1"), width, config.intermediate_size);
    b.linear(layer.at("mlp.fc2"), config.intermediate_size, width);
  }
  b.tensor(text.at("embeddings.position_ids"), {1, config.max_positions});
}

}  // namespace

std::vector<LayoutEntry> checkpoint_layout(const models::ModelConfig& config) {
  SUMI_CHECK_KIND(kUsage,
                  config.unet.use_spatial_transformer && !config.unet.resblock_updown &&
                      !config.unet.use_scale_shift_norm && config.autoencoder.attn_resolutions.empty(),
                  "this UNet or autoencoder has blocks that Stable Diffusion lacks; its layout is not known here");
  std::vector<LayoutEntry> entries;
  for (const char* buffer : {"betas", "alphas_cumprod", "alphas_cumprod_prev"}) {
    entries.push_back({buffer, {config.timesteps}, "", "", {}});
  }
  UNetLayout(entries, config.unet).build();
  AutoencoderLayout(entries, config.autoencoder).build();
  text_layout(entries, config.text);
  return entries;
}

models::ModelConfig synthetic_config(const std::string& size) {
  models::ModelConfig config;
  config.family = "sd1";
  config.unet.num_heads = 8;
  config.unet.legacy = false;
  if (size == "sd1") return config;
  SUMI_CHECK_KIND(kUsage, size == "tiny", "unknown synthetic model \"{}\"; use sd1 or tiny", size);
  config.unet.model_channels = 32;
  config.unet.context_dim = 64;
  config.autoencoder.ch = 32;
  config.text.hidden_size = 64;
  config.text.layers = 3;
  config.text.heads = 4;
  config.text.intermediate_size = 256;
  return config;
}

}  // namespace sumi::tools
