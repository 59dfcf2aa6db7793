#include "models/lora.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "base/log.h"
#include "base/text_util.h"
#include "models/loading/prefixes.h"
#include "models/lora/changes.h"
#include "models/lora/file.h"
#include "ops/layout.h"

namespace sumi::models {
namespace {

using lora::AdapterFile;
using lora::Group;
using lora::kUNet;
using lora::Layer;
using lora::LayerNames;
using lora::Place;

constexpr std::string_view kWeight = ".weight", kBias = ".bias";

std::string shown(const std::string& name) { return "\"" + shorten(strip_control(name), 120) + "\""; }

// Two names that stand for many.
std::string two_of(const std::vector<std::string>& names) {
  return names.size() == 1 ? shown(names[0]) : shown(names.front()) + " and " + shown(names.back());
}

std::set<std::string> names_of(nn::Module* module) {
  std::set<std::string> names;
  if (module == nullptr) return names;
  nn::for_each_param(*module, "", [&](const std::string& name, nn::Param&) { names.insert(name); });
  return names;
}

// A model's layers that can be changed, under each spelling of their names.
class Layers {
 public:
  explicit Layers(const LoraTargets& targets) : targets_(targets) {
    const LayerNames names(names_of(targets.unet));
    if (targets.unet != nullptr) add(kUNet, *targets.unet, names);
    for (size_t i = 0; i < targets.texts.size(); ++i) add(static_cast<int>(i) + 1, *targets.texts[i], names);
  }

  const Layer* find(const std::vector<Place>& places, int* network) const {
    for (const Place& place : places) {
      const auto found = layers_.find({place.network, place.layer});
      if (found == layers_.end()) continue;
      *network = place.network;
      return &found->second;
    }
    return nullptr;
  }

  // Whether the places are of a network that is not loaded.
  bool is_absent(const std::vector<Place>& places) const {
    if (places.size() != 1 || !places[0].certain) return false;
    return places[0].network == kUNet ? targets_.unet == nullptr : targets_.texts.empty();
  }

 private:
  void add(int network, nn::Module& module, const LayerNames& names) {
    std::map<std::string, Layer> own;
    nn::for_each_adaptable(module, "", [&](const std::string& name, nn::Param& param) {
      if (name.ends_with(kWeight)) own[name.substr(0, name.size() - kWeight.size())].weight = &param;
      if (name.ends_with(kBias)) own[name.substr(0, name.size() - kBias.size())].bias = &param;
    });
    for (const auto& [name, layer] : own) {
      if (layer.weight == nullptr) continue;
      for (const std::string& spelling : names(network, name)) layers_[{network, spelling}] = layer;
    }
  }

