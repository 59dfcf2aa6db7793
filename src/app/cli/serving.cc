#include "app/cli/serving.h"

#include <algorithm>

#include "app/cli/arguments.h"
#include "app/cli/find_model.h"
#include "app/places.h"
#include "base/check.h"
#include "base/small_file.h"
#include "engine/memory_plan.h"

namespace sumi::app {
namespace {

constexpr int64_t kMega = 1'000'000;
constexpr int64_t kLongestSecret = 4096;

}  // namespace

std::vector<ModelOptions> ServingFlags::models() const {
  std::vector<ModelOptions> models{model.options(engine)};
  for (const auto& found : {own_models(), bundled_models()}) {
    for (const std::filesystem::path& path : found) {
      std::error_code error;
      if (std::filesystem::equivalent(path, models[0].path, error)) continue;
      models.push_back(ModelChoice{.checkpoint = path.string()}.options(engine));
    }
  }
  return models;
}

int64_t ServingFlags::model_bytes() const {
  SUMI_CHECK_KIND(kUsage, !model_memory || (*model_memory >= 1 && *model_memory <= 1 << 30),
                  "--model-memory must be from 1 to {} MB, not {}", 1 << 30, model_memory.value_or(0));
  if (model_memory) return *model_memory * kMega;
  return engine::memory_limits().available.value_or(0) / 4 * 3;
}

RedisAddress ServingFlags::queue_address() const {
  RedisAddress address = parse_redis_address(queue);
  if (!queue_password_file.empty()) address.password = read_secret(queue_password_file);
  return address;
}

void add_serving_options(CLI::App& app, ServingFlags& flags) {
  app.add_option("--queue", flags.queue,
                 "Queue in Redis or Valkey, redis://[user:password@]host[:port][/database]: `sumi work` draws its jobs")
      ->type_name("URL");
  app.add_option("--queue-password-file", flags.queue_password_file,
                 "File with the queue's password, which other programs would see in its URL")
      ->type_name("FILE");
  add_integer(app, "--model-memory", flags.model_memory,
              "MB of models that stay open, by their files; beyond, those unused for longest are closed. By default "
              "three quarters of the free memory");
  add_model_options(app, flags.model);
  add_engine_options(app, flags.engine);
  add_precision_option(app, flags.engine);
}

std::vector<std::filesystem::path> library_folders(const std::vector<ModelOptions>& models) {
  std::vector<std::filesystem::path> folders;
  const auto add = [&](const std::filesystem::path& folder) {
    if (!folder.empty() && std::find(folders.begin(), folders.end(), folder) == folders.end())
      folders.push_back(folder);
  };
  for (const ModelOptions& model : models) add(std::filesystem::absolute(model.path).parent_path());
  add(find_places().data_folder);
  return folders;
}

std::string read_secret(const std::string& file) {
  std::string text = read_small_file(file, kLongestSecret);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

}  // namespace sumi::app
