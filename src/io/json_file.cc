#include "io/json_file.h"

#include <nlohmann/json.hpp>
#include <string>

#include "base/check.h"
#include "base/small_file.h"
#include "io/json_text.h"

namespace sumi::io {
nlohmann::json read_json_file(const std::filesystem::path& file, int64_t max_bytes, bool python_numbers) {
  const std::string text = read_small_file(file, max_bytes);
  SUMI_CHECK(!text.starts_with("version https://git-lfs"),
             "{}: is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`", file.string());
  const std::string name = file.string();
  return parse_json(text, {.subject = name, .python_numbers = python_numbers});
}

}  // namespace sumi::io
