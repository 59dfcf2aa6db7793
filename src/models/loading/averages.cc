#include "models/loading/averages.h"

#include <algorithm>
#include <map>

#include "base/check.h"
#include "models/config.h"
#include "models/loading/prefixes.h"
#include "models/loading/renamed.h"
#include "models/unet/unet.h"

namespace sumi::models {
namespace {

constexpr std::string_view kModel = "model.", kAverages = "model_ema.";

// The weights' names by those of their averages. Dots cannot be put back by rule, so a network of these sizes tells its
// names; they do not depend on its heads.
std::map<std::string, std::string> weights_by_average(const io::Checkpoint& file) {
  UNetConfig config = detect_unet(file);
  config.num_heads = 1;
  UNet network(config);
  std::map<std::string, std::string> names;
  nn::for_each_param(network, std::string(kUNetPrefix),
                     [&](const std::string& name, nn::Param&) { names.emplace(average_name(name), name); });
  return names;
}

}  // namespace

std::string average_name(const std::string& name) {
  if (!name.starts_with(kModel)) return {};
  std::string flat = name.substr(kModel.size());
  std::erase(flat, '.');
  return std::string(kAverages) + flat;
}

std::unique_ptr<io::Checkpoint> with_averages_as_weights(std::unique_ptr<io::Checkpoint> file) {
  bool weights = false, averages = false;
  for (const io::TensorInfo& info : file->tensors()) {
    weights |= info.name.starts_with(kUNetPrefix);
    averages |= info.name.starts_with("model_ema.diffusion_model");
  }
  if (weights || !averages) return file;
  std::map<std::string, std::string> names;
  try {
    names = weights_by_average(*file);
  } catch (const Error&) {
    return file;  // whoever needs the configuration reports what is wrong
  }
  return renamed(std::move(file), [&](const std::string& name) {
    const auto found = names.find(name);
    return found == names.end() ? name : found->second;
  });
}

}  // namespace sumi::models
