// InvokeAI's metadata as a request.
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "engine/like_readers.h"

namespace sumi::engine {
namespace {

using Json = nlohmann::json;

const Json* member(const Json& object, std::string_view key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found == object.end() || found->is_null() ? nullptr : &*found;
}
std::optional<std::string> text(const Json& object, std::string_view key) {
  const Json* found = member(object, key);
  return found != nullptr && found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
}
std::optional<double> number(const Json& object, std::string_view key) {
  const Json* found = member(object, key);
  return found != nullptr && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}
std::optional<int64_t> whole(const Json& object, std::string_view key) {
  const auto found = number(object, key);
  return found && std::abs(*found) < 1e15 ? std::optional(static_cast<int64_t>(*found)) : std::nullopt;
}
std::optional<uint64_t> seed_of(const Json& object) {
  const Json* found = member(object, "seed");
  return found != nullptr && found->is_number_unsigned() ? std::optional(found->get<uint64_t>()) : std::nullopt;
}

// A model under its names in several versions.
std::string model_of(const Json& object, std::string_view key) {
  const Json* model = member(object, key);
  if (model == nullptr) return "";
  if (model->is_string()) return base_name(model->get<std::string>());
  for (const char* name : {"name", "model_name"}) {
    if (const auto found = text(*model, name)) return base_name(*found);
  }
  const Json* inner = member(*model, "key") != nullptr ? nullptr : member(*model, "model");
  return inner != nullptr && inner->is_object() ? model_of(*model, "model") : "";
}

// The sampler that one of InvokeAI's names means, and "Karras" where it ends in _k.
void take_scheduler(std::string name, Like& like) {
  std::string schedule;
  if (name.starts_with("k_")) {
    name.erase(0, 2);
  } else if (name.ends_with("_k")) {
    schedule = "Karras";
    name.resize(name.size() - 2);
  }
  constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kNames{{{"euler_a", "euler_ancestral"},
                                                                                 {"kdpm_2", "dpm_2"},
                                                                                 {"kdpm_2_a", "dpm_2_ancestral"},
                                                                                 {"dpm_2_a", "dpm_2_ancestral"},
                                                                                 {"dpmpp_2s", "dpmpp_2s_ancestral"},
                                                                                 {"dpmpp_2_a", "dpmpp_2s_ancestral"},
                                                                                 {"dpmpp_2", "dpmpp_2m"},
                                                                                 {"pndm", "plms"},
                                                                                 {"unipc", "unipc"}}};
  for (const auto& [theirs, ours] : kNames) {
    if (name == theirs) {
      name = ours;
      break;
    }
  }
  take_sampler(like.request, name, schedule, like);
}

void begin(Like& like) {
  like.from = "InvokeAI";
  like.request.seeding = "picture";
  like.request.rng = "cpu";
  like.request.syntax = "exact";
}

// Weights of words are written in another way: (word)1.2, word++.
void leave_weights(Like& like) {
  const std::string& prompt = like.request.prompts[0];
  for (size_t i = 0; i + 1 < prompt.size(); ++i) {
    const bool weight = prompt[i] == ')' && ((prompt[i + 1] >= '0' && prompt[i + 1] <= '9') || prompt[i + 1] == '+' ||
                                             prompt[i + 1] == '-');
    if (weight || prompt.compare(i, 2, "++") == 0) return leave(like, "InvokeAI's weights of words in the prompt");
  }
}

// Keys of the newer form that are taken, or that change nothing.
constexpr std::array<std::string_view, 19> kKnown{
    "app_version", "generation_mode", "positive_prompt", "negative_prompt", "width",     "height",
    "seed",        "rand_device",     "cfg_scale",       "steps",           "scheduler", "model",
    "strength",    "init_image",      "loras",           "controlnets",     "vae",       "clip_skip",
    "seamless_x"};

bool is_off(const Json& value) {
  return value.is_null() || value == false || (value.is_number() && value == 0) ||
         ((value.is_array() || value.is_object() || value.is_string()) && value.empty());
}

void take_controlnets(const Json& list, Like& like) {
  for (const Json& control : list) {
    const std::string model = model_of(control, "control_model");
    const Json* image = member(control, "image");
    const std::string picture = image == nullptr ? "" : base_name(text(*image, "image_name").value_or(""));
    if (model.empty() || picture.empty()) {
      leave(like, "a ControlNet " + model);
      continue;
    }
    const std::string mode = text(control, "control_mode").value_or("balanced");
    if (mode != "balanced") leave(like, fmt::format("ControlNet {}: {}", model, mode));
    like.request.controls.push_back({.model = model,
                                     .image = picture,
                                     .weight = number(control, "control_weight").value_or(1.0),
                                     .start = number(control, "begin_step_percent").value_or(0.0),
                                     .end = number(control, "end_step_percent").value_or(1.0)});
    like.control_hashes.emplace_back();
  }
}

}  // namespace

void take_invoke_metadata(const Json& m, Like& like) {
  begin(like);
  Request& r = like.request;
  r.prompts = {text(m, "positive_prompt").value_or("")};
  r.negative_prompt = text(m, "negative_prompt");
  r.width = whole(m, "width");
  r.height = whole(m, "height");
  r.seed = seed_of(m);
  r.scale = number(m, "cfg_scale");
  r.steps = whole(m, "steps");
  if (const auto scheduler = text(m, "scheduler")) take_scheduler(*scheduler, like);
  like.model = model_of(m, "model");
  r.strength = number(m, "strength");
  if (const auto init = text(m, "init_image")) r.init = base_name(*init);
  if (const Json* loras = member(m, "loras"); loras != nullptr && loras->is_array()) {
    for (const Json& lora : *loras) {
      const std::string name = model_of(lora, member(lora, "lora") != nullptr ? "lora" : "model");
      const double weight = number(lora, "weight").value_or(1.0);
      name.empty() ? leave(like, "a LoRA without a name") : r.loras.push_back({.file = name, .weight = weight});
    }
  }
  if (const Json* controls = member(m, "controlnets"); controls != nullptr && controls->is_array())
    take_controlnets(*controls, like);
  like.vae = model_of(m, "vae");
  if (const auto skip = whole(m, "clip_skip"); skip.value_or(0) != 0)
    leave(like, fmt::format("Clip skip {}", *skip + 1));
  const bool x = member(m, "seamless_x") != nullptr && *member(m, "seamless_x") == true;
  const bool y = member(m, "seamless_y") != nullptr && *member(m, "seamless_y") == true;
  r.seamless = std::string(x ? "x" : "") + (y ? "y" : "");
  for (const auto& item : m.items()) {
    const bool known = std::find(kKnown.begin(), kKnown.end(), item.key()) != kKnown.end();
    if (!known && item.key() != "seamless_y" && !item.key().starts_with("_") && !is_off(item.value()))
      leave(like, item.key() + (item.value().is_primitive() ? " " + item.value().dump() : ""));
  }
  leave_weights(like);
}

void take_old_invoke_metadata(const Json& m, Like& like) {
  begin(like);
  Request& r = like.request;
  like.model = text(m, "model_weights").value_or("");
  const Json* image = member(m, "image");
  const Json empty = Json::object();
  const Json& i = image != nullptr && image->is_object() ? *image : empty;
  const Json* prompt = member(i, "prompt");
  const bool list = prompt != nullptr && prompt->is_array() && !prompt->empty();
  r.prompts = {list ? text((*prompt)[0], "prompt").value_or("") : text(i, "prompt").value_or("")};
  if (list && prompt->size() > 1) leave(like, "further prompts, mixed with the first");
  r.width = whole(i, "width");
  r.height = whole(i, "height");
  r.seed = seed_of(i);
  r.scale = number(i, "cfg_scale");
  r.steps = whole(i, "steps");
  if (const auto sampler = text(i, "sampler")) take_scheduler(*sampler, like);
  r.strength = number(i, "strength");
  if (text(i, "type").value_or("txt2img") != "txt2img") leave(like, "the picture that it began from");
  if (member(i, "seamless") != nullptr && *member(i, "seamless") == true) r.seamless = "xy";
  for (const char* key : {"hires_fix", "threshold", "perlin", "variations", "facetool", "upscale", "postprocessing"}) {
    if (const Json* value = member(i, key); value != nullptr && !is_off(*value)) leave(like, key);
  }
  leave_weights(like);
}

void take_dream_command(std::string_view command, Like& like) {
  begin(like);
  Request& r = like.request;
  // "a \"red\" cat" -s 50 -S 42
  std::string prompt;
  size_t at = command.find('"');
  const bool quoted = at != std::string_view::npos;
  if (quoted) {
    for (++at; at < command.size() && command[at] != '"'; ++at) {
      if (command[at] == '\\' && at + 1 < command.size()) ++at;
      prompt += command[at];
    }
    ++at;
  } else {
    at = std::min(command.find(" -"), command.size());
    prompt = command.substr(0, at);
  }
  r.prompts = {prompt};
  while (at < command.size()) {
    const size_t begin = command.find_first_not_of(' ', at);
    if (begin == std::string_view::npos) break;
    const size_t end = std::min(command.find(' ', begin), command.size());
    std::string_view word = command.substr(begin, end - begin);
    at = end;
    if (word.size() < 2 || word[0] != '-') continue;
    const char letter = word[1];
    std::string_view value = word.substr(2);
    const size_t next = std::min(command.find_first_not_of(' ', at), command.size());
    const bool flag_follows = next + 1 < command.size() && command[next] == '-' &&
                              std::isalpha(static_cast<unsigned char>(command[next + 1])) != 0;
    if (value.empty() && next < command.size() && !flag_follows) {
      const size_t stop = std::min(command.find(' ', next), command.size());
      value = command.substr(next, stop - next);
      at = stop;
    }
    const auto read = [&]<class T>(std::optional<T>& member) {
      T number{};
      const auto [last, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (error == std::errc() && last == value.data() + value.size()) {
        member = number;
      } else {
        leave(like, word);
      }
    };
    switch (letter) {
      case 's': read(r.steps); break;
      case 'S': read(r.seed); break;
      case 'W': read(r.width); break;
      case 'H': read(r.height); break;
      case 'C': read(r.scale); break;
      case 'f': read(r.strength); break;
      case 'A': take_scheduler(std::string(value), like); break;
      case 'I': r.init = base_name(value); break;
      default: leave(like, fmt::format("-{} {}", letter, value));
    }
  }
  leave_weights(like);
}

}  // namespace sumi::engine
