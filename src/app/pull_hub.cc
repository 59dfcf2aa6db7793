#include "app/pull_hub.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/text_util.h"

namespace sumi::app {
namespace {

constexpr std::string_view kComponents[] = {"unet", "vae", "text_encoder", "tokenizer", "scheduler"};
constexpr std::string_view kWeightComponents[] = {"unet", "vae", "text_encoder"};
constexpr std::string_view kWeights = ".safetensors";
constexpr std::string_view kIndex = ".safetensors.index.";

bool is_hex(std::string_view text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string_view folder_of(std::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}

bool is_weights(std::string_view name) {
  return name.ends_with(kWeights) || name.find(kIndex) != std::string_view::npos;
}

// "fp16" of model.fp16.safetensors, model.fp16-00001-of-00002.safetensors and model.safetensors.index.fp16.json; ""
// if the name has no variant.
std::string_view variant_of(std::string_view name) {
  name = name.substr(name.rfind('/') + 1);
  if (const size_t index = name.find(kIndex); index != std::string_view::npos) {
    const std::string_view rest = name.substr(index + kIndex.size());
    if (const size_t dot = rest.find('.'); dot != std::string_view::npos) return rest.substr(0, dot);
    name = name.substr(0, index);
  } else {
    name.remove_suffix(kWeights.size());
  }
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos) return {};
  name = name.substr(dot + 1);
  return name.substr(0, name.find('-'));
}

// A hub's answer about one file. Invalid values count as missing, except a negative size.
HubFile parse_file(std::string_view repository, const nlohmann::json& entry) {
  const auto text = [](const nlohmann::json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const auto size = [&](const nlohmann::json& object) -> std::optional<int64_t> {
    const auto found = object.find("size");
    if (found == object.end() || !found->is_number_integer()) return std::nullopt;
    constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    SUMI_CHECK(!found->is_number_unsigned() || found->get<uint64_t>() <= kMost,
               "the hub lists a file of {} bytes in {}, which cannot be", found->get<uint64_t>(), repository);
    return found->get<int64_t>();
  };
  SUMI_CHECK(entry.is_object(), "the hub's list of {} is malformed", repository);
  HubFile file{.name = text(entry, "rfilename"), .size = size(entry)};
  check_file_name(repository, file.name);
  const auto lfs = entry.find("lfs");
  if (lfs != entry.end() && lfs->is_object()) {
    if (const std::string sum = text(*lfs, "sha256"); is_hex(sum, 64)) file.sha256 = sum;
    if (const auto large = size(*lfs)) file.size = large;
  } else if (const std::string blob = text(entry, "blobId"); is_hex(blob, 40)) {
    file.git_blob = blob;
  }
  SUMI_CHECK(!file.size || *file.size >= 0, "the hub lists {} of {} with {} bytes", excerpt(file.name), repository,
             *file.size);
  return file;
}

std::vector<HubFile> choose_components(std::string_view repository, const std::vector<HubFile>& files, bool fp16) {
  std::vector<HubFile> chosen;
  const auto has_weights = [&](std::string_view folder, std::string_view variant) {
    return std::any_of(files.begin(), files.end(), [&](const HubFile& file) {
      return folder_of(file.name) == folder && file.name.ends_with(kWeights) && variant_of(file.name) == variant;
    });
  };
  for (const std::string_view component : kWeightComponents) {
    SUMI_CHECK(has_weights(component, "") || has_weights(component, "fp16"),
               "{} has no {}/*.safetensors; sumi fetches no diffusers folder in another format", repository, component);
  }
  for (const HubFile& file : files) {
    const std::string_view folder = folder_of(file.name);
    if (file.name == "model_index.json") chosen.push_back(file);
    if (std::find(std::begin(kComponents), std::end(kComponents), folder) == std::end(kComponents)) continue;
    if (is_weights(file.name)) {
      // The other variant if it is the only one.
      const bool half = has_weights(folder, "fp16") && (fp16 || !has_weights(folder, ""));
      if (variant_of(file.name) == (half ? "fp16" : "")) chosen.push_back(file);
    } else if (file.name.ends_with(".json") || file.name.ends_with(".txt")) {
      chosen.push_back(file);
    }
  }
  return chosen;
}

std::vector<HubFile> choose_checkpoints(std::string_view repository, const std::vector<HubFile>& files) {
  const auto at_top = [](const HubFile& file, std::string_view ending) {
    return file.name.find('/') == std::string::npos && file.name.ends_with(ending);
  };
  const auto any = [&](std::string_view ending) {
    return std::any_of(files.begin(), files.end(), [&](const HubFile& file) { return at_top(file, ending); });
  };
  SUMI_CHECK(any(kWeights) || any(".ckpt"),
             "{} holds neither a model_index.json nor a checkpoint (.safetensors, .ckpt)", repository);
  const std::string_view checkpoint = any(kWeights) ? kWeights : std::string_view(".ckpt");
  std::vector<HubFile> chosen;
  for (const HubFile& file : files) {
    for (const std::string_view ending : {checkpoint, std::string_view(".yaml"), std::string_view(".json")}) {
      if (at_top(file, ending)) chosen.push_back(file);
    }
  }
  return chosen;
}

}  // namespace

void check_repository_name(std::string_view name) {
  const size_t slash = name.find('/');
  const auto part_is_good = [](std::string_view part) {
    constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    return !part.empty() && part.size() <= 96 && part.front() != '.' && part.find("..") == std::string_view::npos &&
           part.find_first_not_of(kAllowed) == std::string_view::npos;
  };
  SUMI_CHECK_KIND(
      kUsage,
      slash != std::string_view::npos && part_is_good(name.substr(0, slash)) && part_is_good(name.substr(slash + 1)),
      "\"{}\" is not a repository's name; write owner/name, or tokenizer for CLIP's vocabulary",
      strip_control(name.substr(0, 200)));
}

void check_file_name(std::string_view repository, std::string_view name) {
  bool good =
      !name.empty() && name.size() <= 1024 && name.find('\\') == std::string_view::npos && strip_control(name) == name;
  for (size_t begin = 0; good && begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    good = !part.empty() && part.size() <= 200 && part != "." && part != "..";
    begin = end + 1;
  }
  SUMI_CHECK(good, "the hub lists a file \"{}\" in {}, which is not a safe name; nothing was fetched",
             strip_control(name.substr(0, 200)), repository);
}

std::vector<HubFile> parse_listing(std::string_view repository, std::string_view json) {
  constexpr int kMaxDepth = 16;
  const auto refuse_depth = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    SUMI_CHECK(depth <= kMaxDepth, "the hub's answer about {} is nested too deeply", repository);
    return true;
  };
  const nlohmann::json answer = nlohmann::json::parse(json, refuse_depth, false);
  const auto siblings = answer.is_object() ? answer.find("siblings") : answer.end();
  SUMI_CHECK(answer.is_object() && siblings != answer.end() && siblings->is_array(),
             "the hub's answer about {} is not a list of files; is the endpoint a Hugging Face style hub?", repository);
  std::vector<HubFile> files;
  for (const nlohmann::json& entry : *siblings) files.push_back(parse_file(repository, entry));
  return files;
}

std::vector<HubFile> choose_files(std::string_view repository, const std::vector<HubFile>& files, bool fp16) {
  const bool diffusers =
      std::any_of(files.begin(), files.end(), [](const HubFile& file) { return file.name == "model_index.json"; });
  return diffusers ? choose_components(repository, files, fp16) : choose_checkpoints(repository, files);
}

}  // namespace sumi::app
