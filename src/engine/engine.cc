// The engine's handle: its threads, and the models by name.
#include <algorithm>

#include "base/check.h"
#include "base/text_util.h"
#include "engine/impl.h"
#include "image/metadata.h"
#include "image/png.h"
#include "io/mapped_file.h"

namespace sumi {
namespace engine {
namespace {

int threads_of(const EngineOptions& options) {
  SUMI_CHECK_KIND(kUsage, options.threads >= 0 && options.threads <= 1024, "`threads` must be from 1 to 1024, not {}",
                  options.threads);
  return options.threads > 0 ? static_cast<int>(options.threads) : available_cores();
}

bool is_intact(const io::Checkpoint& file) {
  try {
    file.check_intact();
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

Shared::Shared(const EngineOptions& o) : options(o), pool(threads_of(o), o.pin_threads), budget(o.memory_budget) {
  SUMI_CHECK_KIND(kUsage, o.memory_budget >= 0, "`memory_budget` must be 0 or more, not {}", o.memory_budget);
  if (o.catch_truncated_files) io::catch_truncated_files();
}

std::shared_ptr<const io::Checkpoint> Shared::open_lora(const std::string& file) {
  const std::lock_guard lock(mutex_);
  std::erase_if(loras_, [](const auto& entry) { return entry.second.expired(); });
  const auto known = loras_.find(file);
  if (known != loras_.end()) {
    if (auto open = known->second.lock(); open && is_intact(*open)) return open;
  }
  std::shared_ptr<const io::Checkpoint> open = io::open_checkpoint(file);
  loras_[file] = open;
  return open;
}

}  // namespace engine

namespace {

constexpr size_t kMostParameters = 1 << 20;

}  // namespace

Engine::Engine(const EngineOptions& options) : impl_(std::make_shared<Impl>(options)) {}

// A model is opened outside the lock, which only guards the names.
Model Engine::open(const ModelOptions& options) {
  const auto taken = [&](const std::string& name) {
    const auto found = impl_->models.find(name);
    return found != impl_->models.end() && !found->second.expired();
  };
  const auto check_name = [&] {
    SUMI_CHECK_KIND(kUsage, options.name.empty() || !taken(options.name),
                    "a model named {} is open already; close it, or choose another `name`", options.name);
  };
  {
    const std::lock_guard lock(impl_->mutex);
    check_name();
  }
  auto model = std::make_shared<Model::Impl>(impl_->shared, options, options.name);
  const std::lock_guard lock(impl_->mutex);
  check_name();
  if (model->name.empty()) {
    model->name = options.path;
    for (int i = 2; taken(model->name); ++i) model->name = fmt::format("{} ({})", options.path, i);
  }
  std::erase_if(impl_->models, [](const auto& entry) { return entry.second.expired(); });
  impl_->models[model->name] = model;
  return Model(std::move(model));
}

Model Engine::model(const std::string& name) const {
  {
    const std::lock_guard lock(impl_->mutex);
    const auto found = impl_->models.find(name);
    if (found != impl_->models.end()) {
      if (auto model = found->second.lock()) return Model(std::move(model));
    }
  }
  std::string names;
  for (const std::string& one : models()) names += (names.empty() ? "" : ", ") + one;
  fail(ErrorKind::kUsage, "no model named {} is open; open are: {}", name, names.empty() ? "none" : names);
}

std::vector<std::string> Engine::models() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<std::string> names;
  for (const auto& [name, model] : impl_->models) {
    if (!model.expired()) names.push_back(name);
  }
  return names;
}

void Engine::close(const std::string& name) {
  const std::lock_guard lock(impl_->mutex);
  impl_->models.erase(name);
}

std::vector<NamedHelp> Engine::samplers() { return diffusion::list_samplers(); }
std::vector<NamedHelp> Engine::schedules() { return diffusion::list_schedules(); }

std::vector<NamedHelp> Engine::backends() {
  std::vector<NamedHelp> out;
  for (const Device device : engine::available_devices()) {
    const char* help = device == Device::kRef   ? "plain loops with double accumulation: slow, the specification"
                       : device == Device::kCpu ? "vector kernels for this processor"
                                                : "";
    out.push_back({std::string(name_of(device)), help, {}});
  }
  return out;
}

std::string Engine::version() { return SUMI_VERSION; }

void write_png(const std::string& path, const Image& image, const std::string& parameters) {
  SUMI_CHECK_KIND(kUsage, !path.empty() && path.find('\0') == std::string::npos, "\"{}\" is no path of a picture",
                  excerpt(path));
  SUMI_CHECK_KIND(kUsage, !find_invalid_utf8(parameters) && parameters.size() <= kMostParameters,
                  "{}: the parameters are not UTF-8, or more than {} bytes", path, kMostParameters);
  SUMI_CHECK_KIND(kUsage, image.width > 0 && image.height > 0 && image.width <= 65535 && image.height <= 65535,
                  "{}: a picture of {}x{} pixels cannot be written", path, image.width, image.height);
  SUMI_CHECK_KIND(kUsage, image.channels == 3, "{}: a picture has 3 channels, not {}", path, image.channels);
  SUMI_CHECK_KIND(kUsage, image.pixels.size() == static_cast<size_t>(image.width * image.height * image.channels),
                  "{}: {} values are not a picture of {}x{} pixels and {} channels", path, image.pixels.size(),
                  image.width, image.height, image.channels);
  std::vector<image::PngText> texts;
  if (!parameters.empty()) texts.push_back({image::kParametersKey, parameters});
  image::write_png(path, image, texts);
}

}  // namespace sumi
