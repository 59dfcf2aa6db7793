// Captioned pictures in a tar archive (the webdataset convention).
#pragma once

#include <filesystem>
#include <vector>

#include "train/example.h"
#include "train/left_out.h"

namespace sumi::train {

// Of the files with one key, the name up to its first dot, a sample is made: its picture, and its caption from KEY.txt
// or KEY.caption or, where those are not there or empty, from "text" or "caption" in KEY.json. Of a name that is there
// twice the later one counts. Hidden files are passed over. Throws as io::list_tar does; Error(kData) for a caption as
// caption_of_bytes does, and for a KEY.json that is no JSON.
std::vector<Example> from_archive(const std::filesystem::path& archive, LeftOut& left_out);

}  // namespace sumi::train
