// A block of a UNet as its topology plans it: the layers that the UNet and its control networks are made of.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/config.h"
#include "models/unet/layer.h"
#include "models/unet/topology.h"

namespace sumi::models {

using UNetBlock = std::vector<std::unique_ptr<UNetLayer>>;  // LDM `TimestepEmbedSequential`

UNetBlock make_block(const UNetConfig& config, const BlockPlan& plan);
// Under `name`.0, `name`.1, ….
void visit_block(nn::ParamVisitor& v, const std::string& name, UNetBlock& block);

}  // namespace sumi::models
