#include "train/dataset.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/check.h"
#include "base/fnv1a.h"
#include "base/log.h"
#include "base/text_util.h"
#include "image/resize.h"
#include "io/tar.h"
#include "text/normalize.h"

namespace sumi::train {
namespace {

namespace fs = std::filesystem;

// Without a byte order mark and surrounding whitespace.
std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  text = without_byte_order_mark(text);
  const size_t begin = std::min(text.find_first_not_of(kBlanks), text.size());
  return std::string(text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin));
}

Example of_file(const fs::path& path, const std::string& caption) {
  return {.picture = {.path = path}, .name = path.string(), .caption = caption};
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
    examples.push_back(of_file(folder / name, has_text ? entry["text"].get<std::string>() : std::string()));
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
    examples.push_back(of_file(entries->path(), trimmed(caption)));
  }
  SUMI_CHECK_KIND(kIo, !error, "{}: cannot be read to the end: {}", folder.string(), error.message());
  return examples;
}

std::vector<fs::path> archives_in(const fs::path& folder) {
  std::vector<fs::path> archives;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".tar" && !entry.path().filename().string().starts_with("."))
      archives.push_back(entry.path());
  }
  std::sort(archives.begin(), archives.end());
  return archives;
}

// The files of a webdataset with the same key, the part of the name before the first dot.
struct Sample {
  std::optional<io::TarEntry> picture, text, json;
};

std::string content(const fs::path& archive, const io::TarEntry& entry) {
  const std::vector<std::byte> bytes = image::read_file({.path = archive, .offset = entry.offset, .size = entry.size});
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string caption_of(const fs::path& archive, const Sample& sample) {
  if (sample.text) return trimmed(content(archive, *sample.text));
  if (!sample.json) return {};
  const nlohmann::json json = nlohmann::json::parse(content(archive, *sample.json), nullptr, false);
  for (const char* key : {"caption", "text"}) {
    if (json.is_object() && json.contains(key) && json[key].is_string()) return json[key].get<std::string>();
  }
  return {};
}

std::vector<Example> from_archive(const fs::path& archive) {
  std::map<std::string, Sample> samples;
  for (const io::TarEntry& entry : io::list_tar(archive)) {
    const size_t name = entry.name.rfind('/') + 1;  // 0 where there is none
    const size_t dot = entry.name.find('.', name + 1);
    if (dot == std::string::npos || entry.name[name] == '.') continue;
    Sample& sample = samples[entry.name.substr(0, dot)];
    const std::string ending = entry.name.substr(dot);
    if (image::is_picture_name(entry.name) && !sample.picture) sample.picture = entry;
    if (ending == ".txt") sample.text = entry;
    if (ending == ".json") sample.json = entry;
  }
  std::vector<Example> examples;
  for (const auto& [key, sample] : samples) {
    if (!sample.picture) continue;
    examples.push_back({.picture = {.path = archive, .offset = sample.picture->offset, .size = sample.picture->size},
                        .name = archive.string() + ", " + sample.picture->name,
                        .caption = caption_of(archive, sample)});
  }
  return examples;
}

std::vector<Example> from_archives(const std::vector<fs::path>& archives) {
  std::vector<Example> examples;
  for (const fs::path& archive : archives) {
    std::vector<Example> more = from_archive(archive);
    std::move(more.begin(), more.end(), std::back_inserter(examples));
  }
  return examples;
}

std::vector<Example> in_folder(const fs::path& folder) {
  std::error_code error;
  const fs::path metadata = folder / "metadata.jsonl";
  if (fs::exists(metadata, error)) return from_metadata(folder, metadata);
  const std::vector<fs::path> archives = archives_in(folder);
  return archives.empty() ? from_names(folder) : from_archives(archives);
}

}  // namespace

