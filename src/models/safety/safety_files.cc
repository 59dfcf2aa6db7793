#include "models/safety/safety_files.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/check.h"
#include "base/log.h"
#include "base/text_util.h"
#include "io/json_file.h"
#include "io/model_folder.h"

namespace sumi::models {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kComponent = "safety_checker";
constexpr const char* kWeights[] = {"model.safetensors", "model.fp16.safetensors", "pytorch_model.bin",
                                    "pytorch_model.fp16.bin"};
constexpr const char* kWanted =
    "a safety checker is needed, as diffusers' folder safety_checker holds it "
    "(CompVis/stable-diffusion-safety-checker)";
constexpr std::string_view kMark = "special_care_embeds_weights";  // a name that no other kind of model has
constexpr int64_t kMostConcepts = 10'000, kMostProjection = 65'536, kFewHeads = 8;

bool is_there(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(file, ignored));
}

// A folder, and the one above that links may lead into: in the Hugging Face cache, a component's lead to the
// repository's blobs.
struct Folder {
  fs::path root, below;
  fs::path path() const { return root / below; }
  bool has(const std::string& name) const { return is_there(path() / name); }
  fs::path file(const std::string& name) const { return io::file_in_folder(root, below / name); }
};

Folder folder_of(const fs::path& given) {
  std::error_code error;
  const fs::path folder = fs::canonical(given, error);
  SUMI_CHECK_KIND(kNoInput, !error, "{}: cannot be read: {}", given.string(), error.message());
  if (folder.parent_path().parent_path().filename() == "snapshots") return {folder.parent_path(), folder.filename()};
  return {given, {}};
}

// What config.json says of the picture tower. Keys that are missing say nothing.
class TowerConfig {
 public:
  explicit TowerConfig(const fs::path& file)
      : file_(file.string()), json_(io::read_json_file(file, io::kMaxConfigBytes, true)) {
    SUMI_CHECK(json_.is_object(), "{}: is not a JSON object", file_);
    if (json_.contains("vision_config")) vision_ = json_["vision_config"];
  }

  bool is_of_a_tower() const { return vision_.is_object(); }
  int64_t heads() const { return number("num_attention_heads").value_or(12); }  // transformers' default

  void check(const SafetyFiles& files) const {
    SUMI_CHECK(is_of_a_tower(), "{}: has no vision_config; {}", file_, kWanted);
    const ClipVisionConfig& v = files.vision;
    check("hidden_size", v.layer.hidden_size);
    check("intermediate_size", v.layer.intermediate_size);
    check("num_hidden_layers", v.layer.layers);
    check("image_size", v.side);
    check("patch_size", v.patch);
    const bool quick = !vision_.contains("hidden_act") || vision_["hidden_act"] == "quick_gelu";
    SUMI_CHECK(quick, "{}: hidden_act is {}; only quick_gelu is supported", file_,
               excerpt(vision_["hidden_act"].dump()));
  }

  double eps() const {
    if (!vision_.contains("layer_norm_eps")) return 1e-5;
    const Json& eps = vision_["layer_norm_eps"];
    SUMI_CHECK(eps.is_number() && eps.get<double>() > 0.0 && eps.get<double>() < 1.0,
               "{}: layer_norm_eps is {}, and must be between 0 and 1", file_, excerpt(eps.dump()));
    return eps.get<double>();
  }

 private:
  std::optional<int64_t> number(const char* key) const {
    if (!vision_.contains(key) || vision_[key].is_null()) return std::nullopt;
    SUMI_CHECK(vision_[key].is_number_integer() && vision_[key] > 0 && vision_[key] <= 1'000'000,
               "{}: {} is {}, not a number of things", file_, key, excerpt(vision_[key].dump()));
    return vision_[key].get<int64_t>();
  }
  void check(const char* key, int64_t in_weights) const {
    const int64_t said = number(key).value_or(in_weights);
    SUMI_CHECK(said == in_weights, "{}: {} is {}, but the weights are of {}; the file belongs to another model", file_,
               key, said, in_weights);
  }

  std::string file_;
  Json json_, vision_;
};

// A size in preprocessor_config.json: a number, or an object that says it of each edge.
bool is_size(const Json& value, int64_t side) {
  if (value.is_number_integer()) return value == side;
  if (!value.is_object()) return false;
  for (const auto& [key, edge] : value.items()) {
    if (edge != side) return false;
  }
  return !value.empty();
}

bool is_list(const Json& value, const std::array<float, 3>& expected) {
  if (!value.is_array() || value.size() != expected.size()) return false;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!value[i].is_number() || std::fabs(value[i].get<double>() - double{expected[i]}) > 1e-4) return false;
  }
  return true;
}

