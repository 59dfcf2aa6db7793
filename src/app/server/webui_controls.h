// ControlNet as the web UI's extension is asked for it: units in `alwayson_scripts`.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "sumi/request.h"

namespace sumi::app {

// Takes the units into `request.controls`, `request.guess_mode` and, in an image to image request that leaves it open,
// `request.resize`. `request.init` and the size must be there already. Throws Error(kUsage) for other scripts that are
// given arguments, and for what a unit asks that cannot be done.
void take_web_scripts(const nlohmann::json& scripts, Request& request);

// The web UI's mode of bringing a picture to a size ("Crop and Resize", 1) as a request's. Throws Error(kUsage).
std::string web_resize_of(const nlohmann::json& mode, const std::string& called);

}  // namespace sumi::app
