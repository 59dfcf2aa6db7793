// Captioned pictures in a folder or in tar archives.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "image/read.h"

namespace sumi::train {

struct Example {
  image::FilePart picture;
  std::string name;     // for messages: the file's path, or "SHARD.tar, NAME"
  std::string caption;  // may be empty
};

// The pictures at `place`, in the order of their names, with their captions:
//   - a folder with `metadata.jsonl` (the imagefolder convention): one line {"file_name": …, "text": …} per picture;
//   - a folder with tar archives, or one such archive (the webdataset convention): KEY.jpg (or another picture) with
//     KEY.txt, or with "caption" or "text" in KEY.json; or
//   - any other folder: beside each picture a file of the same name ending in .txt.
// A file that is listed twice is used once. Throws Error(kNoInput) if `place` does not exist or has no pictures,
// Error(kData) for a metadata.jsonl or an archive that cannot be read, or a caption that text::check_prompt rejects.
std::vector<Example> find_examples(const std::filesystem::path& place);

// The number of examples without a caption. Throws Error(kNoInput), with `place` in the message, if none has one.
int64_t check_captions(const std::vector<Example>& examples, const std::filesystem::path& place);

// A hash that changes when an example is added or renamed, or its size or caption changes. It does not depend on the
// location of `place`.
std::string fingerprint(const std::vector<Example>& examples, const std::filesystem::path& place);

// Throws Error(kData) if more than a quarter of `all` pictures could not be read: then more is wrong than a few files.
void check_broken(int64_t broken, int64_t all);

// A training square: the picture is scaled until its shorter side is `size` pixels, then a square of `side` pixels (0:
// `size`) is cut at the relative position `across`, `down`, each 0 to 1.
struct Cut {
  int64_t size = 512, side = 0;
  double across = 0.5, down = 0.5;  // the middle
};
image::Image cut_square(const image::Image& picture, const Cut& cut);

struct LoadedPicture {
  image::Image picture;
  bool broken = false;
  std::string why;
};
// A bad file sets `broken` and does not throw. Throws Error(kIo) if the system fails to read the file.
LoadedPicture load_picture(const Example& example);

}  // namespace sumi::train