  const LoraTargets& targets_;
  std::map<std::pair<int, std::string>, Layer> layers_;
};

// The layer that a tensor of no known ending belongs to: its name less one dot after the other.
bool is_of_known_layer(const Layers& layers, const std::string& name) {
  constexpr size_t kMaxNameBytes = 512;
  if (name.size() > kMaxNameBytes) return false;
  int network = 0;
  for (size_t end = name.rfind('.'); end != std::string::npos && end > 0; end = name.rfind('.', end - 1)) {
    if (layers.find(lora::places_of(name.substr(0, end)), &network) != nullptr) return true;
  }
  return false;
}

void check_others(const AdapterFile& file, const Layers& layers) {
  for (const std::string& name : file.others()) {
    if (!is_of_known_layer(layers, name)) continue;
    SUMI_CHECK(!file.groups().empty(), "{}: holds whole weights such as {}, not changes of them; give it as the model",
               file.path(), shown(name));
    fail(ErrorKind::kData, "{}: {} is an unknown part of the change of a layer, so the layer would be changed wrongly",
         file.path(), shown(name));
  }
}

}  // namespace

LoraNames::LoraNames(nn::Module& unet) : names_(names_of(&unet)) {}

std::string LoraNames::operator()(const std::string& param) const {
  if (!param.ends_with(kWeight)) return {};
  const auto layer_in = [&](std::string_view prefix) {
    return param.substr(prefix.size(), param.size() - prefix.size() - kWeight.size());
  };
  if (param.starts_with(kUNetPrefix)) return names_.kohya(kUNet, layer_in(kUNetPrefix));
  if (param.starts_with(kTextPrefix)) return names_.kohya(1, layer_in(kTextPrefix));
  return {};
}

void add_lora(const io::Checkpoint& checkpoint, const LoraWeights& weights, const LoraTargets& targets,
              nn::Adapters& out) {
  const AdapterFile file(checkpoint);
  const Layers layers(targets);
  check_others(file, layers);
  std::vector<std::string> unknown = file.others(), empty;
  int64_t used = 0;
  for (const Group& group : file.groups()) {
    int network = kUNet;
    const Layer* layer = layers.find(group.places, &network);
    if (layer == nullptr) {
      if (layers.is_absent(group.places)) {
        ++used;
        continue;
      }
      for (const auto& [part, info] : group.parts) unknown.push_back(info.name);
    } else if (group.kind() == lora::Kind::kNothing) {
      empty.push_back(group.module);
    } else {
      lora::add_change(file, group, network == kUNet ? weights.unet : weights.text, *layer, out);
      ++used;
    }
  }
  SUMI_CHECK(used > 0 || !unknown.empty() || !empty.empty(), "{}: holds no change of weights", file.path());
  SUMI_CHECK(used > 0 || unknown.empty(), "{}: holds no change for this model: it has no layers such as {}{}",
             file.path(), two_of(unknown), lora::hint(unknown));
  SUMI_CHECK(used > 0, "{}: holds no change, only an alpha of {}", file.path(), two_of(empty));
  if (!unknown.empty())
    warn("{}: {} of its tensors match no layer of this model and are not applied, such as {}{}", file.path(),
         unknown.size(), two_of(unknown), lora::hint(unknown));
  if (!empty.empty()) warn("{}: an alpha without a change is not applied: {}", file.path(), two_of(empty));
  if (!file.bundled().empty())
    warn("{}: the embeddings bundled in it are not applied: {}", file.path(), two_of(file.bundled()));
}

namespace {

// The numbers of values of a model's weights, under each spelling of their layers' names.
std::map<std::pair<int, std::string>, int64_t> sizes_of(const io::Checkpoint& model) {
  std::map<std::pair<int, std::string>, int64_t> sizes;
  std::set<std::string> unet;
  for (const io::TensorInfo& info : model.tensors()) {
    if (info.name.starts_with(kUNetPrefix)) unet.insert(info.name.substr(kUNetPrefix.size()));
  }
  const LayerNames names(unet);
  for (const io::TensorInfo& info : model.tensors()) {
    const bool of_unet = info.name.starts_with(kUNetPrefix);
    if (!info.name.ends_with(kWeight) || (!of_unet && !info.name.starts_with(kTextPrefix))) continue;
    const size_t begin = (of_unet ? kUNetPrefix : kTextPrefix).size();
    const std::string layer = info.name.substr(begin, info.name.size() - begin - kWeight.size());
    const int network = of_unet ? kUNet : 1;
    for (const std::string& spelling : names(network, layer)) sizes[{network, spelling}] = info.shape.numel();
  }
  return sizes;
}

}  // namespace

int64_t lora_bytes(std::span<const io::Checkpoint* const> files, const io::Checkpoint* model) {
  // Changes of one weight under two spellings are counted apart, which is never less.
  std::map<std::string, lora::Kept> weights;
  std::map<std::pair<int, std::string>, int64_t> sizes;
  for (const io::Checkpoint* checkpoint : files) {
    const AdapterFile file(*checkpoint);
    for (const Group& group : file.groups()) {
      if (model != nullptr && sizes.empty() && group.kind() == lora::Kind::kIa3) sizes = sizes_of(*model);
      int64_t size = 0;
      for (const Place& place : group.places) {
        if (const auto found = sizes.find({place.network, place.layer}); found != sizes.end()) size = found->second;
      }
      const lora::Kept kept = lora::values_kept(group, size);
      lora::Kept& sum = weights[group.module];
      sum.low_rank += kept.low_rank;
      sum.dense = std::max(sum.dense, kept.dense);
      sum.bias = std::max(sum.bias, kept.bias);
      sum.merges |= kept.merges;
    }
  }
  double values = 0.0;
  for (const auto& [module, kept] : weights)
    values += (kept.merges || kept.low_rank >= kept.dense ? kept.dense : kept.low_rank) + kept.bias;
  constexpr double kMost = 1e16;  // no machine has as much, and sums of it do not overflow
  return static_cast<int64_t>(std::min(kMost, values * static_cast<double>(sizeof(float))));
}

void begin_lora(nn::Module& module, int64_t rank, double alpha, Generator& generator, Device device,
                nn::Adapters& out) {
  nn::for_each_param(module, "", [&](const std::string& name, nn::Param& param) {
    const bool is_matrix =
        name.ends_with(".weight") && param.shape.rank() >= 2 && param.shape.numel() == param.shape[0] * param.shape[1];
    const bool attends = name.find("attn") != std::string::npos || name.find(".ff.") != std::string::npos ||
                         name.find("proj_in") != std::string::npos || name.find("proj_out") != std::string::npos ||
                         name.find("mlp.fc") != std::string::npos;
    if (!is_matrix || !attends) return;
    const float bound = 1.0f / std::sqrt(static_cast<float>(param.shape[1]));
    Tensor down = Tensor::empty({rank, param.shape[1]});
    const HostEdit<float> values(down);
    generator.rand(values.span());
    for (float& value : values) value = bound * (2.0f * value - 1.0f);
    nn::LowRank change{.down = down.to(device),
                       .up = Tensor::zeros({param.shape[0], rank}, DType::kF32, device),
                       .scale = static_cast<float>(alpha / static_cast<double>(rank))};
    change.down.set_requires_grad(true);
    change.up.set_requires_grad(true);
    out.add(param, std::move(change));
  });
}

}  // namespace sumi::models
