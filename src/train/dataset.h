// Captioned pictures in a folder or in tar archives.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "image/read.h"
#include "train/example.h"
#include "train/left_out.h"

namespace sumi::train {

// The pictures at `place`, in the order of their names, with their captions:
//   - a folder with tar archives and no pictures beside them, or one such archive (the webdataset convention): see
//     data_archive.h; or
//   - any other folder, with all folders in it and those that links lead to, each once: the caption stands in a
//     `metadata.jsonl` of the picture's folder or one above (the imagefolder convention): one line {"file_name": …,
//     "text": …} a picture, "caption" in place of "text" too; else in a file of the picture's name ending in .txt or
//     .caption, in any case of letters, or in NAME.png.txt. What such a metadata.jsonl does not name and has no file of
//     its own is left out.
// Hidden files and folders, and those that systems make (@eaDir, __MACOSX), are passed over. What is left out goes to
// `left_out` or, where that is null, into one warning. Throws Error(kNoInput) if `place` does not exist, has no
// pictures, or has a folder that cannot be read; Error(kData) for a metadata.jsonl, an archive or a caption that cannot
// be read or is no UTF-8 (UTF-16 is named), for archives beside pictures, and where more than a quarter of what
// metadata.jsonl names is missing (and more than one).
std::vector<Example> find_examples(const std::filesystem::path& place, LeftOut* left_out = nullptr);

// Two lines for a run's beginning: how many pictures and captions were found, what was left out and why. `cut`:
// captions that are longer than the text encoder takes; none: not counted.
std::vector<std::string> describe_examples(const std::vector<Example>& examples, const LeftOut& left_out,
                                           std::optional<int64_t> cut = {});

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

// Counts up when files are decoded to other pixels than by older versions, so that what was kept of those is known.
// 2: see-through pixels lie over the background; Exif turns PNG and WebP; CMYK and 16 bits are converted.
inline constexpr int kPictureDecoding = 2;

struct LoadedPicture {
  image::Image picture;
  bool broken = false;
  std::string why;
};
// A bad file sets `broken` and does not throw. Throws Error(kIo) if the system fails to read the file.
LoadedPicture load_picture(const Example& example, const image::Colour& background = image::kWhite);

}  // namespace sumi::train
