// The sizes of a drawing that the web UI's clients ask for, and of the pictures that they send.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/server/webui_fields.h"
#include "engine/resolve.h"
#include "image/metadata.h"

namespace sumi::app {

inline constexpr int64_t kMostWebSide = engine::kMaxSide;  // pixels

// Both or none.
struct WebSize {
  std::optional<int64_t> width, height;              // as it is drawn: multiples of 8
  std::optional<int64_t> given_width, given_height;  // as the request has them
};

// A drawing from nothing may leave its size to the model, which the web UI takes for 512; one from a picture (`image`)
// is 512 then. Sides are rounded down, which `warnings` tells. Throws Error(kUsage).
WebSize web_size_of(const WebFields& fields, bool image, std::vector<std::string>& warnings);

// How many times as large the second pass draws: `hr_resize_x` and `hr_resize_y` go before `hr_scale`, and one of them
// alone keeps the proportions. Throws Error(kUsage).
double web_hires_scale(const WebFields& fields, const WebSize& size, std::vector<std::string>& warnings);

// The sides, upright, of a picture as picture_of (webui_fields.h) gives it; none where that takes decoding.
std::optional<image::PictureSize> web_picture_size(const std::string& picture);

}  // namespace sumi::app
