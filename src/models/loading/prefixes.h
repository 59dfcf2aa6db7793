// The prefix of each network's parameter names in a CompVis checkpoint.
#pragma once

#include <string_view>

namespace sumi::models {

inline constexpr std::string_view kUNetPrefix = "model.diffusion_model.";
inline constexpr std::string_view kVaePrefix = "first_stage_model.";
inline constexpr std::string_view kTextPrefix = "cond_stage_model.transformer.text_model.";
// The same for a diffusers folder's component text_encoder, whose own names begin with "text_model.".
inline constexpr std::string_view kTextComponentPrefix = "cond_stage_model.transformer.";
// Of everything that conditions the UNet, the text encoder included.
inline constexpr std::string_view kConditionerPrefix = "cond_stage_model.";

}  // namespace sumi::models
