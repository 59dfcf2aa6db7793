// An upscaling, read and decided: what is enlarged, to which size, by what.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <vector>

#include "app/server/jobs.h"
#include "engine/enlarge.h"

namespace sumi::app {

struct Enlargement {
  std::vector<std::byte> file = {};  // of the picture
  Image picture = {};
  std::optional<models::Upscaler> network = {};
  image::Filter filter = image::Filter::kLanczos;  // behind the network, or alone
  engine::PictureSize largest = {};                // on the way
  engine::PictureSize target = {};                 // before it is cut
  engine::PictureSize result = {};
};

// Throws Error(kUsage) for what is wrong with the fields, as far as no picture is needed.
void check_upscaling(const Upscaling& upscaling);

// Reads the picture and opens the network (an empty path: none). Throws Error for what is no picture, no network, or
// too large.
Enlargement prepare_enlargement(const Upscaling& upscaling, const std::filesystem::path& network);

}  // namespace sumi::app
