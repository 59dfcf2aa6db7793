// Captioned pictures in a folder or in tar archives.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "image/read.h"

namespace sumi::train {

struct Example {
  image::FilePart picture;
  std::string name;     // for messages: the file's, or "SHARD.tar, NAME"
  std::string caption;  // may be empty
};

// The pictures at `place`, in the order of their names, with their captions:
//   - a folder with `metadata.jsonl` (the imagefolder convention): a line {"file_name": …, "text": …} each;
//   - a folder with tar archives, or one such archive (the webdataset convention): KEY.jpg (or another picture) with
//     KEY.txt, or with "caption" or "text" in KEY.json; or
//   - any other folder: beside each picture a file of the same name ending in .txt.
// A file that is named twice is taken once. Throws Error(kNoInput) where there is no such place or no picture in it,
// Error(kData) for a metadata.jsonl or an archive that cannot be read, or a caption that is no text (see
// text::check_prompt).
std::vector<Example> find_examples(const std::filesystem::path& place);

// How many of them have no caption. Throws Error(kNoInput), in a sentence that begins with `place`, where none has one.
int64_t check_captions(const std::vector<Example>& examples, const std::filesystem::path& place);

// Changes when an example is added, renamed, resized or captioned otherwise. Where `place` lies does not matter.
std::string fingerprint(const std::vector<Example>& examples, const std::filesystem::path& place);

// Throws Error(kData) where more than a quarter of `all` pictures could not be read: something else is wrong then.
void check_broken(int64_t broken, int64_t all);

// The square that is trained on: the picture scaled until its shorter side is `size` pixels, and of that the part that
// `across` and `down`, 0 to 1, choose: `side` pixels a side, or 0 for `size`.
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
// Does not throw for a bad file. Throws Error(kIo) where the system cannot read one.
LoadedPicture load_picture(const Example& example);

}  // namespace sumi::train
