#include "train/dataset.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

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

std::string shown(const fs::path& path) { return shorten(strip_control(path.string()), 200); }

constexpr uint64_t kMostCaption = 64 << 10;     // as text::check_prompt allows
constexpr uint64_t kMostMetadata = 1ULL << 30;  // some 5 million lines
constexpr size_t kMostFiles = 50'000'000;

// A caption's file, without a byte order mark and surrounding whitespace.
std::string read_caption(const fs::path& file) {
  std::error_code error;
  const auto status = fs::status(file, error);
  SUMI_CHECK(fs::is_regular_file(status), "the caption {} is no file{}", shown(file),
             fs::is_directory(status) ? " but a folder"
             : error                  ? ": " + error.message()
                                      : "");
  SUMI_CHECK(fs::file_size(file, error) <= kMostCaption, "the caption {} is longer than {} KiB", shown(file),
             kMostCaption >> 10);
  const std::vector<std::byte> bytes = image::read_file({.path = file});
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  SUMI_CHECK(!text.starts_with("\xFF\xFE") && !text.starts_with("\xFE\xFF"),
             "the caption {} is UTF-16; save it as UTF-8", shown(file));
  SUMI_CHECK(!find_invalid_utf8(text), "the caption {} is not UTF-8, from byte {} on; save it as UTF-8", shown(file),
             *find_invalid_utf8(text));
  return trimmed(text);
}

// {"file_name": …} of a metadata.jsonl → the caption; nullopt: the line names a picture and gives no caption.
using Captions = std::map<fs::path, std::string>;

Captions read_metadata(const fs::path& folder, const fs::path& file) {
  std::error_code error;
  SUMI_CHECK(fs::is_regular_file(file, error), "{}: is not a file", shown(file));
  SUMI_CHECK(fs::file_size(file, error) <= kMostMetadata, "{}: is larger than {} MiB", shown(file),
             kMostMetadata >> 20);
  std::ifstream stream(file);
  SUMI_CHECK_KIND(kNoInput, stream.is_open(), "{}: cannot be read", shown(file));
  Captions captions;
  std::string line;
  for (int64_t number = 1; std::getline(stream, line); ++number) {
    if (number == 1)
      SUMI_CHECK(!line.starts_with("\xFF\xFE") && !line.starts_with("\xFE\xFF"), "{}: is UTF-16; save it as UTF-8",
                 shown(file));
    const std::string text = trimmed(line);
    if (text.empty()) continue;
    const nlohmann::json entry = nlohmann::json::parse(text, nullptr, false);
    SUMI_CHECK(entry.is_object() && entry.contains("file_name") && entry["file_name"].is_string(),
               "{}, line {}: not an object with a \"file_name\"", shown(file), number);
    std::string named = entry["file_name"].get<std::string>();
    std::replace(named.begin(), named.end(), '\\', '/');  // as programs on Windows write it
    const fs::path name = fs::path(named).lexically_normal();
    const bool inside =
        name.is_relative() && std::none_of(name.begin(), name.end(), [](const fs::path& part) { return part == ".."; });
    SUMI_CHECK(inside, "{}, line {}: {} leads out of the folder", shown(file), number, shown(name));
    std::string caption;
    for (const char* key : {"caption", "text"}) {
      if (entry.contains(key) && entry[key].is_string()) caption = trimmed(entry[key].get<std::string>());
    }
    captions[folder / name] = caption;
  }
  SUMI_CHECK_KIND(kIo, stream.eof(), "{}: cannot be read to the end", shown(file));
  return captions;
}

bool is_hidden(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with(".") || name == "@eaDir" || name == "__MACOSX" || name == "Thumbs.db";
}

std::string in_lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool is_caption_name(const fs::path& path) {
  const std::string ending = in_lower_case(path.extension().string());
  return ending == ".txt" || ending == ".caption";
}

// Pictures that other programs read.
bool is_other_picture(const fs::path& path) {
  static const std::set<std::string> kEndings{".heic", ".heif", ".avif", ".tif", ".tiff", ".jxl", ".jp2",
                                              ".psd",  ".svg",  ".raw",  ".dng", ".cr2",  ".nef", ".tga"};
  return kEndings.contains(in_lower_case(path.extension().string()));
}

// A folder with all that is in it.
class Walk {
 public:
  explicit Walk(LeftOut& left_out) : left_out_(left_out) {}

