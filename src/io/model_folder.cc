#include "io/model_folder.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/check.h"
#include "base/text_util.h"
#include "io/json_file.h"

namespace sumi::io {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxShards = 1000;

bool is_below(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

bool is_there(const fs::path& path) {  // a dangling link counts: it is reported when it is followed
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

// Names under which the weights of a component are published, one variant ("" or "fp16"), best first.
std::vector<std::string> candidates(std::string_view component, std::string_view variant) {
  const bool text = component == "text_encoder";
  const std::string stem = text ? "model" : "diffusion_pytorch_model";
  const std::string torch_stem = text ? "pytorch_model" : "diffusion_pytorch_model";
  const std::string dot = variant.empty() ? "" : "." + std::string(variant);
  return {
      stem + dot + ".safetensors", stem + dot + ".safetensors.index.json", stem + ".safetensors.index" + dot + ".json",
      torch_stem + dot + ".bin",   torch_stem + dot + ".bin.index.json",   torch_stem + ".bin.index" + dot + ".json"};
}

std::optional<std::string> find_candidate(const fs::path& component_folder, std::string_view component,
                                          std::string_view variant) {
  for (const std::string& name : candidates(component, variant)) {
    if (is_there(component_folder / name)) return name;
  }
  return std::nullopt;
}

bool holds_weights(const fs::path& component_folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(component_folder, ignored)) {
    const fs::path ending = entry.path().extension();
    if (ending == ".safetensors" || ending == ".bin") return true;
  }
  return false;
}

// A shard is named by a path below its index; anything else is an attempt to read elsewhere.
void check_shard_name(const fs::path& index, const std::string& name) {
  const std::string shown = strip_control(name);
  SUMI_CHECK(!name.empty() && shown == name, "{}: weight_map names a shard \"{}\", which is not a file name",
             index.string(), shown);
  SUMI_CHECK(name.front() != '/' && name.find('\\') == std::string::npos && name.find(':') == std::string::npos,
             "{}: weight_map names the shard \"{}\" by an absolute path; shards lie beside their index", index.string(),
             name);
  for (const fs::path& part : fs::path(name)) {
    SUMI_CHECK(part != "..", "{}: weight_map names the shard \"{}\", which leads out of the folder", index.string(),
               name);
  }
}

WeightFiles read_index(const fs::path& folder, const fs::path& component, const std::string& index_name) {
  WeightFiles weights;
  weights.index = file_in_folder(folder, component / index_name);
  const std::string index = weights.index.string();
  const nlohmann::json json = read_json_file(weights.index, kMaxShardIndexBytes);
  SUMI_CHECK(
      json.is_object() && json.contains("weight_map") && json["weight_map"].is_object() && !json["weight_map"].empty(),
      "{}: has no weight_map of tensor: shard", index);
  std::map<std::string, size_t> position;
  for (const auto& [tensor, shard] : json["weight_map"].items()) {
    SUMI_CHECK(shard.is_string(), "{}: the shard of tensor \"{}\" is not a name", index, strip_control(tensor));
    const auto& name = shard.get_ref<const std::string&>();
    const auto [found, fresh] = position.emplace(name, weights.files.size());
    if (fresh) {
      SUMI_CHECK(position.size() <= kMaxShards, "{}: names more than {} shards", index, kMaxShards);
      check_shard_name(weights.index, name);
      weights.files.push_back(file_in_folder(folder, component / name));
    }
    weights.file_of.emplace(tensor, found->second);
  }
  return weights;
}

}  // namespace

fs::path file_in_folder(const fs::path& folder, const fs::path& relative) {
  fs::path path = folder / relative;
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  SUMI_CHECK_KIND(kNoInput, !error, "{}: cannot be read: {}", folder.string(), error.message());
  const fs::path target = fs::canonical(path, error);
  SUMI_CHECK_KIND(kNoInput, !error || !fs::is_symlink(fs::symlink_status(path)),
                  "{}: a link to a missing file; was the download cut short?", path.string());
  SUMI_CHECK_KIND(kNoInput, !error, "{}: no such file", path.string());
  if (is_below(target, root)) return path;
  const bool snapshot = root.parent_path().filename() == "snapshots";
  const bool blob = snapshot && is_below(target, root.parent_path().parent_path() / "blobs");
  SUMI_CHECK(blob, "{}: a link that leads out of the model's folder, to {}; put the file itself there", path.string(),
             target.string());
  return path;
}

std::optional<WeightFiles> find_weights(const fs::path& folder, std::string_view component, std::string_view variant) {
  const fs::path in = folder / component;
  std::optional<std::string> name;
  std::vector<std::string_view> variants{variant};
  if (variant.empty()) variants = {"", "fp16", "bf16"};
  for (size_t i = 0; i < variants.size() && !name; ++i) name = find_candidate(in, component, variants[i]);
  if (!name) {
    SUMI_CHECK_KIND(kNoInput, !holds_weights(in), "{}: no {}; none of the weights here {}", in.string(),
                    candidates(component, variant).front(),
                    variant.empty() ? "has a known name" : "is of the requested variant");
    return std::nullopt;
  }
  if (name->ends_with(".json")) return read_index(folder, component, *name);
  return WeightFiles{{file_in_folder(folder, fs::path(component) / *name)}, {}, {}};
}

}  // namespace sumi::io
