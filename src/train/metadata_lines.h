// The captions in a metadata.jsonl (the imagefolder convention).
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "train/left_out.h"

namespace sumi::train {

// Pictures' paths and their captions; an empty one: the line names the picture and gives none.
using Captions = std::map<std::filesystem::path, std::string>;

// Lines {"file_name": …, "text" or "caption": …}; names are taken from `folder`. Throws Error(kNoInput) where `file`
// cannot be read; Error(kData), with the line, for what is no such object, leads out of the folder, is longer than
// 1 MiB or UTF-16; Error(kIo).
// A second caption of one picture goes to `left_out`; the last one counts.
Captions read_metadata(const std::filesystem::path& folder, const std::filesystem::path& file, LeftOut& left_out);

}  // namespace sumi::train
