#include "models/lora/file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "base/text_util.h"
#include "io/json_file.h"
#include "io/json_text.h"
#include "models/loading/bind.h"
#include "ops/layout.h"

namespace sumi::models::lora {
namespace {

constexpr const char* kMetadataKey = "lora_adapter_metadata";
constexpr size_t kLongestPattern = 512;  // of an alpha_pattern, in bytes

std::string shown(const std::string& name) { return shorten(strip_control(name), 160); }

// The parts that each kind is made of; alpha, scalar and magnitudes may be beside the first three.
bool is_factor(Part part) {
  switch (part) {
    case Part::kAlpha:
    case Part::kScalar:
    case Part::kMagnitude:
    case Part::kOutMagnitude: return true;
    default: return false;
  }
}

Kind kind_of(Part part) {
  switch (part) {
    case Part::kDown:
    case Part::kUp:
    case Part::kMid:
    case Part::kUpBias: return Kind::kLora;
    case Part::kHada1A:
    case Part::kHada1B:
    case Part::kHada2A:
    case Part::kHada2B:
    case Part::kHadaT1:
    case Part::kHadaT2: return Kind::kLoha;
    case Part::kLokr1:
    case Part::kLokr1A:
    case Part::kLokr1B:
    case Part::kLokr2:
    case Part::kLokr2A:
    case Part::kLokr2B:
    case Part::kLokrT2: return Kind::kLokr;
    case Part::kIa3:
    case Part::kOnInput: return Kind::kIa3;
    case Part::kDiff: return Kind::kFull;
    case Part::kNorm:
    case Part::kNormBias: return Kind::kNorm;
    case Part::kDiffBias: return Kind::kBias;
    default: return Kind::kNothing;
  }
}

bool complete(const Group& g, Kind kind) {
  const auto all = [&](auto... parts) { return (g.has(parts) && ...); };
  switch (kind) {
    case Kind::kLora: return all(Part::kDown, Part::kUp);
    case Kind::kLoha:
      return all(Part::kHada1A, Part::kHada1B, Part::kHada2A, Part::kHada2B) &&
             g.has(Part::kHadaT1) == g.has(Part::kHadaT2);
    case Kind::kLokr: {
      const bool first = g.has(Part::kLokr1) != all(Part::kLokr1A, Part::kLokr1B);
      const bool second = g.has(Part::kLokr2) != all(Part::kLokr2A, Part::kLokr2B);
      return first && second && (!g.has(Part::kLokrT2) || g.has(Part::kLokr2A));
    }
    case Kind::kIa3: return all(Part::kIa3, Part::kOnInput);
    default: return true;
  }
}

// A group is one change: parts of two kinds have no meaning together, but a bias's change goes with any.
void check_group(const Group& group, const std::string& path) {
  Kind kind = Kind::kNothing;
  for (const auto& [part, info] : group.parts) {
    const Kind other = kind_of(part);
    if (is_factor(part) || other == Kind::kBias) continue;
    SUMI_CHECK(kind == Kind::kNothing || kind == other, "{}: \"{}\" has parts of a {} and of a {} change", path,
               shown(group.module), name_of(kind), name_of(other));
    kind = other;
  }
  SUMI_CHECK(complete(group, kind), "{}: \"{}\" has only some of the parts of a {} change; was the file cut?", path,
             shown(group.module), name_of(kind));
  const bool takes_magnitude = kind == Kind::kLora || kind == Kind::kLoha || kind == Kind::kLokr;
  SUMI_CHECK(!group.is_dora() || takes_magnitude, "{}: \"{}\" has a DoRA magnitude without a LoRA, LoHa or LoKr change",
             path, shown(group.module));
}

// "bundle_emb.WORD.string_to_param.*" → WORD.
std::string bundled_word(const std::string& name) {
  constexpr std::string_view kBundle = "bundle_emb.";
  if (!name.starts_with(kBundle)) return {};
  std::string word = name.substr(kBundle.size());
  const size_t end = word.find(".string_to_param");
  word.resize(end != std::string::npos ? end : std::min(word.size(), word.rfind('.')));
  return word;
}

// Patterns of PEFT are regular expressions; what people's files have are plain ends of names.
std::string plain_pattern(const std::string& pattern, const std::string& source) {
  std::string plain = pattern;
  if (plain.starts_with('^')) plain.erase(0, 1);
  if (plain.ends_with('$')) plain.pop_back();
  std::erase(plain, '\\');
  SUMI_CHECK(plain.size() <= kLongestPattern, "{}: its alpha_pattern \"{}\" is longer than any layer's name", source,
             shown(pattern));
  SUMI_CHECK(plain.find_first_of("^$*+?()[]{}|") == std::string::npos,
             "{}: its alpha_pattern \"{}\" is a regular expression; only ends of names are read", source,
             shown(pattern));
  return plain;
}

}  // namespace

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::kLora: return "LoRA";
    case Kind::kLoha: return "LoHa";
    case Kind::kLokr: return "LoKr";
    case Kind::kIa3: return "(IA)³";
    case Kind::kFull: return "full";
    case Kind::kNorm: return "norm";
    case Kind::kBias: return "bias";
    case Kind::kNothing: return "empty";
  }
  return "";
}