std::vector<Example> find_examples(const fs::path& place) {
  std::error_code error;
  const bool is_archive = fs::is_regular_file(place, error) && place.extension() == ".tar";
  SUMI_CHECK_KIND(kNoInput, is_archive || fs::is_directory(place, error),
                  "{}: is neither a folder of pictures nor a tar archive", place.string());
  std::vector<Example> examples = is_archive ? from_archive(place) : in_folder(place);
  SUMI_CHECK_KIND(kNoInput, !examples.empty(),
                  "{}: contains no pictures (PNG, JPEG or WebP, with captions in .txt files of the same names or in "
                  "metadata.jsonl; or tar archives of these)",
                  place.string());
  std::stable_sort(examples.begin(), examples.end(),
                   [](const Example& a, const Example& b) { return a.name < b.name; });
  const auto named_again = std::unique(examples.begin(), examples.end(),
                                       [](const Example& a, const Example& b) { return a.name == b.name; });
  if (named_again != examples.end())
    warn("{}: {} pictures are listed more than once; each is used once", place.string(), examples.end() - named_again);
  examples.erase(named_again, examples.end());
  for (const Example& example : examples) {
    try {
      text::check_prompt(example.caption);
    } catch (const Error& bad) {
      fail(ErrorKind::kData, "the caption of {}: {}", example.name, bad.what());
    }
  }
  return examples;
}

int64_t check_captions(const std::vector<Example>& examples, const fs::path& place) {
  const int64_t none =
      std::count_if(examples.begin(), examples.end(), [](const Example& example) { return example.caption.empty(); });
  SUMI_CHECK_KIND(kNoInput, none < static_cast<int64_t>(examples.size()),
                  "{}: none of the {} pictures has a caption: in NAME.txt beside NAME.png, as \"text\" in "
                  "metadata.jsonl, or in a tar archive as KEY.txt",
                  place.string(), examples.size());
  return none;
}

std::string fingerprint(const std::vector<Example>& examples, const fs::path& place) {
  Fnv1a hash;
  std::string front = place.string();
  while (front.size() > 1 && front.ends_with('/')) front.pop_back();
  for (const Example& example : examples) {
    std::string name = example.name.starts_with(front) ? example.name.substr(front.size()) : example.name;
    if (const size_t slashes = name.find_first_not_of('/'); slashes > 0 && slashes != std::string::npos)
      name.erase(0, slashes - 1);  // keep one slash, however many `place` ends in
    hash.add(name);
    std::error_code error;
    const uintmax_t whole = fs::file_size(example.picture.path, error);
    hash.add(std::to_string(example.picture.size.value_or(whole)));
    hash.add(example.caption);
  }
  return hash.hex();
}

void check_broken(int64_t broken, int64_t all) {
  SUMI_CHECK(4 * broken <= all, "{} of {} pictures could not be read, more than a quarter; the warnings above say why",
             broken, all);
}

image::Image cut_square(const image::Image& picture, const Cut& cut) {
  const int64_t shorter = std::min(picture.width, picture.height), side = cut.side > 0 ? cut.side : cut.size;
  const auto scaled = [&](int64_t length) { return std::max(cut.size, (length * cut.size + shorter / 2) / shorter); };
  const auto place = [&](int64_t length, double where) {
    return std::min(static_cast<int64_t>(where * static_cast<double>(length - side + 1)), length - side);
  };
  const int64_t width = scaled(picture.width), height = scaled(picture.height);
  const image::Image whole = shorter == cut.size ? picture : image::resize(picture, width, height);
  return image::crop(whole, place(width, cut.across), place(height, cut.down), side, side);
}

LoadedPicture load_picture(const Example& example) {
  constexpr int64_t kLongest = 64;  // times the shorter side; a longer picture would not fit in memory once scaled
  try {
    LoadedPicture out{.picture = image::read_picture(example.picture, example.name)};
    const auto [shorter, longer] = std::minmax(out.picture.width, out.picture.height);
    SUMI_CHECK(longer <= kLongest * shorter, "{}: {}x{} pixels are too elongated", example.name, out.picture.width,
               out.picture.height);
    return out;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kIo) throw;
    return {.broken = true, .why = error.what()};
  }
}

}  // namespace sumi::train
