// Names of the same parameter in a diffusers component and in a CompVis (LDM) checkpoint, both ways.
//
// A component's table is generated from its structure: the UNet's from its topology, the autoencoder's from the
// residual blocks of each level. Both can be read from the names in a file, so every configuration is covered.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/shape.h"
#include "models/loading/unet_from_names.h"
#include "models/unet/topology.h"

namespace sumi::models {

// One module under its two names; its parameters (".weight", ".bias", or whole subtrees with the same names) follow it.
struct Rename {
  std::string compvis;
  std::string diffusers;
  bool conv_1x1 = false;  // a 1x1 convolution [out,in,1,1] in CompVis that diffusers may keep as a matrix [out,in]
};

class NameMap {
 public:
  // No module of the list may contain another, on either side.
  explicit NameMap(const std::vector<Rename>& renames);

  // The parameter's other name; nullopt if no module of the table holds it. The two functions are inverses.
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

// Residual blocks of each level of an autoencoder, in CompVis order: the finest level first on both sides.
struct VaeLevels {
  std::vector<int> encoder, decoder;
  bool old_attention = false;  // diffusers before 0.18: query, key, value, proj_attn; now to_q, to_k, to_v, to_out.0
};
VaeLevels vae_levels_of_diffusers(const HasTensor& has);
VaeLevels vae_levels_of_compvis(const HasTensor& has);

// CompVis names come in full, with the prefixes of loading/prefixes.h.
NameMap unet_name_map(const UNetTopology& topology);
NameMap vae_name_map(const VaeLevels& levels);
NameMap text_name_map();

}  // namespace sumi::models
