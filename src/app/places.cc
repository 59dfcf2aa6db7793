#include "app/places.h"

#include <cstdlib>

#include "base/check.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

// `below` in the folder that the variable names; empty if it is unset or empty.
fs::path in_variable(const char* name, const char* below = "") {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return {};
  return *below == '\0' ? fs::path(value) : fs::path(value) / below;
}

// The first that is not empty.
fs::path first_of(std::initializer_list<fs::path> paths) {
  for (const fs::path& path : paths) {
    if (!path.empty()) return path;
  }
  return {};
}

}  // namespace

text::Places find_places() {
  return {.data_folder = first_of({in_variable("SUMI_HOME"), in_variable("XDG_DATA_HOME", "sumi"),
                                   in_variable("HOME", ".local/share/sumi")}),
          .hub_cache = first_of({in_variable("HF_HUB_CACHE"), in_variable("HF_HOME", "hub"),
                                 in_variable("HOME", ".cache/huggingface/hub")})};
}

fs::path data_folder() {
  fs::path folder = find_places().data_folder;
  SUMI_CHECK_KIND(kNoInput, !folder.empty(), "no data folder: set SUMI_HOME, XDG_DATA_HOME or HOME to a folder");
  return folder;
}

}  // namespace sumi::app
