// The captions in a metadata.jsonl (the imagefolder convention).
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace sumi::train {

// Pictures' paths and their captions; an empty one: the line names the picture and gives none.
using Captions = std::map<std::filesystem::path, std::string>;

// Lines {"file_name": …, "text" or "caption": …}; names are taken from `folder`. Throws Error(kNoInput) where `file`
// cannot be read; Error(kData), with the line, for what is no such object, leads out of the folder, is longer than
// 1 MiB or UTF-16; Error(kIo).
Captions read_metadata(const std::filesystem::path& folder, const std::filesystem::path& file);

}  // namespace sumi::train
