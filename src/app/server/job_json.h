// Pictures of jobs as JSON: what a store and a queue keep of them, without their bytes.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "app/server/jobs.h"

namespace sumi::app {

nlohmann::ordered_json json_of(const std::vector<KeptPicture>& pictures);
// Throws nlohmann::json::exception for another form.
std::vector<KeptPicture> pictures_of(const nlohmann::ordered_json& json);

}  // namespace sumi::app
