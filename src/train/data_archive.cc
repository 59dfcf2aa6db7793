#include "train/data_archive.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/check.h"
#include "io/json_text.h"
#include "io/tar.h"
#include "train/caption_text.h"
#include "train/data_names.h"

namespace sumi::train {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostJson = 16 << 20;  // such a file may hold more than the caption

// The files with the same key.
struct Sample {
  std::optional<io::TarEntry> picture, text, caption, json;
  bool told = false;  // of a picture that is not read
};

class Archive {
 public:
  Archive(const fs::path& archive, LeftOut& left_out) : archive_(archive), left_out_(left_out) {}

  std::vector<Example> operator()() {
    for (const io::TarEntry& entry : io::list_tar(archive_)) sort_in(entry);
    std::vector<Example> examples;
    for (const auto& [key, sample] : samples_) {
      if (sample.picture) {
        examples.push_back(
            {.picture = {.path = archive_, .offset = sample.picture->offset, .size = sample.picture->size},
             .name = archive_.string() + ", " + sample.picture->name,
             .caption = caption_of(sample)});
        continue;
      }
      for (const auto& text : {sample.text, sample.caption}) {
        if (text) left_out_.add(kNoPicture, named(*text));
      }
      if (!sample.text && !sample.caption && !sample.told)
        left_out_.add("samples without a picture", shown(archive_) + ", " + shown(key));
    }
    return examples;
  }

 private:
  std::string named(const io::TarEntry& entry) const { return shown(archive_) + ", " + shown(entry.name); }

  void sort_in(const io::TarEntry& entry) {
    const fs::path path(entry.name);
    const bool hidden = std::any_of(
        path.begin(), path.end(), [](const fs::path& part) { return part != "." && part != ".." && is_hidden(part); });
    if (hidden) return left_out_.add(kHidden, named(entry));
    const size_t name = entry.name.rfind('/') + 1;  // 0 where there is none
    const size_t dot = std::min(entry.name.find('.', name), entry.name.size());
    Sample& sample = samples_[entry.name.substr(0, dot)];
    const std::string ending = in_lower_case(entry.name.substr(dot));
    if (image::is_picture_name(path)) {
      put(sample.picture, entry, "second pictures of one key");
    } else if (ending == ".txt") {
      put(sample.text, entry, kSecondCaption);
    } else if (ending == ".caption") {
      put(sample.caption, entry, kSecondCaption);
    } else if (ending == ".json") {
      put(sample.json, entry, kSecondCaption);
    } else if (is_other_picture(path)) {
      sample.told = true;
      left_out_.add(kOtherPicture, named(entry));
    } else if (is_caption_name(path)) {
      left_out_.add("texts under other names than KEY.txt", named(entry));
    }
  }

  // Of one name the later entry counts, as for tar itself; of two names the first.
  void put(std::optional<io::TarEntry>& place, const io::TarEntry& entry, const char* reason) {
    if (!place || place->name == entry.name) {
      if (place) left_out_.add("entries that a later one of the same name replaces", named(entry));
      place = entry;
    } else {
      left_out_.add(reason, named(entry));
    }
  }

  std::string content(const io::TarEntry& entry, uint64_t most) const {
    const std::vector<std::byte> bytes =
        image::read_file({.path = archive_, .offset = entry.offset, .size = std::min<uint64_t>(entry.size, most)});
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  std::string caption_of(const Sample& sample) {
    std::string caption;
    for (const auto& text : {sample.text, sample.caption}) {
      if (!text) continue;
      if (caption.empty()) {
        caption = caption_of_bytes(content(*text, kMostCaption + 1), named(*text));
      } else {
        left_out_.add(kSecondCaption, named(*text));
      }
    }
    if (!caption.empty() || !sample.json) return caption;
    SUMI_CHECK(sample.json->size <= kMostJson, "{} is longer than {} MiB", named(*sample.json), kMostJson >> 20);
    // A small text can hold a great many lists in one another, which take much memory.
    const std::string subject = named(*sample.json);
    return caption_in(io::parse_json(content(*sample.json, kMostJson),
                                     {.subject = subject, .python_numbers = true, .max_values = 100'000}));
  }

  const fs::path& archive_;
  LeftOut& left_out_;
  std::map<std::string, Sample> samples_;
};

}  // namespace

std::vector<Example> from_archive(const fs::path& archive, LeftOut& left_out) { return Archive(archive, left_out)(); }

}  // namespace sumi::train
