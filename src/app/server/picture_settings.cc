#include "app/server/picture_settings.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "api/json.h"
#include "app/server/jobs.h"
#include "base/check.h"
#include "base/text_util.h"
#include "engine/like.h"
#include "engine/resolve.h"

namespace sumi::app {
namespace {

using Json = nlohmann::ordered_json;

// Puts this server's names in place of a picture's, and into words what it does not have.
class Reader {
 public:
  Reader(engine::Like like, const Shelf& shelf, const Library& library)
      : like_(std::move(like)), shelf_(shelf), library_(library), r_(like_.request) {}

  PictureSettings operator()() {
    find_model();
    find_opening();
    find_networks();
    leave_pictures();
    Request alone = r_;
    alone.init.clear();
    alone.mask.clear();
    alone.controls.clear();
    engine::drop_without_picture(alone);
    const Json request = Json::parse(api::to_json(alone));
    return {.from = like_.from,
            .request = request.dump(),
            .with_pictures = what_else(Json::parse(api::to_json(r_)), request).dump(),
            .number = like_.number,
            .model = model_,
            .vae = vae_,
            .untaken = std::move(like_.untaken)};
  }

 private:
  template <class... Args> void leave(fmt::format_string<Args...> format, Args&&... args) {
    like_.untaken.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  // The members of `whole` that `part` does not have.
  static Json what_else(const Json& whole, const Json& part) {
    Json more = Json::object();
    for (const auto& [name, value] : whole.items()) {
      if (!part.contains(name) || part.at(name) != value) more[name] = value;
    }
    return more;
  }

  void find_model() {
    if (like_.model.empty()) return;
    for (const ShelfEntry& entry : shelf_.list()) {
      const bool same = entry.name == like_.model || engine::model_name(entry.path) == engine::model_name(like_.model);
      if (same && model_.empty()) model_ = entry.name;
    }
    if (model_.empty()) leave("the model {}, which is not here", excerpt(like_.model));
  }

  // How the model was opened is the server's to decide, but for its autoencoder.
  void find_opening() {
    if (like_.vae == kOwnVae) {
      vae_ = kOwnVae;
    } else if (!like_.vae.empty()) {
      vae_ = name_in(FileKind::kVae, like_.vae).value_or("");
    }
    if (!like_.config.empty()) leave("the configuration {}", excerpt(like_.config));
    if (!like_.prediction.empty()) leave("the prediction {}", excerpt(like_.prediction));
    if (!like_.dtype.empty()) leave("weights as {}", excerpt(like_.dtype));
    if (!like_.precision.empty() && like_.precision != "f32") leave("the precision {}", excerpt(like_.precision));
    if (like_.exact) leave("exact convolutions");
  }

  // None, and told of, where it is not here.
  std::optional<std::string> name_in(FileKind kind, const std::string& name) {
    if (const auto entry = library_.find(kind, name)) return entry->name;
    if (const auto entry = library_.find(kind, engine::model_name(name))) return entry->name;
    leave("the {} {}, which is not here", name_of(kind), excerpt(name));
    return std::nullopt;
  }

  // Replaces the names of files, and takes out those that are not here.
  template <class T, class Name> void keep_known(FileKind kind, std::vector<T>& all, const Name& name) {
    std::erase_if(all, [&](T& one) {
      const auto known = name_in(kind, name(one));
      if (known) name(one) = *known;
      return !known;
    });
  }

  void find_networks() {
    keep_known(FileKind::kLora, r_.loras, [](Lora& lora) -> std::string& { return lora.file; });
    keep_known(FileKind::kEmbedding, r_.embeddings, [](std::string& file) -> std::string& { return file; });
    keep_known(FileKind::kControl, r_.controls, [](Control& control) -> std::string& { return control.model; });
    if (r_.hires && r_.hires->upscaler && !engine::is_upscaler_name(*r_.hires->upscaler))
      r_.hires->upscaler = name_in(FileKind::kUpscaler, *r_.hires->upscaler);
    if (!r_.safety_checker.empty()) leave("the safety checker {}", excerpt(std::exchange(r_.safety_checker, {})));
    r_.lora_folder.clear();
    r_.embedding_folder.clear();
  }

  void leave_pictures() {
    if (!r_.init.empty()) leave("the picture that it began from, {}", excerpt(r_.init));
    if (!r_.mask.empty()) leave("the mask {}", excerpt(r_.mask));
    for (const Control& control : r_.controls)
      leave("the picture that the ControlNet {} followed{}", control.model,
            control.image.empty() ? "" : ", " + excerpt(control.image));
  }

  engine::Like like_;
  const Shelf& shelf_;
  const Library& library_;
  Request& r_;  // of like_
  std::string model_, vae_;
};

}  // namespace

PictureSettings picture_settings(std::span<const std::byte> file, const Shelf& shelf, const Library& library) {
  return Reader(engine::read_like(file, "the picture"), shelf, library)();
}

}  // namespace sumi::app
