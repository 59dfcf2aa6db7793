// Names of the same parameter in a diffusers component and in a CompVis (LDM) checkpoint, both ways.
//
// A component's table is written out from what it is made of: how many residual blocks each level has, and what changes
// the resolution between levels. That is read off the names that are present, so any configuration is covered.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/shape.h"

namespace sumi::io {

// One module under its two names; its parameters (".weight", ".bias", or whole subtrees that are named alike) follow
// it.
struct Rename {
  std::string compvis;
  std::string diffusers;
  bool conv_1x1 = false;  // a 1x1 convolution [out,in,1,1] in CompVis that diffusers may keep as a matrix [out,in]
};

class NameMap {
 public:
  // No module of the list may contain another, on either side.
  explicit NameMap(const std::vector<Rename>& renames);

  // The parameter's other name; nothing where no module of the table holds it. Each is the other's inverse.
  std::optional<std::string> to_compvis(std::string_view diffusers_name) const;
  std::optional<std::string> to_diffusers(std::string_view compvis_name) const;
  // The shape that the parameter `compvis_name` has in a CompVis checkpoint, `shape` being that of the component's
  // file.
  Shape compvis_shape(std::string_view compvis_name, const Shape& shape) const;

 private:
  struct Target {
    std::string module;
    bool conv_1x1;
  };
  using Table = std::unordered_map<std::string, Target>;
  static const Target* find(const Table& table, std::string_view name, std::string_view* rest);

  Table to_compvis_, to_diffusers_;
};

// Whether a tensor of this name is there. Names are the component's own: without `model.diffusion_model.` and the like.
using HasTensor = std::function<bool(const std::string& name)>;

// One level of a UNet on its way down or up.
struct UNetStage {
  enum class Resampler { kNone, kConv, kResBlock };
  int blocks = 0;                          // residual blocks
  bool attends = false;                    // with attention after each
  Resampler resampler = Resampler::kNone;  // what leads to the next level
};

// In the order the data flows: down from the finest level, up from the coarsest.
struct UNetStages {
  std::vector<UNetStage> down, up;
};
UNetStages unet_stages_of_diffusers(const HasTensor& has);
UNetStages unet_stages_of_compvis(const HasTensor& has);

// Residual blocks of each level of an autoencoder, in CompVis order: the finest level first on both sides.
struct VaeLevels {
  std::vector<int> encoder, decoder;
  bool old_attention = false;  // diffusers before 0.18: query, key, value, proj_attn; now to_q, to_k, to_v, to_out.0
};
VaeLevels vae_levels_of_diffusers(const HasTensor& has);
VaeLevels vae_levels_of_compvis(const HasTensor& has);

// CompVis names come in full, `model.diffusion_model.` and the other prefixes included.
NameMap unet_name_map(const UNetStages& stages);
NameMap vae_name_map(const VaeLevels& levels);
NameMap text_name_map();

// Where each component lies in a CompVis checkpoint.
inline constexpr std::string_view kUNetPrefix = "model.diffusion_model.";
inline constexpr std::string_view kVaePrefix = "first_stage_model.";
inline constexpr std::string_view kTextPrefix = "cond_stage_model.transformer.";

}  // namespace sumi::io
