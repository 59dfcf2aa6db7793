#include "models/lora/describe.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/check.h"
#include "io/json_text.h"
#include "models/lora/file.h"

namespace sumi::models {
namespace {

constexpr size_t kMostWords = 20;

// kohya counts the tags of captions by folder: {"10_cat": {"cat": 120, "grass": 3}}. Untrusted, so what is broken is
// left out.
std::vector<std::string> frequent_tags(const std::string& json) {
  std::map<std::string, int64_t> counts;
  try {
    const auto folders = io::parse_json(json, {.subject = "ss_tag_frequency", .max_bytes = 16 << 20});
    if (!folders.is_object()) return {};
    for (const auto& [folder, tags] : folders.items()) {
      if (!tags.is_object()) continue;
      for (const auto& [tag, count] : tags.items()) {
        if (count.is_number_integer()) counts[tag] += std::clamp<int64_t>(count.get<int64_t>(), 0, int64_t{1} << 40);
      }
    }
  } catch (const Error&) {
    return {};
  }
  std::vector<std::pair<std::string, int64_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::string> words;
  for (const auto& [tag, count] : sorted) {
    if (words.size() < kMostWords) words.push_back(tag);
  }
  return words;
}

std::string metadata_of(const io::Checkpoint& file, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (const auto found = file.metadata().find(key); found != file.metadata().end()) return found->second;
  }
  return {};
}

}  // namespace

std::optional<AdapterDescription> describe_adapters(const io::Checkpoint& checkpoint) {
  const lora::AdapterFile file(checkpoint);
  AdapterDescription out;
  std::set<double> alphas;
  for (const lora::Group& group : file.groups()) {
    if (group.kind() == lora::Kind::kNothing) continue;
    std::string kind(lora::name_of(group.kind()));
    if (group.is_tucker()) kind += ", Tucker";
    if (group.is_dora()) kind = "DoRA (" + kind + ")";
    ++out.kinds[kind];
    if (group.rank() > 0) {
      ++out.ranks[group.rank()];
      if (group.has(lora::Part::kAlpha) || file.scale(group, group.rank()) != 1.0)
        alphas.insert(file.scale(group, group.rank()) * static_cast<double>(group.rank()));
    }
    const bool of_unet = !group.places.empty() && group.places[0].network == lora::kUNet;
    ++(of_unet ? out.unet_layers : out.text_layers);
  }
  if (out.kinds.empty()) return std::nullopt;
  out.alphas.assign(alphas.begin(), alphas.end());
  const std::string phrase = metadata_of(checkpoint, {"modelspec.trigger_phrase", "trigger_word", "trigger_words"});
  out.words = phrase.empty() ? frequent_tags(metadata_of(checkpoint, {"ss_tag_frequency"})) : std::vector{phrase};
  out.base_model = metadata_of(checkpoint, {"modelspec.architecture", "ss_base_model_version", "ss_sd_model_name"});
  out.bundled = file.bundled();
  out.others = static_cast<int64_t>(file.others().size());
  return out;
}

}  // namespace sumi::models
