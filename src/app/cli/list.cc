// sumi list: what is registered.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/find_model.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "base/text_util.h"
#include "diffusion/sampling.h"
#include "models/family.h"
#include "models/loading/open.h"

namespace sumi::app {
namespace {

using Entries = std::vector<NamedHelp>;

Entries list_families() {
  Entries entries;
  for (const models::Family& family : models::list_families()) entries.push_back({family.name, family.help, {}});
  return entries;
}

// The description in the file; for a folder, or a file without one, its format.
Entries list_models() {
  Entries entries;
  const auto add = [&](const std::filesystem::path& path) {
    std::string help;
    try {
      const auto file = models::open_model_files(path);
      const auto about = file->metadata().find(models::kAboutKey);
      help = about != file->metadata().end() ? strip_control(about->second) : file->format();
    } catch (const Error& error) {
      help = in_options(error.what());
    }
    entries.push_back({path.string(), help, {}});
  };
  for (const auto& path : bundled_models()) add(path);
  for (const auto& path : own_models()) add(path);
  if (entries.empty()) note("no models found; name one with --ckpt FILE, or fetch one with `sumi pull OWNER/NAME`");
  return entries;
}

std::string as_text(const Entries& entries) {
  size_t width = 0;
  for (const auto& entry : entries) width = std::max(width, entry.name.size());
  std::string text;
  for (const auto& entry : entries) {
    std::string aliases;
    for (const std::string& alias : entry.aliases) aliases += (aliases.empty() ? "  [" : ", ") + alias;
    if (!aliases.empty()) aliases += "]";
    text += fmt::format("{:<{}}  {}{}\n", entry.name, width, entry.help, aliases);
  }
  return text;
}

std::string as_json(const Entries& entries) {
  auto json = nlohmann::ordered_json::array();
  for (const auto& entry : entries)
    json.push_back({{"name", entry.name}, {"help", entry.help}, {"aliases", entry.aliases}});
  return as_line(json);
}

std::function<std::function<int()>(CLI::App&)> listing(Entries (*entries)()) {
  return [entries](CLI::App& app) -> std::function<int()> {
    auto json = std::make_shared<bool>(false);
    app.add_flag("--json", *json, "As JSON");
    return [entries, json] {
      say(*json ? as_json(entries()) : as_text(entries()));
      return 0;
    };
  };
}

const CommandRegistration kSamplersRegistration({"list samplers", "Samplers, with their aliases", "",
                                                 listing(diffusion::list_samplers)});
const CommandRegistration kSchedulesRegistration({"list schedules", "Noise schedules", "",
                                                  listing(diffusion::list_schedules)});
const CommandRegistration kModelsRegistration({"list models", "Models found without --ckpt: bundled and pulled ones",
                                               "", listing(list_models)});
const CommandRegistration kFamiliesRegistration({"list families", "Kinds of models", "", listing(list_families)});
const CommandRegistration kBackendsRegistration({"list backends", "Backends built into this program", "",
                                                 listing(Engine::backends)});

}  // namespace
}  // namespace sumi::app