// Pictures are prepared in CLIP's one way.
void check_preprocessor(const fs::path& file, int64_t side) {
  const Json json = io::read_json_file(file, io::kMaxConfigBytes, true);
  const std::string source = file.string();
  SUMI_CHECK(json.is_object(), "{}: is not a JSON object", source);
  const auto require = [&](const char* key, const std::string& expected, const auto& fits) {
    SUMI_CHECK(!json.contains(key) || json[key].is_null() || fits(json[key]), "{}: {} is {}; only {} is supported",
               source, key, excerpt(json[key].dump()), expected);
  };
  const std::string size = std::to_string(side);
  require("size", size, [&](const Json& value) { return is_size(value, side); });
  require("crop_size", size, [&](const Json& value) { return is_size(value, side); });
  require("resample", "3 (bicubic)", [](const Json& value) { return value == 3; });
  require("image_mean", "CLIP's mean", [](const Json& value) { return is_list(value, kClipMean); });
  require("image_std", "CLIP's deviation", [](const Json& value) { return is_list(value, kClipDeviation); });
  for (const char* key : {"do_resize", "do_center_crop", "do_normalize"})
    require(key, "true", [](const Json& value) { return value == true; });
}

std::optional<std::string> prefix_in(const io::Checkpoint& file) {
  for (const io::TensorInfo& info : file.tensors()) {
    if (info.name.ends_with(kMark)) return info.name.substr(0, info.name.size() - kMark.size());
  }
  return std::nullopt;
}

// A vector for each concept, and how near to it is too near: the number of concepts.
int64_t concepts_of(const SafetyFiles& files, const std::string& name) {
  const io::Checkpoint& file = *files.file;
  const int64_t count = shape_of(file, files.prefix + name + "_weights", 1, kWanted)[0];
  const Shape& vectors = shape_of(file, files.prefix + name, 2, kWanted);
  SUMI_CHECK(vectors == (Shape{count, files.projection}) && count >= 1 && count <= kMostConcepts,
             "{}: {} is {} and should be {}, a vector for each of {}_weights", file.path().string(), name,
             vectors.str(), Shape{count, files.projection}.str(), name);
  return count;
}

SafetyFiles read_sizes(const fs::path& weights, const std::optional<TowerConfig>& config) {
  SafetyFiles files{.file = io::open_checkpoint(weights)};
  const auto prefix = prefix_in(*files.file);
  SUMI_CHECK(prefix, "{}: has no tensor {}; {}", weights.string(), kMark, kWanted);
  files.prefix = *prefix;
  files.tower = "vision_model.vision_model.";
  if (!files.file->has(files.prefix + files.tower + "embeddings.class_embedding")) files.tower = "vision_model.";
  files.vision = clip_vision_of(*files.file, files.prefix + files.tower, kWanted, config ? config->heads() : 0);
  files.projection = shape_of(*files.file, files.prefix + "visual_projection.weight", 2, kWanted)[0];
  SUMI_CHECK(files.projection >= 1 && files.projection <= kMostProjection,
             "{}: projects to {} values; 1 to {} are expected", weights.string(), files.projection, kMostProjection);
  files.concepts = concepts_of(files, "concept_embeds");
  files.special_concepts = concepts_of(files, "special_care_embeds");
  if (config) files.vision.layer.layer_norm_eps = config->eps();
  return files;
}

SafetyFiles open_folder(const Folder& folder, const fs::path& preprocessor) {
  const auto* name = std::find_if(std::begin(kWeights), std::end(kWeights),
                                  [&](const char* candidate) { return folder.has(candidate); });
  SUMI_CHECK_KIND(kNoInput, name != std::end(kWeights), "{}: has no {} or {}; {}", folder.path().string(), kWeights[0],
                  kWeights[2], kWanted);
  const TowerConfig config(folder.file("config.json"));
  SUMI_CHECK(config.is_of_a_tower(), "{}: config.json has no vision_config; {}", folder.path().string(), kWanted);
  SafetyFiles files = read_sizes(folder.file(*name), config);
  config.check(files);
  if (!preprocessor.empty()) check_preprocessor(preprocessor, files.vision.side);
  return files;
}

// The configuration beside a single file, if it is of a picture tower: a folder of downloads may have another model's.
std::optional<TowerConfig> config_beside(const fs::path& file) {
  const fs::path beside = file.parent_path() / "config.json";
  if (!is_there(beside)) return std::nullopt;
  TowerConfig config(beside);
  return config.is_of_a_tower() ? std::optional(std::move(config)) : std::nullopt;
}

SafetyFiles open_file(const fs::path& path) {
  const auto config = config_beside(path);
  SafetyFiles files = read_sizes(path, config);
  if (config) config->check(files);
  if (!config && files.vision.layer.heads < kFewHeads)
    warn("{}: has no config.json beside it, so heads of 64 channels are assumed: {} in a layer", path.string(),
         files.vision.layer.heads);
  return files;
}

}  // namespace

SafetyFiles find_safety_checker(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return open_file(path);
  Folder folder = folder_of(path);
  const std::string preprocessor = "preprocessor_config.json";
  if (fs::is_directory(path / kComponent, ignored)) {
    const std::string extractor = "feature_extractor/" + preprocessor;
    const fs::path file = folder.has(extractor) ? folder.file(extractor) : fs::path();
    folder.below /= kComponent;
    return open_folder(folder, file);
  }
  return open_folder(folder, folder.has(preprocessor) ? folder.file(preprocessor) : fs::path());
}

}  // namespace sumi::models
