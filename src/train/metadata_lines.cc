#include "train/metadata_lines.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/check.h"
#include "train/caption_text.h"
#include "train/data_names.h"

namespace sumi::train {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostMetadata = 1ULL << 30;  // some 5 million lines
constexpr size_t kMostLine = 1 << 20;           // a caption has at most 64 KiB

// The lines of a file, none of them longer than kMostLine.
class Lines {
 public:
  explicit Lines(const fs::path& file) : file_(file), stream_(file, std::ios::binary), buffer_(kMostLine + 2) {
    SUMI_CHECK_KIND(kNoInput, stream_.is_open(), "{}: cannot be read", shown(file));
  }

  // False at the end.
  bool next(std::string& line) {
    if (stream_.eof()) return false;
    stream_.getline(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    const auto count = static_cast<size_t>(stream_.gcount());  // with the line break, where there is one
    SUMI_CHECK_KIND(kIo, !stream_.bad(), "{}: cannot be read to the end", shown(file_));
    ++number_;
    const size_t length = stream_.eof() || stream_.fail() ? count : count - 1;
    SUMI_CHECK(length <= kMostLine, "{}, line {}: is longer than {} MiB; a line holds one picture's caption",
               shown(file_), number_, kMostLine >> 20);
    line.assign(buffer_.data(), length);
    return count > 0;
  }
  int64_t number() const { return number_; }

 private:
  const fs::path& file_;
  std::ifstream stream_;
  std::vector<char> buffer_;
  int64_t number_ = 0;
};

// The path of "file_name", from the folder on.
fs::path name_in(const nlohmann::json& entry, const fs::path& file, int64_t number) {
  std::string named = entry["file_name"].get<std::string>();
  std::replace(named.begin(), named.end(), '\\', '/');  // as programs on Windows write it
  fs::path name = fs::path(named).lexically_normal();
  const bool inside =
      name.is_relative() && std::none_of(name.begin(), name.end(), [](const fs::path& part) { return part == ".."; });
  SUMI_CHECK(inside, "{}, line {}: {} leads out of the folder", shown(file), number, shown(name));
  return name;
}

}  // namespace

Captions read_metadata(const fs::path& folder, const fs::path& file, LeftOut& left_out) {
  std::error_code error;
  SUMI_CHECK(fs::is_regular_file(file, error), "{}: is not a file", shown(file));
  SUMI_CHECK(fs::file_size(file, error) <= kMostMetadata, "{}: is larger than {} MiB", shown(file),
             kMostMetadata >> 20);
  Lines lines(file);
  Captions captions;
  for (std::string line; lines.next(line);) {
    if (lines.number() == 1) check_not_utf16(line, shown(file) + ":");
    const std::string text = trimmed(line);
    if (text.empty()) continue;
    const nlohmann::json entry = nlohmann::json::parse(text, nullptr, false);
    SUMI_CHECK(entry.is_object() && entry.contains("file_name") && entry["file_name"].is_string(),
               "{}, line {}: not an object with a \"file_name\"", shown(file), lines.number());
    const fs::path picture = folder / name_in(entry, file, lines.number());
    std::string caption = caption_in(entry);
    const auto before = captions.find(picture);
    if (before != captions.end() && !before->second.empty() && before->second != caption)
      left_out.add(kSecondCaption, shown(picture));
    captions.insert_or_assign(picture, std::move(caption));
  }
  return captions;
}

}  // namespace sumi::train
