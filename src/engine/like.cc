#include "engine/like.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/check.h"
#include "base/text_util.h"
#include "diffusion/sampling.h"
#include "engine/like_readers.h"
#include "image/file_texts.h"
#include "io/json_text.h"
#include "text/network_tags.h"

namespace sumi::engine {
namespace {

constexpr size_t kMostUntaken = 64, kMostJson = 4 << 20, kMostValues = 100'000;

// Of a PNG.
std::optional<image::PictureSize> size_of(std::span<const std::byte> file) {
  if (file.size() < 24 || file[0] != std::byte{0x89}) return std::nullopt;
  const auto number = [&](size_t at) {
    int64_t value = 0;
    for (size_t i = at; i < at + 4; ++i) value = value << 8 | std::to_integer<int64_t>(file[i]);
    return value;
  };
  return image::PictureSize{number(16), number(20)};
}

const std::string* find_text(const std::vector<image::PngText>& texts, std::string_view key) {
  const auto found = std::find_if(texts.begin(), texts.end(), [&](const auto& text) { return text.first == key; });
  return found == texts.end() ? nullptr : &found->second;
}

// The text's value where it is an object that can be read.
std::optional<nlohmann::json> object_of(const std::string& text) {
  try {
    nlohmann::json value = io::parse_json(
        text, {.subject = "settings", .max_bytes = kMostJson, .python_numbers = true, .max_values = kMostValues});
    if (value.is_object()) return value;
  } catch (const Error&) {  // some other program's text under that key
  }
  return std::nullopt;
}

bool looks_like_parameters(const image::GenerationParameters& p) {
  return p.steps || p.seed || !p.sampler.empty() || p.guidance;
}

// A graph's nodes are objects with a class.
bool looks_like_graph(const nlohmann::json& json) {
  return std::any_of(json.begin(), json.end(),
                     [](const auto& node) { return node.is_object() && node.contains("class_type"); });
}

// Whether a text was one of a known form.
bool take_texts(const std::vector<image::PngText>& texts, std::optional<image::PictureSize> size,
                const std::string& name, Like& like) {
  if (const std::string* text = find_text(texts, image::kParametersKey); text != nullptr && text->size() <= kMostJson) {
    const image::GenerationParameters parameters = image::parse_parameters(*text);
    if (looks_like_parameters(parameters)) return take_parameters(parameters, size, like), true;
  }
  const auto take_object = [&](std::string_view key, const auto& looks_right, const auto& take) {
    const std::string* text = find_text(texts, key);
    const auto json = text == nullptr ? std::nullopt : object_of(*text);
    if (!json || !looks_right(*json)) return false;
    try {
      take(*json, like);
    } catch (const Error& error) {
      fail(ErrorKind::kData, "{}: {}", name, error.what());
    }
    return true;
  };
  const auto any = [](const nlohmann::json&) { return true; };
  if (take_object("invokeai_metadata", any, take_invoke_metadata)) return true;
  if (take_object("prompt", looks_like_graph, take_comfy_graph)) return true;
  if (take_object("sd-metadata", any, take_old_invoke_metadata)) return true;
  const std::string* dream = find_text(texts, "Dream");
  if (dream == nullptr || dream->size() > kMostJson) return false;
  take_dream_command(*dream, like);
  return true;
}

template <class T> void fill(T& value, const T& other) {
  if constexpr (requires { value.has_value(); }) {
    if (!value) value = other;
  } else if constexpr (requires { value.empty(); }) {
    if (value.empty()) value = other;
  } else {
    if (value == T{}) value = other;
  }
}

void fill_hires(Hires& hires, const Hires& other) {
  const bool own_sampler = hires.sampler.has_value();
  fill(hires.upscaler, other.upscaler);
  fill(hires.steps, other.steps);
  fill(hires.strength, other.strength);
  fill(hires.sampler, other.sampler);
  if (!own_sampler) fill(hires.schedule, other.schedule);
  fill(hires.guidance, other.guidance);
  fill(hires.prompt, other.prompt);
  fill(hires.negative_prompt, other.negative_prompt);
}

// "<hypernet:NAME:1>", which sumi does not have.
std::string without_other_networks(const std::string& prompt, Like& like) {
  std::string out;
  size_t kept = 0;
  for (size_t at = prompt.find("<hyper"); at != std::string::npos; at = prompt.find("<hyper", at + 1)) {
    const std::string_view rest = std::string_view(prompt).substr(at);
    if (!rest.starts_with("<hypernet:") && !rest.starts_with("<hypernetwork:")) continue;
    const size_t end = prompt.find('>', at);
    if (end == std::string::npos) break;
    leave(like, rest.substr(0, end + 1 - at));
    out.append(prompt, kept, at - kept);
    kept = end + 1;
    at = end;
  }
  return out.append(prompt, kept);
}

// Takes the tags out of the prompt, and returns the LoRAs that they name.
std::vector<text::LoraTag> take_tags_of(std::string& prompt, Like& like) {
  prompt = without_other_networks(prompt, like);
  try {
    text::TaggedPrompt tagged = text::take_lora_tags(prompt);
    if (tagged.loras.empty()) return {};
    prompt = std::move(tagged.prompt);
    prompt.resize(prompt.find_last_not_of(' ') + 1);  // that stood before the tags
    return std::move(tagged.loras);
  } catch (const Error&) {  // the request's check says what is wrong with it
    return {};
  }
}

// The second pass has the first's LoRAs.
void take_hires_tags(Like& like) {
  if (!like.request.hires || !like.request.hires->prompt) return;
  const std::vector<text::LoraTag> loras = take_tags_of(*like.request.hires->prompt, like);
  std::vector<text::LoraTag> first;
  for (const Lora& lora : like.request.loras) first.push_back({lora.file, lora.weight, lora.unet, lora.text});
  if (!loras.empty() && loras != first) leave(like, "the LoRAs of the second pass's prompt");
}

}  // namespace

void leave(Like& like, std::string_view what) {
  const std::string shown = shorten(strip_control(what), 80);
  if (shown.empty() || std::find(like.untaken.begin(), like.untaken.end(), shown) != like.untaken.end()) return;
  if (like.untaken.size() < kMostUntaken) like.untaken.push_back(shown);
}

void take_sampler(Request& request, const std::string& sampler, const std::string& schedule, Like& like) {
  std::string name, named;
  try {
    name = diffusion::resolve_sampler(sampler, &named);
  } catch (const Error&) {
    return leave(like, fmt::format("sampler {}", sampler));
  }
  request.sampler = name;
  if (schedule.empty() && named.empty()) return;
  try {
    const std::string known = schedule.empty() ? named : diffusion::resolve_schedule(schedule, name);
    diffusion::check_sampler(name, known);
    request.schedule = known;
  } catch (const Error&) {
    leave(like, fmt::format("schedule {}", schedule));
  }
}

void take_tags(Like& like) {
  for (std::string& prompt : like.request.prompts) {
    for (const text::LoraTag& tag : take_tags_of(prompt, like))
      like.request.loras.push_back({.file = tag.name, .weight = tag.weight, .unet = tag.unet, .text = tag.text});
  }
}

std::string base_name(std::string_view path) {
  const size_t slash = path.find_last_of("/\\");
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

Like read_like(std::span<const std::byte> file, const std::string& name) {
  Like like;
  const std::vector<image::PngText> texts = image::read_texts(file, name);
  SUMI_CHECK(take_texts(texts, size_of(file), name, like),
             "{}: carries no settings in a form that is known: `parameters` of sumi or A1111's web UI, ComfyUI's "
             "`prompt`, InvokeAI's metadata; programs that edit or show pictures often drop them",
             name);
  take_hires_tags(like);
  return like;
}

void fill_open(Request& r, const Request& other) {
  const bool own_sampler = r.sampler.has_value(), own_hires = r.hires.has_value();
  const bool own_seeds = !r.seeds.empty(), own_seed = own_seeds || r.seed;
  fill(r.prompts, other.prompts);
  fill(r.negative_prompt, other.negative_prompt);
  fill(r.copies, other.copies);
  fill(r.batch, other.batch);
  fill(r.iterations, other.iterations);
  fill(r.width, other.width);
  fill(r.height, other.height);
  fill(r.sampler, other.sampler);
  if (!own_sampler) fill(r.schedule, other.schedule);
  fill(r.steps, other.steps);
  fill(r.scale, other.scale);
  if (!own_sampler) fill(r.eta, other.eta);
  if (!own_seed) {
    fill(r.seed, other.seed);
    fill(r.seeds, other.seeds);
  }
  if (!own_seeds && !r.fixed_noise) fill(r.seeding, other.seeding);  // these two have their own
  fill(r.rng, other.rng);
  fill(r.fixed_noise, other.fixed_noise);
  fill(r.syntax, other.syntax);
  fill(r.loras, other.loras);
  fill(r.lora_folder, other.lora_folder);
  fill(r.embeddings, other.embeddings);
  fill(r.embedding_folder, other.embedding_folder);
  fill(r.init, other.init);
  fill(r.strength, other.strength);
  fill(r.resize, other.resize);
  fill(r.background, other.background);
  fill(r.convention, other.convention);
  fill(r.mask, other.mask);
  fill(r.mask_invert, other.mask_invert);
  fill(r.mask_blur, other.mask_blur);
  fill(r.mask_content, other.mask_content);
  fill(r.mask_padding, other.mask_padding);
  fill(r.extend, other.extend);
  fill(r.hires, other.hires);
  if (own_hires && other.hires) fill_hires(*r.hires, *other.hires);
  fill(r.controls, other.controls);
  fill(r.guess_mode, other.guess_mode);
  fill(r.seamless, other.seamless);
  fill(r.subseed, other.subseed);
  fill(r.subseed_strength, other.subseed_strength);
  fill(r.safety_checker, other.safety_checker);
  fill(r.watermark, other.watermark);
  fill(r.tiled_decode, other.tiled_decode);
  fill(r.share, other.share);
  if (r.share_of == 1) r.share_of = other.share_of;
  fill(r.defaults, other.defaults);
}

bool drop_without_picture(Request& r) {
  bool any = false;
  const auto drop = [&]<class T>(T& value) {
    any |= value != T{};
    value = {};
  };
  if (r.init.empty()) {
    drop(r.strength);
    drop(r.convention);
    drop(r.mask);
    drop(r.extend);
  }
  if (r.init.empty() && r.controls.empty()) {
    drop(r.resize);
    drop(r.background);
  }
  if (r.mask.empty() && r.extend.empty()) {
    drop(r.mask_invert);
    drop(r.mask_blur);
    drop(r.mask_content);
    drop(r.mask_padding);
  }
  if (r.controls.empty()) drop(r.guess_mode);
  return any;
}

}  // namespace sumi::engine
