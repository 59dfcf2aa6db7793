#include "train/caption_files.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "image/read.h"
#include "train/data_names.h"

namespace sumi::train {

namespace fs = std::filesystem;

CaptionFiles::CaptionFiles(const std::vector<fs::path>& files) {
  for (const fs::path& file : files) {
    if (is_caption_name(file)) texts_.emplace(in_lower_case(file.filename().string()), file);
    if (!image::is_picture_name(file)) continue;
    pictures_.insert(file.filename().string());
    pictures_.insert(file.stem().string());
  }
}

std::vector<fs::path> CaptionFiles::of(const fs::path& picture) {
  const std::string whole = picture.filename().string(), stem = picture.stem().string();
  std::vector<std::pair<int, fs::path>> found;  // how far the letters differ
  for (const auto& [front, ending] : {std::pair(stem, ".txt"), std::pair(stem, ".caption"), std::pair(whole, ".txt")}) {
    std::optional<std::pair<int, fs::path>> best;
    const auto [begin, end] = texts_.equal_range(in_lower_case(front + ending));
    for (auto at = begin; at != end; ++at) {
      const std::string name = at->second.filename().string();
      const int differs = name == front + ending ? 0 : name.starts_with(front) ? 1 : 2;
      if (differs == 2 && pictures_.contains(at->second.stem().string())) continue;
      if (!best || differs < best->first) best = {differs, at->second};
    }
    if (best) found.push_back(*best);
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<fs::path> out;
  for (const auto& [differs, file] : found) {
    if (std::find(out.begin(), out.end(), file) == out.end()) out.push_back(file);
  }
  used_.insert(out.begin(), out.end());
  return out;
}

std::vector<fs::path> CaptionFiles::unused() const {
  std::vector<fs::path> out;
  for (const auto& [name, file] : texts_) {
    if (!used_.contains(file)) out.push_back(file);
  }
  return out;
}

}  // namespace sumi::train
