#include "io/json_file.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/check.h"
#include "io/json_text.h"

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

}  // namespace

nlohmann::json read_json_file(const std::filesystem::path& file, int64_t max_bytes, bool python_numbers) {
  const std::string text = read_bounded(file, max_bytes);
  SUMI_CHECK(!text.starts_with("version https://git-lfs"),
             "{}: is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`", file.string());
  const std::string name = file.string();
  return parse_json(text, {.subject = name, .python_numbers = python_numbers});
}

}  // namespace sumi::io
