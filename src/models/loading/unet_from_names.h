// The blocks of a UNet, read from the names of its tensors, in CompVis and in diffusers layout.
//
// Names determine the levels, the residual blocks of each, the depth of their transformers and whether residual blocks
// resample. They do not determine widths, heads, or the groups of norms.
#pragma once

#include <functional>
#include <string>

#include "models/config.h"

namespace sumi::models {

// Whether a tensor of this name exists. Names are the UNet's own: without `model.diffusion_model.`.
using HasTensor = std::function<bool(const std::string& name)>;

// Sets num_res_blocks and transformer_depth (one number per level), middle_depth and resblock_updown, of CompVis names
// also use_spatial_transformer (diffusers' UNets have no other); channel_mult is 1 for each level. At least one level,
// whatever the names. If blocks of one level differ, the deepest transformer counts, so that binding lists what the
// others lack.
UNetConfig unet_of_compvis_names(const HasTensor& has);
UNetConfig unet_of_diffusers_names(const HasTensor& has);

}  // namespace sumi::models