Kind Group::kind() const {
  Kind found = Kind::kNothing;
  for (const auto& [part, info] : parts) {
    const Kind kind = kind_of(part);
    if (is_factor(part) || kind == Kind::kNothing) continue;
    if (found == Kind::kNothing || found == Kind::kBias) found = kind;
  }
  return found;
}

int64_t Group::rank() const {
  // LyCORIS lets the second factor of a LoKr decide.
  static constexpr std::pair<Part, int> kRanked[] = {
      {Part::kDown, 0}, {Part::kHada1B, 0}, {Part::kLokrT2, 0}, {Part::kLokr2B, 0}, {Part::kLokr1B, 0}};
  for (const auto& [part, axis] : kRanked) {
    if (has(part) && shape(part).rank() >= 2) return shape(part)[axis];
  }
  return 0;
}

AdapterFile::AdapterFile(const io::Checkpoint& file) : file_(&file) {
  std::unordered_map<std::string, size_t> by_module;
  std::string adapter;
  bool any_adapter = false;
  std::unordered_set<std::string> words;
  const auto group_of = [&](const std::string& module) -> Group& {
    const auto [at, fresh] = by_module.emplace(module, groups_.size());
    if (fresh) groups_.push_back({.module = module, .parts = {}});
    return groups_[at->second];
  };
  for (const io::TensorInfo& info : file.tensors()) {
    std::optional<Key> key = split(info.name);
    constexpr std::string_view kWeight = ".weight";
    if (!key && info.name.ends_with(kWeight)) {  // (IA)³ calls its vector so
      const std::string module = info.name.substr(0, info.name.size() - kWeight.size());
      if (file.has(module + ".on_input")) key = Key{.module = module, .part = Part::kIa3};
    }
    if (!key) {
      const std::string word = bundled_word(info.name);
      if (word.empty()) {
        others_.push_back(info.name);
      } else if (words.insert(word).second) {
        bundled_.push_back(word);
      }
      continue;
    }
    SUMI_CHECK(key->part != Part::kUnsupported, "{}: \"{}\" is part of a change by {}, which is not supported", path(),
               shown(info.name), key->kind);
    const bool peft = info.name.find(".lora_A") != std::string::npos || info.name.find(".lora_B") != std::string::npos;
    SUMI_CHECK(!peft || !any_adapter || adapter == key->adapter,
               "{}: holds two adapters, \"{}\" and \"{}\"; give one a file", path(), shown(adapter),
               shown(key->adapter));
    if (peft) adapter = key->adapter, any_adapter = true;
    const bool fresh = group_of(key->module).parts.emplace(key->part, info).second;
    SUMI_CHECK(fresh, "{}: \"{}\" is there twice, in two spellings", path(), shown(info.name));
  }
  for (Group& group : groups_) {
    check_group(group, path());
    group.places = places_of(group.module);
  }
  read_configs();
}

Tensor AdapterFile::tensor(const Group& group, Part part) const {
  const io::TensorInfo& info = group.parts.at(part);
  SUMI_CHECK(is_floating(info.dtype), "{}: \"{}\" has the type {}; a change must be of floating point", path(),
             shown(info.name), sumi::name_of(info.dtype));
  Tensor value = file_->tensor(info.name);
  if (!is_activation_type(info.dtype)) value = cast(value, DType::kF32);
  SUMI_CHECK(count_non_finite(value, std::numeric_limits<int64_t>::max()) == 0,
             "{}: \"{}\" holds values that are not finite; the file is damaged, or its training failed", path(),
             shown(info.name));
  return value;
}

