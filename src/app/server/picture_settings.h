// The settings that a picture carries, as a request to this server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "app/server/library.h"
#include "app/server/shelf.h"

namespace sumi::app {

struct PictureSettings {
  std::string from = {};     // the program that drew it, as engine::Like has it
  std::string request = {};  // JSON, which POST /v1/jobs takes as it is; its files are names of the library
  // JSON: the fields of the request that mean something only with pictures, which must be given again. `init`, `mask`
  // and the controls' `image` have the names of those pictures' files, or are empty.
  std::string with_pictures = {};
  int64_t number = 0;                     // of the pictures that the request draws, the one that this is
  std::string model = {}, vae = {};       // names of this server; empty: not told, or not here
  std::vector<std::string> untaken = {};  // in words, what else it tells, and what is not here
};

// Of a PNG, JPEG or WebP file. Throws Error(kData) for another file, and for one without settings.
PictureSettings picture_settings(std::span<const std::byte> file, const Shelf& shelf, const Library& library);

}  // namespace sumi::app
