// Captioned pictures in a folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "image/image.h"

namespace sumi::train {

struct Example {
  std::filesystem::path picture;
  std::string caption;  // may be empty
};

// The pictures under `folder`, in the order of their paths, with their captions:
//   - `metadata.jsonl` in the folder (the imagefolder convention): a line {"file_name": …, "text": …} each; or
//   - beside each picture a file of the same name ending in .txt.
// Throws Error(kNoInput) where there is no such folder or no picture in it, Error(kData) for a metadata.jsonl that
// cannot be read.
std::vector<Example> find_examples(const std::filesystem::path& folder);

struct LoadedPicture {
  image::Image picture;
  bool broken = false;
  std::string why;
};
// Reads a picture and makes it `size` × `size`: scaled to cover, the middle cut out. Does not throw for a bad file.
LoadedPicture load_square(const std::filesystem::path& path, int64_t size);

}  // namespace sumi::train
