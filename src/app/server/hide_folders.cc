#include "app/server/hide_folders.h"

namespace sumi::app {
namespace {

// What only the machine's owner can do.
constexpr std::string_view kAdvice = "; choose its folder with `lora_folder`";

constexpr std::string_view kEnds = ",:;\"'()`\n";

bool may_precede(char c) { return c == ' ' || kEnds.find(c) != std::string_view::npos; }

// Where the path that begins at `at` ends: names with spaces in them belong to it as long as a '/' follows.
size_t end_of_path(std::string_view text, size_t at) {
  const size_t hard = std::min(text.find_first_of(kEnds, at), text.size());
  const size_t slash = text.substr(0, hard).rfind('/');
  // A second path may begin after a space: " /".
  const size_t next = text.substr(0, hard).find(" /", at);
  const size_t last = next == std::string_view::npos ? slash : text.substr(0, next).rfind('/');
  return std::min(text.find(' ', last), next == std::string_view::npos ? hard : next);
}

}  // namespace

std::string without_folders(std::string_view text) {
  if (text.ends_with(kAdvice)) text.remove_suffix(kAdvice.size());
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const bool begins = text[at] == '/' && (at == 0 || may_precede(text[at - 1])) && at + 1 < text.size() &&
                        text[at + 1] != ' ' && text[at + 1] != '/';
    // "/v1/jobs" and the like are no paths of files, but lose nothing that matters.
    if (!begins) {
      out += text[at++];
      continue;
    }
    const size_t end = std::min(end_of_path(text, at), text.size());
    std::string_view path = text.substr(at, end - at);
    while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    out += path.substr(path.rfind('/') + 1);
    at = end;
  }
  return out;
}

}  // namespace sumi::app
