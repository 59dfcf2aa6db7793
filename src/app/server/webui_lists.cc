// The lists of what there is, and the settings of a picture. Declared in webui_info.h.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

#include "app/server/http_text.h"
#include "app/server/webui_controls.h"
#include "app/server/webui_info.h"
#include "diffusion/sampling.h"
#include "engine/given.h"
#include "engine/memory_plan.h"
#include "engine/web_words.h"
#include "image/file_texts.h"
#include "image/metadata.h"

namespace sumi::app {
namespace {

using Json = nlohmann::json;

std::string file_name(const std::filesystem::path& path) {
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

bool is_latent(const engine::WebWord& word) { return word.own.starts_with("latent"); }

// The members of GenerationParameters as the web UI's dictionary has them: texts under the keys of the text.
class Texts {
 public:
  void operator()(const std::string& key, const std::string& value) { add(key, value); }
  void operator()(const std::string& key, const std::optional<std::string>& value) { add(key, value.value_or("")); }
  void operator()(const std::string& key, bool value) { add(key, value ? "True" : ""); }
  template <class T>
  requires std::is_arithmetic_v<T>
  void operator()(const std::string& key, const std::optional<T>& value) {
    if (value) add(key, fmt::format("{}", *value));
  }
  void operator()(const std::string& key, const std::optional<image::PictureSize>& value) {
    if (!value) return;
    add(key + "-1", std::to_string(value->width));
    add(key + "-2", std::to_string(value->height));
  }
  void operator()(const std::string& key, const std::vector<std::string>& values) {
    for (size_t i = 0; i < values.size(); ++i) add(fmt::format("{} {}", key, i), values[i]);
  }
  void operator()(const std::string& key, const std::vector<image::ControlParameters>& units) {
    for (size_t i = 0; i < units.size(); ++i) {
      Texts unit;
      image::visit_control(units[i], unit);
      std::string text;
      for (const auto& [name, value] : unit.json.items())
        text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", name, value.get_ref<const std::string&>());
      add(fmt::format("{} {}", key, i), text);
    }
  }
  void add(const std::string& key, const std::string& value) {
    if (!value.empty()) json[key] = value;
  }

  Json json = Json::object();
};

Json named_files(const std::vector<LibraryEntry>& entries, const char* name, const char* file) {
  Json list = Json::array();
  for (const LibraryEntry& entry : entries) list.push_back({{name, entry.name}, {file, file_name(entry.path)}});
  return list;
}

}  // namespace

Json web_png_info(const std::string& picture) {
  const engine::GivenBytes given = engine::read_given(picture, "`image`");
  const std::vector<image::PngText> texts = image::read_texts(given.bytes, given.shown);
  const std::string* info = image::parameters_in(texts);
  Json items = Json::object();
  for (const auto& [key, text] : texts) {
    if (key != image::kParametersKey) items[key] = text;
  }
  Texts parameters;
  if (info != nullptr) {
    const image::GenerationParameters read = image::parse_parameters(*info);
    parameters.json["Prompt"] = read.prompt;
    parameters.json["Negative prompt"] = read.negative_prompt;
    for (const auto& [key, value] : read.other) parameters.add(key, value);
    image::visit_parameters(read, parameters);
  }
  return {{"info", info == nullptr ? "" : *info}, {"items", std::move(items)}, {"parameters", parameters.json}};
}

Json web_samplers() {
  Json list = Json::array();
  for (const NamedHelp& sampler : diffusion::list_samplers()) {
    const std::string automatic = diffusion::resolve_schedule("Automatic", sampler.name),
                      name = diffusion::web_name_of_sampler(sampler.name);
    std::vector<std::string> aliases{sampler.name};
    for (const std::string& alias : sampler.aliases) {
      if (alias != name) aliases.push_back(alias);
    }
    list.push_back(
        {{"name", name},
         {"aliases", aliases},
         {"options", {{"scheduler", lower_case(diffusion::web_name_of_schedule(automatic, sampler.name))}}}});
  }
  return list;
}

// A schedule's web name depends on the sampler: these are those with samplers on noise levels.
Json web_schedulers() {
  constexpr double kKarrasRho = 7.0;
  const auto entry = [](const std::string& label, double rho) -> Json {
    return {{"name", lower_case(label)},
            {"label", label},
            {"aliases", nullptr},
            {"default_rho", rho},
            {"need_inner_model", label == "Uniform"}};
  };
  Json list = Json::array({entry("Automatic", -1.0)});
  for (const NamedHelp& schedule : diffusion::list_schedules())
    list.push_back(
        entry(diffusion::web_name_of_schedule(schedule.name, "euler"), schedule.name == "karras" ? kKarrasRho : -1.0));
  return list;
}

std::string web_schedule_label(const std::string& name) {
  if (name.empty()) return "Automatic";
  return lower_case(name) == "uniform" ? "Uniform" : name;
}

Json web_latent_modes() {
  Json list = Json::array();
  for (const engine::WebWord& word : engine::kWebUpscalers) {
    if (is_latent(word)) list.push_back({{"name", word.web}});
  }
  return list;
}

std::string web_upscaler(const std::string& name) {
  return name == "None" ? "lanczos" : engine::own_word(engine::kWebUpscalers, name);
}

Json web_upscalers(const Library& library) {
  // Filters have no scale of their own; a model's is in its file, which is not read for this.
  const auto entry = [](std::string_view name, Json file) -> Json {
    return {{"name", name}, {"model_name", nullptr}, {"model_path", file}, {"model_url", nullptr}, {"scale", nullptr}};
  };
  Json list = Json::array({entry("None", nullptr)});
  for (const engine::WebWord& word : engine::kWebUpscalers) {
    if (!is_latent(word)) list.push_back(entry(word.web, nullptr));
  }
  for (const LibraryEntry& file : library.list(FileKind::kUpscaler))
    list.push_back(entry(file.name, file_name(file.path)));
  return list;
}

Json web_models(const Shelf& shelf) {
  Json list = Json::array();
  for (const ShelfEntry& model : shelf.list())
    list.push_back({{"title", model.name},
                    {"model_name", model.name},
                    {"hash", nullptr},
                    {"sha256", nullptr},
                    {"filename", file_name(model.path)},
                    {"config", nullptr}});
  return list;
}

Json web_vaes(const Library& library) { return named_files(library.list(FileKind::kVae), "model_name", "filename"); }

Json web_loras(const Library& library) {
  Json list = named_files(library.list(FileKind::kLora), "name", "path");
  for (Json& lora : list) {
    lora["alias"] = lora["name"];
    lora["metadata"] = Json::object();
  }
  return list;
}

// Without reading them: their shapes are known once a prompt names them.
Json web_embeddings(const Library& library) {
  Json loaded = Json::object();
  for (const LibraryEntry& file : library.list(FileKind::kEmbedding))
    loaded[file.name] = {{"step", nullptr},
                         {"sd_checkpoint", nullptr},
                         {"sd_checkpoint_name", nullptr},
                         {"shape", nullptr},
                         {"vectors", nullptr}};
  return {{"loaded", std::move(loaded)}, {"skipped", Json::object()}};
}

Json web_control_models(const Library& library) {
  Json names = Json::array();
  for (const LibraryEntry& file : library.list(FileKind::kControl)) names.push_back(file.name);
  return names;
}

// A type has the preprocessor of its name, and the models that have it in theirs.
Json web_control_types(const Library& library) {
  Json types = Json::object();
  for (const std::string& module : web_control_modules()) {
    const bool all = module == "none";
    Json models = Json::array({"None"});
    for (Json& name : web_control_models(library)) {
      if (all || lower_case(name.get_ref<const std::string&>()).find(module) != std::string::npos)
        models.push_back(std::move(name));
    }
    const Json chosen = all || models.size() == 1 ? models.front() : models[1];
    types[all ? "All" : "Canny"] = {{"module_list", all ? Json(web_control_modules()) : Json::array({"none", module})},
                                    {"model_list", std::move(models)},
                                    {"default_option", module},
                                    {"default_model", chosen}};
  }
  return {{"control_types", std::move(types)}};
}

Json web_memory() {
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  const double total = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * page;
  const auto used = static_cast<double>(engine::resident_bytes());
  return {{"ram", {{"free", total - used}, {"used", used}, {"total", total}}}, {"cuda", {{"error", "unavailable"}}}};
}

}  // namespace sumi::app
