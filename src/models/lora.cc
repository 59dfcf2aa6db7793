#include "models/lora.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "base/text_util.h"
#include "models/loading/name_map.h"
#include "models/loading/prefixes.h"
#include "ops/layout.h"

namespace sumi::models {
namespace {

std::string flat(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

std::string without_weight(const std::string& name) {
  return name.substr(0, name.size() - std::string_view(".weight").size());
}

// "prefix.a.b.to_q.lora_down.weight" → the module and which part of its change; nullopt for other names.
struct Part {
  std::string module;  // as kohya spells it
  char kind;           // 'd'own, 'u'p, 'a'lpha
};

std::optional<Part> part_of(const std::string& name) {
  static constexpr std::pair<std::string_view, char> kEndings[] = {
      {".lora_down.weight", 'd'}, {".lora_up.weight", 'u'},   {".alpha", 'a'},         {".lora_A.weight", 'd'},
      {".lora_B.weight", 'u'},    {".lora.down.weight", 'd'}, {".lora.up.weight", 'u'}};
  for (const auto& [ending, kind] : kEndings) {
    if (!name.ends_with(ending)) continue;
    std::string module = name.substr(0, name.size() - ending.size());
    if (module.starts_with("unet.")) module = "lora_unet_" + module.substr(5);
    if (module.starts_with("text_encoder.")) module = "lora_te_" + module.substr(13);
    return Part{flat(module), kind};
  }
  return std::nullopt;
}

struct Change {
  std::string down, up, alpha;  // tensors of the file
};

// The changes by their modules; adds the number of other tensors to `unknown`.
std::map<std::string, Change> changes_of(const io::Checkpoint& file, int64_t& unknown) {
  std::map<std::string, Change> changes;
  for (const io::TensorInfo& info : file.tensors()) {
    const bool is_other = info.name.find("hada_") != std::string::npos ||
                          info.name.find("lokr_") != std::string::npos ||
                          info.name.find("dora_scale") != std::string::npos;
    SUMI_CHECK(!is_other, "{}: is a LoHa, LoKr or DoRA file; only LoRA files can be used", file.path().string());
    const auto part = part_of(info.name);
    if (!part) {
      ++unknown;
      continue;
    }
    Change& change = changes[part->module];
    (part->kind == 'd' ? change.down : part->kind == 'u' ? change.up : change.alpha) = info.name;
  }
  return changes;
}

// The weight that a change belongs to, under each spelling of its name.
std::map<std::string, nn::Param*> weights_by_name(nn::Module* unet, nn::Module* text) {
  std::map<std::string, nn::Param*> weights;
  if (unet != nullptr) {
    const LoraNames names(*unet);
    nn::for_each_param(*unet, std::string(kUNetPrefix), [&](const std::string& name, nn::Param& param) {
      if (!name.ends_with(".weight") || !param.adaptable) return;
      weights["lora_unet_" + flat(without_weight(name.substr(kUNetPrefix.size())))] = &param;
      if (const std::string kept = names(name); !kept.empty()) weights[kept] = &param;
    });
  }
  if (text != nullptr) {
    nn::for_each_param(*text, "text_model.", [&](const std::string& name, nn::Param& param) {
      if (name.ends_with(".weight") && param.adaptable) weights["lora_te_" + flat(without_weight(name))] = &param;
    });
  }
  return weights;
}

nn::LowRank low_rank(const io::Checkpoint& file, const std::string& module, const Change& change, double weight,
                     const nn::Param& param) {
  SUMI_CHECK(!change.down.empty() && !change.up.empty(), "{}: \"{}\" has only one of the two parts of a change",
             file.path().string(), strip_control(module));
  nn::LowRank out{.down = file.tensor(change.down), .up = file.tensor(change.up)};
  const int64_t rank = out.down.rank() >= 2 ? out.down.dim(0) : 0;
  const bool fits = rank > 0 && out.up.rank() >= 2 && out.up.dim(1) == rank &&
                    out.up.numel() == param.shape[0] * rank && out.up.dim(0) == param.shape[0] &&
                    out.down.numel() * param.shape[0] == rank * param.shape.numel();
  SUMI_CHECK(fits, "{}: the change \"{}\" of {} and {} does not fit the weight {}", file.path().string(),
             strip_control(module), out.down.shape().str(), out.up.shape().str(), param.shape.str());
  SUMI_CHECK(is_activation_type(out.down.dtype()) && is_activation_type(out.up.dtype()),
             "{}: \"{}\" has the types {} and {}; a LoRA must be f32, f16 or bf16", file.path().string(),
             strip_control(module), name_of(out.down.dtype()), name_of(out.up.dtype()));
  if (param.shape.rank() == 4) out.down = out.down.reshape({rank, param.shape[1], param.shape[2], param.shape[3]});
  double alpha = static_cast<double>(rank);
  if (!change.alpha.empty()) {
    const Tensor value = file.tensor(change.alpha);
    const bool is_whole = value.dtype() == DType::kI64 || value.dtype() == DType::kI32;
    SUMI_CHECK(value.numel() == 1 && (is_whole || is_floating(value.dtype())), "{}: \"{}\" is not a single number",
               file.path().string(), strip_control(change.alpha));
    alpha = value.dtype() == DType::kI64   ? static_cast<double>(value.host<int64_t>()[0])
            : value.dtype() == DType::kI32 ? static_cast<double>(value.host<int32_t>()[0])
                                           : double{cast(value, DType::kF32).host<float>()[0]};
  }
  out.scale = static_cast<float>(weight * alpha / static_cast<double>(rank));
  SUMI_CHECK(std::isfinite(out.scale), "{}: the scale of \"{}\" is not finite", file.path().string(),
             strip_control(module));
  out.down = out.down.to(param.value.device());
  out.up = out.up.to(param.value.device());
  return out;
}

}  // namespace

LoraNames::LoraNames(nn::Module& unet) {
  std::set<std::string> names;
  nn::for_each_param(unet, "", [&](const std::string& name, nn::Param&) { names.insert(name); });
  const UNetConfig blocks = unet_of_compvis_names([&](const std::string& name) { return names.contains(name); });
  const NameMap map = unet_name_map(make_topology(blocks));
  for (const std::string& name : names) {
    if (!name.ends_with(".weight")) continue;
    const std::string full = std::string(kUNetPrefix) + name;
    if (const auto other = map.to_diffusers(full)) unet_[full] = "lora_unet_" + flat(without_weight(*other));
  }
}

std::string LoraNames::operator()(const std::string& param) const {
  if (const auto found = unet_.find(param); found != unet_.end()) return found->second;
  if (param.starts_with(kTextPrefix) && param.ends_with(".weight"))
    return "lora_te_" + flat(without_weight(param.substr(kTextComponentPrefix.size())));
  return {};
}

void add_lora(const io::Checkpoint& file, double weight, nn::Module* unet, nn::Module* text, nn::Adapters& out) {
  int64_t unknown = 0;
  const std::map<std::string, Change> changes = changes_of(file, unknown);
  const std::map<std::string, nn::Param*> weights = weights_by_name(unet, text);
  int64_t used = 0;
  for (const auto& [module, change] : changes) {
    const auto found = weights.find(module);
    if (found == weights.end()) {
      const bool is_absent =
          (module.starts_with("lora_te_") && text == nullptr) || (module.starts_with("lora_unet_") && unet == nullptr);
      unknown += is_absent ? 0 : 1;
      used += is_absent ? 1 : 0;
      continue;
    }
    out.add(*found->second, low_rank(file, module, change, weight, *found->second));
    ++used;
  }
  SUMI_CHECK(used > 0, "{}: holds no change for this model; is it a LoRA for this model family?", file.path().string());
  if (unknown > 0) warn("{}: {} entries do not match any weight of this model", file.path().string(), unknown);
}

int64_t lora_bytes(std::span<const io::Checkpoint* const> files) {
  struct Planned {
    double low_rank = 0.0, copy = 0.0;  // values: of all changes, and of the weight
  };
  // The shapes of a change give its weight's: [r,in…] and [out,r]. Changes of one weight under two spellings are
  // counted apart, which is never less.
  std::map<std::string, Planned> weights;
  for (const io::Checkpoint* file : files) {
    int64_t unknown = 0;
    for (const auto& [module, change] : changes_of(*file, unknown)) {
      if (change.down.empty() || change.up.empty()) continue;  // add_lora() refuses it
      const Shape &down = file->find(change.down)->shape, &up = file->find(change.up)->shape;
      if (down.rank() < 2 || up.rank() < 2 || down.numel() == 0) continue;
      const auto outs = static_cast<double>(up[0]), ins = static_cast<double>(down.numel() / down[0]);
      Planned& planned = weights[module];
      planned.low_rank += static_cast<double>(down.numel()) + static_cast<double>(up.numel());
      planned.copy = std::max(planned.copy, outs * ins);
    }
  }
  double values = 0.0;
  for (const auto& [module, planned] : weights) values += std::min(planned.low_rank, planned.copy);
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