  std::vector<Example> operator()(const fs::path& folder) {
    enter(folder, {});
    for (const auto& [picture, caption] : named_) {
      if (!used_.contains(picture)) left_out_.add("named in a metadata.jsonl and missing", shown(picture));
    }
    for (const auto& [text, picture] : texts_) {
      if (!captions_used_.contains(text)) left_out_.add("captions without a picture", shown(picture));
    }
    return std::move(examples_);
  }

 private:
  // `above`: the folders entered, so that links in a circle end.
  void enter(const fs::path& folder, std::set<fs::path> above) {
    std::error_code error;
    const fs::path real = fs::canonical(folder, error);
    SUMI_CHECK_KIND(kNoInput, !error, "{}: cannot be read: {}", shown(folder), error.message());
    if (!above.insert(real).second) return left_out_.add("links that lead back to a folder above", shown(folder));
    std::vector<fs::path> files, folders;
    fs::directory_iterator entries(folder, error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
      SUMI_CHECK(++seen_ <= kMostFiles, "{}: more than {} files", shown(folder), kMostFiles);
      const fs::path& path = entries->path();
      std::error_code trouble;
      const auto status = fs::status(path, trouble);
      const bool is_folder = fs::is_directory(status);
      if (is_hidden(path)) {
        if (is_folder || image::is_picture_name(path)) left_out_.add("hidden files and folders", shown(path));
      } else if (is_folder) {
        folders.push_back(path);
        if (is_caption_name(path)) files.push_back(path);  // refused where a picture needs it
      } else {
        if (fs::is_regular_file(status) || !image::is_picture_name(path)) {
          files.push_back(path);  // a caption that cannot be read is refused where a picture needs it
        } else {
          left_out_.add("no files" + (trouble ? " (" + trouble.message() + ")" : std::string()), shown(path));
        }
      }
    }
    SUMI_CHECK_KIND(kNoInput, !error, "{}: cannot be read: {}", shown(folder), error.message());
    std::sort(files.begin(), files.end());
    std::sort(folders.begin(), folders.end());
    take(folder, files);
    for (const fs::path& inner : folders) enter(inner, above);
  }

  void take(const fs::path& folder, const std::vector<fs::path>& files) {
    const fs::path metadata = folder / "metadata.jsonl";
    std::error_code error;
    if (fs::exists(fs::symlink_status(metadata, error))) {
      for (auto& [picture, caption] : read_metadata(folder, metadata))
        named_.insert_or_assign(picture, std::move(caption));
    }
    std::map<std::string, fs::path> texts;  // by their names in lower case
    for (const fs::path& file : files) {
      const std::string ending = in_lower_case(file.extension().string());
      if (is_caption_name(file)) texts.emplace(in_lower_case(file.filename().string()), file);
      if (is_other_picture(file)) left_out_.add("pictures of kinds that are not read", shown(file));
      if (ending == ".tar") left_out_.add("archives beside pictures", shown(file));
      if (ending == ".csv" && in_lower_case(file.filename().string()) == "metadata.csv")
        left_out_.add("metadata.csv, which is not read (metadata.jsonl is)", shown(file));
    }
    for (const fs::path& file : files) {
      if (image::is_picture_name(file)) examples_.push_back(of_file(file, caption_of(file, texts)));
    }
    for (const auto& [name, file] : texts) texts_.emplace(file, file);
  }

  std::string caption_of(const fs::path& picture, const std::map<std::string, fs::path>& texts) {
    std::string caption;
    const auto named = named_.find(picture.lexically_normal());
    const auto plain = named == named_.end() ? named_.find(picture) : named;
    if (plain != named_.end()) {
      used_.insert(plain->first);
      caption = plain->second;
    }
    const std::string whole = in_lower_case(picture.filename().string());
    const std::string stem = in_lower_case(picture.stem().string());
    for (const std::string& name : {stem + ".txt", stem + ".caption", whole + ".txt"}) {
      const auto found = texts.find(name);
      if (found == texts.end()) continue;
      captions_used_.insert(found->second);
      if (caption.empty()) caption = read_caption(found->second);
    }
    return caption;
  }

  LeftOut& left_out_;
  std::vector<Example> examples_;
  Captions named_;  // in metadata.jsonl
  std::set<fs::path> used_, captions_used_;
  std::map<fs::path, fs::path> texts_;
  size_t seen_ = 0;
};

