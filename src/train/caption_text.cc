#include "train/caption_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/text_util.h"
#include "image/read.h"
#include "train/data_names.h"

namespace sumi::train {

namespace fs = std::filesystem;

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  text = without_byte_order_mark(text);
  const size_t begin = std::min(text.find_first_not_of(kBlanks), text.size());
  return std::string(text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin));
}

void check_not_utf16(std::string_view text, const std::string& name) {
  SUMI_CHECK(!text.starts_with("\xFF\xFE") && !text.starts_with("\xFE\xFF"), "{} is UTF-16; save it as UTF-8", name);
}

std::string caption_of_bytes(std::string_view bytes, const std::string& name) {
  SUMI_CHECK(bytes.size() <= kMostCaption, "the caption {} is longer than {} KiB", name, kMostCaption >> 10);
  check_not_utf16(bytes, "the caption " + name);
  const auto invalid = find_invalid_utf8(bytes);
  SUMI_CHECK(!invalid, "the caption {} is not UTF-8, from byte {} on; save it as UTF-8", name, *invalid);
  return trimmed(bytes);
}

std::string read_caption(const fs::path& file) {
  std::error_code error;
  const auto status = fs::status(file, error);
  SUMI_CHECK(fs::is_regular_file(status), "the caption {} is no file{}", shown(file),
             fs::is_directory(status) ? " but a folder"
             : error                  ? ": " + error.message()
                                      : "");
  const std::vector<std::byte> bytes =
      image::read_file({.path = file, .size = std::min<uint64_t>(fs::file_size(file, error), kMostCaption + 1)});
  return caption_of_bytes({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, shown(file));
}

std::string caption_in(const nlohmann::json& object) {
  for (const char* key : {"text", "caption"}) {
    const auto found = object.is_object() ? object.find(key) : object.end();
    if (found == object.end() || !found->is_string()) continue;
    std::string caption = trimmed(found->get_ref<const std::string&>());
    if (!caption.empty()) return caption;
  }
  return {};
}

}  // namespace sumi::train
