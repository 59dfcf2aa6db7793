#include "models/loading/diffusers_folder.h"

#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "base/check.h"
#include "base/text_util.h"
#include "io/json_file.h"
#include "io/model_folder.h"
#include "io/safetensors.h"
#include "io/torch_ckpt.h"
#include "models/loading/factors.h"
#include "models/loading/name_map.h"
#include "models/loading/prefixes.h"
#include "models/loading/tidy_names.h"

namespace sumi::models {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<io::Checkpoint> open_part(const fs::path& file) {
  return with_factors_applied(file.extension() == ".bin" ? io::open_torch_ckpt(file) : io::open_safetensors(file));
}

// Why `folder` has no model_index.json: the common mistakes.
std::string hint_for(const fs::path& folder) {
  std::error_code ignored;
  if (fs::exists(folder / "config.json", ignored)) {
    return fs::exists(folder.parent_path() / "model_index.json", ignored)
               ? fmt::format("it is one component of a model; give the folder above, {}", folder.parent_path().string())
               : "it is one component of a model; give the folder that holds unet, vae and text_encoder";
  }
  if (fs::is_directory(folder / "snapshots", ignored))
    return "it is a cached repository; give one of the folders in its snapshots/";
  if (fs::is_directory(folder / "unet", ignored)) return "it has a unet/, so the file may have been left out of a copy";
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const fs::path ending = entry.path().extension();
    if (ending == ".safetensors" || ending == ".ckpt" || ending == ".gguf")
      return "give the checkpoint in it, " + entry.path().string();
  }
  return "a model is a folder with model_index.json, unet, vae and text_encoder, or a single file";
}

class DiffusersFolder : public io::Checkpoint {
 public:
  DiffusersFolder(const fs::path& folder, const std::string& variant) {
    format_ = "diffusers folder";
    path_ = folder;
    check_index();
    const bool unet = add_component("unet", kUNetPrefix, variant, [](const HasTensor& has) {
      return unet_name_map(make_topology(unet_of_diffusers_names(has)));
    });
    SUMI_CHECK_KIND(kNoInput, unet, "{}: has no weights of the UNet (unet/diffusion_pytorch_model.safetensors)",
                    folder.string());
    add_component("vae", kVaePrefix, variant,
                  [](const HasTensor& has) { return vae_name_map(vae_levels_of_diffusers(has)); });
    add_component("text_encoder", kTextComponentPrefix, variant, [](const HasTensor&) { return text_name_map(); });
    index();
  }

  Tensor tensor(std::string_view name) const override {
    const auto found = sources_.find(std::string(name));
    SUMI_CHECK(found != sources_.end(), "{}: has no tensor \"{}\"", path_.string(), strip_control(name));
    const Source& source = found->second;
    const Tensor value = source.part->tensor(source.name);
    return value.shape() == source.shape ? value : value.reshape(source.shape);
  }

  bool is_copied(std::string_view name) const override {
    const auto found = sources_.find(std::string(name));
    return found != sources_.end() && found->second.part->is_copied(found->second.name);
  }
  void check_intact() const override {
    for (const auto& part : parts_) part->check_intact();
  }
  void release_pages() const override {
    for (const auto& part : parts_) part->release_pages();
  }

 private:
  using MakeNameMap = std::function<NameMap(const HasTensor&)>;
  struct Source {
    const io::Checkpoint* part;
    std::string name;
    Shape shape;
  };

  void check_index() const {
    std::error_code ignored;
    SUMI_CHECK(fs::exists(fs::symlink_status(path_ / "model_index.json", ignored)), "{}: no model_index.json here; {}",
               path_.string(), hint_for(path_));
    const fs::path file = io::file_in_folder(path_, "model_index.json");
    SUMI_CHECK(io::read_json_file(file).is_object(), "{}: is not a JSON object", file.string());
  }

  // Opens the parts of `component` and lists their tensors; false if the folder has none.
  bool add_component(const std::string& component, std::string_view prefix, const std::string& variant,
                     const MakeNameMap& make_map) {
    const auto weights = io::find_weights(path_, component, variant);
    if (!weights) return false;
    const size_t first = parts_.size();
    for (const fs::path& file : weights->files) parts_.push_back(open_part(file));
    for (const auto& [tensor, file] : weights->file_of) {
      SUMI_CHECK(parts_[first + file]->has(tensor), "{}: weight_map puts tensor \"{}\" in {}, which does not hold it",
                 weights->index.string(), strip_control(tensor), weights->files[file].filename().string());
    }
    const bool text = component == "text_encoder";
    std::unordered_set<std::string> names;
    for (size_t i = first; i < parts_.size(); ++i) {
      for (const io::TensorInfo& info : parts_[i]->tensors()) names.insert(tidy_component_name(info.name, text));
    }
    const NameMap map = make_map([&](const std::string& name) { return names.contains(name); });
    for (size_t i = first; i < parts_.size(); ++i) add_part(*parts_[i], prefix, text, map);
    return true;
  }

  void add_part(const io::Checkpoint& part, std::string_view prefix, bool text, const NameMap& map) {
    for (const io::TensorInfo& info : part.tensors()) {
      const std::string tidy = tidy_component_name(info.name, text);
      const std::string name = map.to_compvis(tidy).value_or(std::string(prefix) + tidy);
      const Shape shape = map.compvis_shape(name, info.shape);
      const auto [other, fresh] = sources_.emplace(name, Source{&part, info.name, shape});
      SUMI_CHECK(fresh, "{}: tensor \"{}\" is also in {}{}", part.path().string(), strip_control(info.name),
                 other->second.part->path().string(),
                 other->second.name == info.name ? "" : fmt::format(", as \"{}\"", strip_control(other->second.name)));
      tensors_.push_back({name, info.dtype, shape});
    }
  }

  std::vector<std::unique_ptr<io::Checkpoint>> parts_;
  std::unordered_map<std::string, Source> sources_;
};

}  // namespace

std::unique_ptr<io::Checkpoint> open_diffusers_component(const fs::path& folder) {
  const fs::path whole = folder.has_filename() ? folder : folder.parent_path();
  const fs::path above = whole.has_parent_path() ? whole.parent_path() : fs::path(".");
  const auto weights = io::find_weights(above, whole.filename().string(), {});
  if (!weights) return nullptr;
  SUMI_CHECK(weights->files.size() == 1, "{}: its weights lie in {} shards; give them in one file", folder.string(),
             weights->files.size());
  return open_part(weights->files.front());
}

std::unique_ptr<io::Checkpoint> open_diffusers_folder(const fs::path& folder, const std::string& variant) {
  return std::make_unique<DiffusersFolder>(folder, variant);
}

}  // namespace sumi::models
