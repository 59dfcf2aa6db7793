// ControlNet as the web UI's extension is asked for it: units in `alwayson_scripts`.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sumi/request.h"

namespace sumi::app {

// Takes the units into `request.controls`, `request.guess_mode` and `request.resize`, which is one for all pictures:
// those that have the proportions of the drawing are the same by each. The size must be there already, and of an image
// to image request `init`, `resize` and what is about its mask. Throws Error(kUsage) for other scripts that are given
// arguments, and for what a unit asks that cannot be done.
void take_web_scripts(const nlohmann::json& scripts, Request& request);

// The web UI's mode of bringing a picture to a size ("Crop and Resize", 1) as a request's. Throws Error(kUsage).
std::string web_resize_of(const nlohmann::json& mode, const std::string& called);

// The preprocessors of this build: "none", and "canny" where it can find edges.
const std::vector<std::string>& web_control_modules();

}  // namespace sumi::app
