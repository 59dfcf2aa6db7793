#include "io/json_file.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/text_util.h"

namespace sumi::io {
namespace {

std::string read_bounded(const std::filesystem::path& file, int64_t max_bytes) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  SUMI_CHECK_KIND(kNoInput, std::filesystem::exists(status), "{}: no such file", file.string());
  SUMI_CHECK_KIND(kNoInput, std::filesystem::is_regular_file(status), "{}: not a regular file", file.string());
  const uintmax_t size = std::filesystem::file_size(file, error);
  SUMI_CHECK_KIND(kNoInput, !error, "{}: cannot be read: {}", file.string(), error.message());
  SUMI_CHECK(size <= static_cast<uintmax_t>(max_bytes), "{}: {} bytes; a file of this kind has at most {}",
             file.string(), size, max_bytes);
  std::string text(size, '\0');
  std::ifstream stream(file, std::ios::binary);
  stream.read(text.data(), static_cast<std::streamsize>(size));
  SUMI_CHECK_KIND(kNoInput, stream.gcount() == static_cast<std::streamsize>(size), "{}: cannot be read", file.string());
  return text;
}

void check_encoding(const std::filesystem::path& file, const std::string& text) {
  const bool utf16 = text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") || text.find('\0') < 4;
  SUMI_CHECK(!utf16, "{}: is UTF-16 or UTF-32; JSON is read as UTF-8", file.string());
  SUMI_CHECK(!text.starts_with("version https://git-lfs"),
             "{}: is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`", file.string());
  if (const auto bad = find_invalid_utf8(text)) fail(ErrorKind::kData, "{}: not UTF-8 at byte {}", file.string(), *bad);
}

}  // namespace

nlohmann::json read_json_file(const std::filesystem::path& file, int64_t max_bytes) {
  const std::string text = read_bounded(file, max_bytes);
  check_encoding(file, text);
  // The parser has its own stack; the limit on depth protects code that walks the value later. Without this check the
  // parser would silently keep the last of a repeated key.
  using Event = nlohmann::json::parse_event_t;
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, Event event, nlohmann::json& value) {
    if (event == Event::object_start || event == Event::array_start) {
      SUMI_CHECK(depth < kMaxJsonDepth, "{}: nested more than {} deep", file.string(), kMaxJsonDepth);
    }
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key) {
      const auto& key = value.get_ref<const std::string&>();
      SUMI_CHECK(keys.back().insert(key).second, "{}: the key \"{}\" appears twice", file.string(), strip_control(key));
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text, watch);
  } catch (const nlohmann::json::parse_error& e) {
    fail(ErrorKind::kData, "{}: not valid JSON at byte {}", file.string(), e.byte);
  } catch (const nlohmann::json::exception&) {  // a number too large for a double
    fail(ErrorKind::kData, "{}: holds a number that is out of range", file.string());
  }
}

}  // namespace sumi::io
