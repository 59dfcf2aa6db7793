// sumi inspect: what a file is and what is in it.
#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "base/text_util.h"
#include "engine/memory_plan.h"
#include "io/json_text.h"
#include "models/config.h"
#include "models/embedding_file.h"
#include "models/loading/open.h"
#include "models/lora/describe.h"
#include "models/unet/topology.h"

namespace sumi::app {
namespace {

using Json = nlohmann::ordered_json;

struct InspectFlags {
  std::string file, config;
  bool all = false, json = false;
};

constexpr size_t kShown = 20;  // tensors, without --all

struct Counts {
  int64_t tensors = 0, values = 0, bytes = 0;
};

std::map<std::string, Counts> count_types(const io::Checkpoint& checkpoint) {
  std::map<std::string, Counts> types;
  for (const io::TensorInfo& info : checkpoint.tensors()) {
    Counts& counts = types[std::string(name_of(info.dtype))];
    ++counts.tensors;
    counts.values += info.shape.numel();
    counts.bytes += bytes_of(info.dtype, info.shape.numel());
  }
  return types;
}

// The configuration, or the reason why there is none: not every file of tensors is a model.
struct Recognised {
  std::optional<models::ModelConfig> config;
  std::string why_not;
  std::optional<models::AdapterDescription> adapters;  // where it is no model
};

Recognised recognise(const io::Checkpoint& checkpoint, const std::string& yaml) {
  if (!yaml.empty()) return {models::config_for(checkpoint, yaml), "", std::nullopt};
  Recognised known;
  try {
    known.config = models::config_for(checkpoint, {});
  } catch (const Error& error) {
    known.why_not = in_options(error.what());
    // What is wrong with the adapters says more than that it is no model.
    try {
      known.adapters = models::describe_adapters(checkpoint);
    } catch (const Error& wrong) {
      known.why_not = in_options(wrong.what());
    }
  }
  return known;
}

// A file of textual inversion: its words and vectors.
std::string embeddings_text(const io::Checkpoint& checkpoint) {
  std::string text;
  for (const io::TensorInfo& info : checkpoint.tensors()) {
    const int64_t count = info.shape.rank() == 2 ? info.shape[0] : 1;
    const bool unnamed = info.name == "emb_params" || info.name == "clip_l" || info.name == "clip_g" ||
                         info.name.starts_with("string_to_param.");
    const std::string word = unnamed ? checkpoint.path().stem().string() : info.name;
    text += fmt::format("embedding    \"{}\": {} vectors of {}{}\n", shorten(strip_control(word), 60), count,
                        info.shape.rank() > 0 ? info.shape[-1] : 0,
                        info.name == "clip_g" || info.name == "clip_l" ? fmt::format(", for {}", info.name) : "");
  }
  return text;
}

Json adapters_json(const models::AdapterDescription& a) {
  Json ranks = Json::object();
  for (const auto& [rank, layers] : a.ranks) ranks[std::to_string(rank)] = layers;
  return {{"kinds", a.kinds},
          {"ranks", ranks},
          {"alphas", a.alphas},
          {"unet_layers", a.unet_layers},
          {"text_layers", a.text_layers},
          {"words", a.words},
          {"base_model", a.base_model},
          {"bundled_embeddings", a.bundled},
          {"other_tensors", a.others}};
}

template <class Values, class Show> std::string listed(const Values& values, const Show& show) {
  std::string text;
  for (const auto& value : values) text += (text.empty() ? "" : ", ") + show(value);
  return text;
}

std::string adapters_text(const models::AdapterDescription& a) {
  const auto layers = [](const auto& entry) { return fmt::format("{} ({} layers)", entry.first, entry.second); };
  const auto word = [](const std::string& text) { return shorten(strip_control(text), 60); };
  std::string text = fmt::format("adapters     {}; {} layers of the UNet, {} of text encoders\n",
                                 listed(a.kinds, layers), a.unet_layers, a.text_layers);
  if (!a.ranks.empty())
    text += fmt::format(
        "rank         {}; alpha {}\n", listed(a.ranks, layers),
        a.alphas.empty() ? "as the rank" : listed(a.alphas, [](double alpha) { return fmt::format("{}", alpha); }));
  if (!a.words.empty()) text += fmt::format("words        {}\n", listed(a.words, word));
  if (!a.base_model.empty()) text += fmt::format("made for     {}\n", word(a.base_model));
  if (!a.bundled.empty()) text += fmt::format("embeddings   {}\n", listed(a.bundled, word));
  if (a.others > 0) text += fmt::format("unknown      {} tensors\n", a.others);
  return text;
}

Json config_json(const models::ModelConfig& c) {
  return {{"family", c.family},
          {"prediction", diffusion::name_of(c.prediction)},
          {"timesteps", c.timesteps},
          {"size", c.default_size},
          {"unet",
           {{"in_channels", c.unet.in_channels},
            {"model_channels", c.unet.model_channels},
            {"channel_mult", c.unet.channel_mult},
            {"num_res_blocks", c.unet.num_res_blocks},
            {"num_heads", c.unet.num_heads},
            {"num_head_channels", c.unet.num_head_channels},
            {"attention_resolutions", models::attention_resolutions(c.unet)},
            {"transformer_depth", c.unet.transformer_depth},
            {"context_dim", c.unet.context_dim}}},
          {"autoencoder",
           {{"ch", c.autoencoder.ch},
            {"ch_mult", c.autoencoder.ch_mult},
            {"z_channels", c.autoencoder.z_channels},
            {"scale_factor", c.autoencoder.scale_factor}}},
          {"text",
           {{"hidden_size", c.text.hidden_size},
            {"layers", c.text.layers},
            {"heads", c.text.heads},
            {"vocab_size", c.text.vocab_size}}}};
}

std::string as_json(const io::Checkpoint& checkpoint, const Recognised& known) {
  Json json{{"file", checkpoint.path().string()}, {"format", checkpoint.format()}};
  json["metadata"] = checkpoint.metadata();
  json["family"] = known.config ? Json(known.config->family) : Json(nullptr);
  if (known.config) json["config"] = config_json(*known.config);
  if (known.adapters) json["adapters"] = adapters_json(*known.adapters);
  json["tensors"] = Json::array();
  for (const io::TensorInfo& info : checkpoint.tensors()) {
    json["tensors"].push_back({{"name", info.name},
                               {"dtype", name_of(info.dtype)},
                               {"shape", info.shape.dims()},
                               {"bytes", bytes_of(info.dtype, info.shape.numel())}});
  }
  return io::json_line(json) + "\n";
}

std::string join(const std::vector<int64_t>& values) {
  std::string text;
  for (const int64_t value : values) text += (text.empty() ? "" : ", ") + std::to_string(value);
  return text;
}

std::string config_text(const models::ModelConfig& c) {
  const std::string heads = c.unet.num_head_channels > 0 ? fmt::format("{} channels a head", c.unet.num_head_channels)
                                                         : fmt::format("{} heads", c.unet.num_heads);
  return fmt::format("family       {} ({} prediction, {} timesteps, made for {} pixels)\n", c.family,
                     diffusion::name_of(c.prediction), c.timesteps, c.default_size) +
         fmt::format("unet         {} channels times {}; {}; context {}\n", c.unet.model_channels,
                     join(c.unet.channel_mult), heads, c.unet.context_dim) +
         fmt::format("autoencoder  {} channels times {}; latents of {} channels, times {}\n", c.autoencoder.ch,
                     join(c.autoencoder.ch_mult), c.autoencoder.embed_dim, c.autoencoder.scale_factor) +
         fmt::format("text         {} wide, {} layers, {} heads, {} tokens\n", c.text.hidden_size, c.text.layers,
                     c.text.heads, c.text.vocab_size);
}

std::string as_text(const io::Checkpoint& checkpoint, const Recognised& known, bool all) {
  std::string text =
      fmt::format("file         {}\nformat       {}\n", strip_control(checkpoint.path().string()), checkpoint.format());
  for (const auto& [key, value] : checkpoint.metadata()) {
    text += fmt::format("metadata     {}: {}\n", strip_control(key), strip_control(value.substr(0, 200)));
  }
  text += known.config     ? config_text(*known.config)
          : known.adapters ? adapters_text(*known.adapters)
          : models::is_embedding_file(checkpoint)
              ? embeddings_text(checkpoint)
              : "family       not recognised: " + strip_control(known.why_not) + "\n";
  for (const auto& [type, counts] : count_types(checkpoint)) {
    text += fmt::format("{:<12} {} tensors, {} values, {}\n", type, counts.tensors, counts.values,
                        engine::format_bytes(counts.bytes));
  }
  const auto& tensors = checkpoint.tensors();
  const size_t shown = all ? tensors.size() : std::min(kShown, tensors.size());
  text += "\n";
  for (size_t i = 0; i < shown; ++i) {
    text += fmt::format("{:<6} {:<20} {}\n", name_of(tensors[i].dtype), tensors[i].shape.str(),
                        strip_control(tensors[i].name));
  }
  if (shown < tensors.size()) text += fmt::format("… and {} more; --all lists them\n", tensors.size() - shown);
  return text;
}

std::function<int()> declare(CLI::App& app) {
  auto flags = std::make_shared<InspectFlags>();
  app.add_option("file", flags->file, "Checkpoint file or diffusers folder")->required()->type_name("");
  app.add_option("--config", flags->config, "LDM configuration (YAML) to read it by")->type_name("FILE");
  app.add_flag("--all", flags->all, "List every tensor");
  app.add_flag("--json", flags->json, "As one JSON object, with every tensor");
  return [flags] {
    const auto checkpoint = models::open_model_files(flags->file);
    const Recognised known = recognise(*checkpoint, flags->config);
    say(flags->json ? as_json(*checkpoint, known) : as_text(*checkpoint, known, flags->all));
    return 0;
  };
}

const CommandRegistration kRegistration({"inspect", "What a checkpoint is: format, family, tensors", "", declare});

}  // namespace
}  // namespace sumi::app
