#include "train/dataset.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "base/fnv1a.h"
#include "base/log.h"
#include "image/resize.h"
#include "text/normalize.h"
#include "train/data_archive.h"
#include "train/data_folder.h"
#include "train/data_names.h"

namespace sumi::train {
namespace {

namespace fs = std::filesystem;

// The folder's pictures or, where there are none, those of the archives in it.
std::vector<Example> in_place(const fs::path& folder, LeftOut& left_out) {
  FolderFinds finds = in_folder(folder, left_out);
  for (const fs::path& archive : finds.inner_archives)
    left_out.add(finds.examples.empty() ? "archives in folders further down" : "archives beside pictures",
                 shown(archive));
  if (finds.archives.empty()) return std::move(finds.examples);
  SUMI_CHECK(finds.examples.empty(),
             "{}: holds {} pictures and {} tar archives ({}, …); it is not clear which are meant: keep them in folders "
             "of their own",
             shown(folder), finds.examples.size(), finds.archives.size(), shown(finds.archives.front().filename()));
  std::vector<Example> examples;
  for (const fs::path& archive : finds.archives) {
    std::vector<Example> more = from_archive(archive, left_out);
    std::move(more.begin(), more.end(), std::back_inserter(examples));
  }
  return examples;
}

}  // namespace

std::vector<Example> find_examples(const fs::path& place, LeftOut* left_out) {
  std::error_code error;
  LeftOut own;
  LeftOut& rest = left_out != nullptr ? *left_out : own;
  const bool is_archive = fs::is_regular_file(place, error) && is_archive_name(place);
  SUMI_CHECK_KIND(kNoInput, is_archive || fs::is_directory(place, error),
                  "{}: is neither a folder of pictures nor a tar archive", place.string());
  std::vector<Example> examples = is_archive ? from_archive(place, rest) : in_place(place, rest);
  SUMI_CHECK_KIND(kNoInput, !examples.empty(),
                  "{}: contains no pictures ({}, with captions in .txt files of the same names or in metadata.jsonl; "
                  "or tar archives of these){}",
                  place.string(), image::picture_kinds(), rest.empty() ? "" : "; left out: " + rest.str());
  std::stable_sort(examples.begin(), examples.end(),
                   [](const Example& a, const Example& b) { return a.name < b.name; });
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
