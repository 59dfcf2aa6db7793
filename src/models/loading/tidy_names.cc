#include "models/loading/tidy_names.h"

#include <algorithm>
#include <string_view>

#include "models/loading/prefixes.h"
#include "models/loading/renamed.h"

namespace sumi::models {
namespace {

constexpr std::string_view kCompiled = "_orig_mod.", kParallel = "module.";
constexpr size_t kMaxNameBytes = 512;  // names have about 80

// Without torch.compile's part, which stands before any module's name.
std::string without_compiled(std::string name) {
  for (size_t at = name.find(kCompiled); at != std::string::npos; at = name.find(kCompiled, at)) {
    if (at == 0 || name[at - 1] == '.') {
      name.erase(at, kCompiled.size());
    } else {
      at += kCompiled.size();
    }
  }
  return name;
}

std::string without_parallel(std::string name) {
  static constexpr std::string_view kBefore[] = {"",         "model.",           kUNetPrefix,
                                                 kVaePrefix, kConditionerPrefix, kTextComponentPrefix};
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view before : kBefore) {
      if (!name.starts_with(before) || !std::string_view(name).substr(before.size()).starts_with(kParallel)) continue;
      name.erase(before.size(), kParallel.size());
      again = true;
    }
  }
  return name;
}

bool begins_text_model(std::string_view name) {
  return name.starts_with("embeddings.") || name.starts_with("encoder.layers.") ||
         name.starts_with("final_layer_norm.");
}

bool begins_unet(std::string_view name) {
  static constexpr std::string_view kBegins[] = {"time_embed.",    "input_blocks.", "middle_block.",
                                                 "output_blocks.", "out.0.",        "out.2."};
  return std::any_of(std::begin(kBegins), std::end(kBegins),
                     [&](std::string_view begin) { return name.starts_with(begin); });
}

}  // namespace

std::string tidy_name(const std::string& name) {
  if (name.size() > kMaxNameBytes) return name;
  std::string tidy = without_parallel(without_compiled(name));
  if (tidy.starts_with("diffusion_model.") || begins_unet(tidy))
    tidy.insert(0, begins_unet(tidy) ? kUNetPrefix : std::string_view("model."));
  if (tidy.starts_with(kTextComponentPrefix) &&
      begins_text_model(std::string_view(tidy).substr(kTextComponentPrefix.size())))
    tidy.insert(kTextComponentPrefix.size(), "text_model.");
  return tidy;
}

std::string tidy_component_name(const std::string& name, bool text) {
  if (name.size() > kMaxNameBytes) return name;
  std::string tidy = without_compiled(name);
  while (tidy.starts_with(kParallel)) tidy.erase(0, kParallel.size());
  if (text && begins_text_model(tidy)) tidy.insert(0, "text_model.");
  return tidy;
}

std::unique_ptr<io::Checkpoint> with_tidy_names(std::unique_ptr<io::Checkpoint> file) {
  const bool tidy = std::all_of(file->tensors().begin(), file->tensors().end(),
                                [](const io::TensorInfo& info) { return tidy_name(info.name) == info.name; });
  if (tidy) return file;
  return renamed(std::move(file), tidy_name, SameName::kKeepOwn);
}

}  // namespace sumi::models
