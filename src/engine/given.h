// Pictures that a request gives: read and decoded, as far as no model is needed.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "image/image.h"
#include "sumi/request.h"

namespace sumi::engine {

struct GivenPicture {
  image::Image image;  // RGB; a mask has one channel
  Source source;
};

struct GivenPictures {
  std::optional<GivenPicture> init, mask;
  std::vector<GivenPicture> hints;  // of the controls, in their order
};

// The hash of a file's bytes that Source::hash has.
std::string hash_of(std::span<const std::byte> bytes);

// A file's bytes, or those of a "data:…;base64,…". `field` is what messages call it: "`init`". Throws Error(kNoInput)
// for a file that cannot be read, Error(kUsage) for data that is not base64.
struct GivenBytes {
  std::vector<std::byte> bytes;
  std::string shown;  // in messages: the path, or the field
  Source source;
};
GivenBytes read_given(const std::string& text, std::string_view field);

// Reads all pictures of a request. Throws as read_given, and Error(kData) for what is no picture.
GivenPictures read_pictures(const Request& request);

}  // namespace sumi::engine
