// Captioned pictures in a folder and the folders in it.
#pragma once

#include <filesystem>
#include <vector>

#include "train/example.h"
#include "train/left_out.h"

namespace sumi::train {

struct FolderFinds {
  std::vector<Example> examples;
  std::vector<std::filesystem::path> archives;        // in the folder itself
  std::vector<std::filesystem::path> inner_archives;  // in the folders in it
};

// The pictures of `folder`, of all folders in it and of those that links lead to, each folder once: under its own name
// where it has one, else under that of the first link. A file that a metadata.jsonl of its folder or one above names is
// an example whatever its ending; where there is such a file, a picture that has neither an entry nor a caption file is
// left out. Throws as find_examples does.
FolderFinds in_folder(const std::filesystem::path& folder, LeftOut& left_out);

}  // namespace sumi::train
