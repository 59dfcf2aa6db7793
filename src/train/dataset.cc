#include "train/dataset.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "image/read.h"
#include "image/resize.h"

namespace sumi::train {
namespace {

namespace fs = std::filesystem;

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

std::vector<Example> from_metadata(const fs::path& folder, const fs::path& file) {
  std::ifstream stream(file);
  SUMI_CHECK_KIND(kNoInput, stream.is_open(), "{}: cannot be read", file.string());
  std::vector<Example> examples;
  std::string line;
  for (int64_t number = 1; std::getline(stream, line); ++number) {
    if (trimmed(line).empty()) continue;
    const nlohmann::json entry = nlohmann::json::parse(line, nullptr, false);
    SUMI_CHECK(entry.is_object() && entry.contains("file_name") && entry["file_name"].is_string(),
               "{}, line {}: not an object with a \"file_name\"", file.string(), number);
    const fs::path name = entry["file_name"].get<std::string>();
    const bool inside =
        name.is_relative() && std::none_of(name.begin(), name.end(), [](const fs::path& part) { return part == ".."; });
    SUMI_CHECK(inside, "{}, line {}: {} leads out of the folder", file.string(), number, name.string());
    const bool has_text = entry.contains("text") && entry["text"].is_string();
    examples.push_back({folder / name, has_text ? entry["text"].get<std::string>() : std::string()});
  }
  return examples;
}

std::vector<Example> from_names(const fs::path& folder) {
  std::vector<Example> examples;
  std::error_code error;
  fs::recursive_directory_iterator entries(folder, fs::directory_options::skip_permission_denied, error);
  for (; !error && entries != fs::recursive_directory_iterator(); entries.increment(error)) {
    std::error_code ignored;
    if (!entries->is_regular_file(ignored) || !image::is_picture_name(entries->path())) continue;
    if (entries->path().filename().string().starts_with(".")) continue;
    fs::path text = entries->path();
    text.replace_extension(".txt");
    std::string caption;
    if (std::ifstream stream(text); stream.is_open())
      caption.assign(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
    examples.push_back({entries->path(), trimmed(caption)});
  }
  return examples;
}

}  // namespace

std::vector<Example> find_examples(const fs::path& folder) {
  std::error_code error;
  SUMI_CHECK_KIND(kNoInput, fs::is_directory(folder, error), "{}: there is no such folder of pictures",
                  folder.string());
  const fs::path metadata = folder / "metadata.jsonl";
  std::vector<Example> examples = fs::exists(metadata, error) ? from_metadata(folder, metadata) : from_names(folder);
  SUMI_CHECK_KIND(kNoInput, !examples.empty(),
                  "{}: no pictures in it (PNG, JPEG or WebP, captions in .txt files of the same names or in "
                  "metadata.jsonl)",
                  folder.string());
  std::sort(examples.begin(), examples.end(), [](const Example& a, const Example& b) { return a.picture < b.picture; });
  return examples;
}

LoadedPicture load_square(const fs::path& path, int64_t size) {
  try {
    return {.picture = image::resize_to_cover(image::read_picture(path), size, size)};
  } catch (const Error& error) {
    return {.broken = true, .why = error.what()};
  }
}

}  // namespace sumi::train
