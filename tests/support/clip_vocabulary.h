// Where the tests find CLIP's own vocabulary, which is not shipped.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "app/places.h"
#include "base/check.h"
#include "text/find_tokenizer.h"

namespace sumi::test {

inline constexpr const char* kNoClipVocabulary =
    "CLIP's vocabulary is not on this machine: set SUMI_CLIP_DIR or run `sumi pull tokenizer`";

// The folder that SUMI_CLIP_DIR names, else the one that the program would find; nothing where there is none.
inline std::optional<std::filesystem::path> clip_vocabulary() {
  if (const char* named = std::getenv("SUMI_CLIP_DIR"); named != nullptr && *named != '\0') return named;
  try {
    return text::find_tokenizer(std::nullopt, "", app::find_places());
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace sumi::test