std::optional<double> AdapterFile::number(const Group& group, Part part) const {
  if (!group.has(part)) return std::nullopt;
  const io::TensorInfo& info = group.parts.at(part);
  const bool is_whole = info.dtype == DType::kI64 || info.dtype == DType::kI32;
  SUMI_CHECK(info.shape.numel() == 1 && (is_whole || is_floating(info.dtype)), "{}: \"{}\" is not a single number",
             path(), shown(info.name));
  if (!is_whole) return double{cast(tensor(group, part), DType::kF32).host<float>()[0]};
  const Tensor value = file_->tensor(info.name);
  return info.dtype == DType::kI64 ? static_cast<double>(value.host<int64_t>()[0])
                                   : static_cast<double>(value.host<int32_t>()[0]);
}

double AdapterFile::scale(const Group& group, int64_t rank) const {
  const auto divisor = static_cast<double>(std::max<int64_t>(rank, 1));
  if (const auto alpha = number(group, Part::kAlpha)) return *alpha / divisor;
  const Config* config = config_of(group);
  if (config == nullptr) return 1.0;
  const std::optional<double> alpha = config->alpha_of(group.module);
  if (!alpha) return 1.0;
  return *alpha / (config->rank_stabilised ? std::sqrt(divisor) : divisor);
}

// Each end of the name, as far as patterns are long, is looked up: time does not grow with the number of patterns.
std::optional<double> AdapterFile::Config::alpha_of(std::string_view module) const {
  auto last = alpha_pattern.end();
  const auto consider = [&](std::string_view end) {
    const auto found = alpha_pattern.find(end);
    if (found != alpha_pattern.end() && (last == alpha_pattern.end() || last->first < found->first)) last = found;
  };
  consider(module);
  for (size_t end = module.size(); end > 0;) {
    const size_t dot = module.rfind('.', end - 1);
    if (dot == std::string_view::npos || module.size() - dot - 1 > longest_pattern) break;
    consider(module.substr(dot + 1));
    end = dot;
  }
  return last == alpha_pattern.end() ? alpha : last->second;
}

const AdapterFile::Config* AdapterFile::config_of(const Group& group) const {
  for (const Place& place : group.places) {
    const std::string component = place.network == kUNet ? "unet"
                                  : place.network == 1   ? "text_encoder"
                                                         : "text_encoder_2";
    if (const auto found = configs_.find(component); found != configs_.end()) return &found->second;
  }
  const auto all = configs_.find("");
  return all == configs_.end() ? nullptr : &all->second;
}

void AdapterFile::read_configs() {
  if (const auto found = file_->metadata().find(kMetadataKey); found != file_->metadata().end()) {
    read_config(found->second, path() + ", its " + kMetadataKey, true);
    return;
  }
  // PEFT's own folder has the configuration beside the weights.
  const std::filesystem::path beside = file_->path().parent_path() / "adapter_config.json";
  std::error_code error;
  const bool peft = std::any_of(groups_.begin(), groups_.end(),
                                [](const Group& group) { return group.module.starts_with("base_model.model."); });
  if (!peft || !std::filesystem::is_regular_file(beside, error)) return;
  read_config(io::read_json_file(beside).dump(), beside.string(), false);
}

// {"unet.r": 4, "unet.lora_alpha": 1, …}; without the component's name in PEFT's own file.
void AdapterFile::read_config(const std::string& json, const std::string& source, bool of_component) {
  const auto parsed = io::parse_json(json, {.subject = source, .max_bytes = io::kMaxConfigBytes});
  SUMI_CHECK(parsed.is_object(), "{}: is not a JSON object", source);
  for (const auto& [key, value] : parsed.items()) {
    const size_t dot = of_component ? key.find('.') : std::string::npos;
    Config& config = configs_[dot == std::string::npos ? "" : key.substr(0, dot)];
    const std::string what = dot == std::string::npos ? key : key.substr(dot + 1);
    if (what == "lora_alpha" && value.is_number()) config.alpha = value.get<double>();
    if (what == "use_rslora" && value.is_boolean()) config.rank_stabilised = value.get<bool>();
    if (what == "alpha_pattern" && value.is_object()) {
      for (const auto& [pattern, alpha] : value.items()) {
        SUMI_CHECK(alpha.is_number(), "{}: its alpha_pattern \"{}\" is not a number", source, shown(pattern));
        const std::string end = plain_pattern(pattern, source);
        config.alpha_pattern[end] = alpha.get<double>();
        config.longest_pattern = std::max(config.longest_pattern, end.size());
      }
    }
  }
}

}  // namespace sumi::models::lora
