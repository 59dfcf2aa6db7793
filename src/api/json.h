// sumi's structs from JSON and to JSON, by the tables of api/fields.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/fields.h"

namespace sumi::api {

// Bounds of a text that is read. A request of 256 prompts of the greatest length has 16 MiB, and pictures that are
// given whole have a third more than their files; the other two keep small texts from taking much memory.
inline constexpr size_t kMaxJsonBytes = 64 << 20;
inline constexpr int kMaxJsonDepth = 16;
inline constexpr size_t kMaxJsonValues = 100'000;

// Read `text`, a JSON object in UTF-8. Absent fields and null ones keep their defaults. A whole number may be written
// as 20, 20.0 or 2e1, the latter two up to 2^53. Throw Error(kUsage), one sentence, for a text that is not JSON or
// beyond the bounds, a key given twice, a field that there is not, that is missing, of another type or out of its
// range.
EngineOptions parse_engine_options(std::string_view text);
ModelOptions parse_model_options(std::string_view text);
Request parse_request(std::string_view text);

// One line of JSON in UTF-8; bytes of a path that are not UTF-8 become U+FFFD. Optional fields that are open are
// absent.
std::string to_json(const ModelInfo& info);
std::string to_json(const Request& request);
std::string to_json(const Settings& settings);
std::string to_json(const Step& step);
std::string to_json(const PictureInfo& picture);
std::string to_json(const std::vector<NamedHelp>& entries);

}  // namespace sumi::api
