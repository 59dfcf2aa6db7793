#include "train/data_names.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "base/text_util.h"
#include "image/read.h"

namespace sumi::train {
namespace {

namespace fs = std::filesystem;

std::string ending_of(const fs::path& path) { return in_lower_case(path.extension().string()); }

}  // namespace

std::string shown(const fs::path& path) { return shorten(strip_control(path.string()), 200); }

std::string in_lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool is_hidden(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with(".") || name == "@eaDir" || name == "__MACOSX" || name == "Thumbs.db";
}

bool is_caption_name(const fs::path& path) {
  const std::string ending = ending_of(path);
  return ending == ".txt" || ending == ".caption";
}

bool is_archive_name(const fs::path& path) { return ending_of(path) == ".tar"; }

bool is_other_picture(const fs::path& path) {
  static const std::set<std::string> kEndings{
      ".heic", ".heif", ".hif", ".avif", ".tif", ".tiff", ".jxl", ".jp2",  ".j2k", ".psd", ".xcf", ".svg",
      ".ico",  ".ppm",  ".pgm", ".pbm",  ".pnm", ".pcx",  ".tga", ".exr",  ".hdr", ".qoi", ".dds", ".raw",
      ".dng",  ".cr2",  ".cr3", ".nef",  ".arw", ".orf",  ".rw2", ".apng", ".mng", ".dib"};
  return !image::is_picture_name(path) && kEndings.contains(ending_of(path));
}

}  // namespace sumi::train