std::vector<fs::path> archives_in(const fs::path& folder) {
  std::vector<fs::path> archives;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::error_code ignored;
    if (entry.path().extension() == ".tar" && !is_hidden(entry.path()) && entry.is_regular_file(ignored))
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
  if (sample.text) {
    SUMI_CHECK(sample.text->size <= kMostCaption, "{}: the caption {} is longer than {} KiB", archive.string(),
               shown(sample.text->name), kMostCaption >> 10);
    const std::string text = content(archive, *sample.text);
    SUMI_CHECK(!text.starts_with("\xFF\xFE") && !text.starts_with("\xFE\xFF"),
               "{}: the caption {} is UTF-16; save it as UTF-8", archive.string(), shown(sample.text->name));
    return trimmed(text);
  }
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

std::vector<Example> in_folder(const fs::path& folder, LeftOut& left_out) {
  std::vector<Example> examples = Walk(left_out)(folder);
  const std::vector<fs::path> archives = archives_in(folder);
  if (archives.empty()) return examples;
  SUMI_CHECK(
      examples.empty(),
      "{}: holds {} pictures and {} tar archives ({}, …); it is not clear which are meant: keep them in folders of "
      "their own",
      shown(folder), examples.size(), archives.size(), archives.front().filename().string());
  left_out = {};
  return from_archives(archives);
}

}  // namespace

void LeftOut::add(const std::string& reason, const std::string& name) {
  Some& some = reasons_[reason];
  if (some.count++ == 0) some.first = name;
}

std::string LeftOut::str() const {
  std::string text;
  for (const auto& [reason, some] : reasons_)
    text += fmt::format("{}{} {} ({}{})", text.empty() ? "" : "; ", some.count, reason, some.first,
                        some.count > 1 ? ", …" : "");
  return text;
}

std::vector<Example> find_examples(const fs::path& place, LeftOut* left_out) {
  std::error_code error;
  LeftOut own;
  LeftOut& rest = left_out != nullptr ? *left_out : own;
  const bool is_archive = fs::is_regular_file(place, error) && place.extension() == ".tar";
  SUMI_CHECK_KIND(kNoInput, is_archive || fs::is_directory(place, error),
                  "{}: is neither a folder of pictures nor a tar archive", place.string());
  std::vector<Example> examples = is_archive ? from_archive(place) : in_folder(place, rest);
  SUMI_CHECK_KIND(
      kNoInput, !examples.empty(),
      "{}: contains no pictures (PNG, JPEG, WebP, BMP or GIF, with captions in .txt files of the same names or "
      "in metadata.jsonl; or tar archives of these){}",
      place.string(), rest.empty() ? "" : "; left out: " + rest.str());
  std::stable_sort(examples.begin(), examples.end(),
                   [](const Example& a, const Example& b) { return a.name < b.name; });
  const auto named_again = std::unique(examples.begin(), examples.end(),
                                       [](const Example& a, const Example& b) { return a.name == b.name; });
  if (named_again != examples.end())
    warn("{}: {} pictures are listed more than once; each is used once", place.string(), examples.end() - named_again);
  examples.erase(named_again, examples.end());
  if (left_out == nullptr && !own.empty()) warn("{}: left out: {}", place.string(), own.str());
  for (const Example& example : examples) {
    try {
      text::check_prompt(example.caption);
    } catch (const Error& bad) {
      fail(ErrorKind::kData, "the caption of {}: {}", example.name, bad.what());
    }
  }
  return examples;
}

std::vector<std::string> describe_examples(const std::vector<Example>& examples, const LeftOut& left_out,
                                           std::optional<int64_t> cut) {
  const auto captions =
      std::count_if(examples.begin(), examples.end(), [](const Example& example) { return !example.caption.empty(); });
  std::string text = fmt::format("{} pictures, {} with captions", examples.size(), captions);
  if (cut) text += *cut > 0 ? fmt::format("; {} captions are cut at the text encoder's length", *cut) : "; none is cut";
  return {text, "left out: " + (left_out.empty() ? "nothing" : left_out.str())};
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

LoadedPicture load_picture(const Example& example, const image::Colour& background) {
  constexpr int64_t kLongest = 64;  // times the shorter side; a longer picture would not fit in memory once scaled
  try {
    LoadedPicture out{.picture = image::read_picture(example.picture, example.name, background)};
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
