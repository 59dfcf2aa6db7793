#include "app/server/openai_fields.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "app/server/openai_request.h"
#include "base/check.h"
#include "base/nearest.h"
#include "base/parse_number.h"
#include "base/text_util.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

using Json = nlohmann::json;
using enum FieldKind;

constexpr size_t kMostJsonBytes = 4 << 20, kMostJsonValues = 1000;
constexpr size_t kMostTextBytes = 1 << 20;         // of a field in a form
constexpr double kMostExact = 9007199254740992.0;  // 2^53: whole numbers up to it are exact in a double

// OpenAI's, then those of sumi's requests.
constexpr std::array<OpenaiField, 23> kFields{{{"prompt", kText},
                                               {"model", kText},
                                               {"n", kWhole},
                                               {"size", kText},
                                               {"response_format", kText},
                                               {"output_format", kText},
                                               {"output_compression", kWhole},
                                               {"background", kText},
                                               {"quality", kText},
                                               {"style", kText, true, false},
                                               {"moderation", kText},
                                               {"input_fidelity", kText, false, true},
                                               {"user", kText},
                                               {"safety_identifier", kText},
                                               {"stream", kFlag},
                                               {"partial_images", kWhole},
                                               {"negative_prompt", kText},
                                               {"seed", kSeed},
                                               {"steps", kWhole},
                                               {"scale", kNumber},
                                               {"sampler", kText},
                                               {"schedule", kText},
                                               {"strength", kNumber, false, true}}};

bool has(const OpenaiField& field, bool edit) { return edit ? field.edits : field.generations; }

const OpenaiField& find(const std::string& name, bool edit) {
  const auto* found = std::find_if(kFields.begin(), kFields.end(),
                                   [&](const OpenaiField& f) { return f.name == name && has(f, edit); });
  if (found != kFields.end()) return *found;
  std::vector<std::string> known;
  for (const OpenaiField& field : kFields)
    if (has(field, edit)) known.emplace_back(field.name);
  const std::string shown = excerpt(name), nearest = nearest_of(shown, known);
  throw BadField(fmt::format("Unknown parameter: '{}'.{}", shown,
                             nearest.empty() ? "" : fmt::format(" Did you mean '{}'?", nearest)),
                 shown, "unknown_parameter");
}

// Whole numbers as numbers too: 20.0 is 20.
Json as_whole(const Json& value) {
  if (!value.is_number_float()) return value;
  const auto number = value.get<double>();
  if (number != std::floor(number) || std::abs(number) > kMostExact) return value;
  return static_cast<int64_t>(number);
}

// Digits in a text are a seed, for clients whose numbers are doubles.
Json as_seed(const Json& value) {
  if (!value.is_string()) return as_whole(value);
  const auto number = number_in<uint64_t>(value.get_ref<const std::string&>());
  return number ? Json(*number) : value;
}

bool is_of(const Json& value, FieldKind kind) {
  switch (kind) {
    case kText: return value.is_string();
    case kWhole:
      return value.is_number_integer() && (!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX);
    case kNumber: return value.is_number();
    case kSeed: return value.is_number_integer() && (value.is_number_unsigned() || value.get<int64_t>() >= 0);
    default: return value.is_boolean();
  }
}

const char* words_for(FieldKind kind) {
  switch (kind) {
    case kText: return "a text";
    case kWhole: return "a whole number";
    case kNumber: return "a number";
    case kSeed: return "a whole number from 0 to 18446744073709551615";
    default: return "true or false";
  }
}

// What a form's text means for a field of that kind; null: nothing. One that means nothing stays a text.
Json value_of(std::string_view text, FieldKind kind) {
  if (kind == kText) return std::string(text);
  if (text.empty()) return nullptr;
  if (kind == kFlag && (text == "true" || text == "false")) return text == "true";
  if (kind == kWhole) {
    if (const auto number = number_in<int64_t>(text)) return *number;
  }
  if (kind == kNumber) {
    const auto number = number_in<double>(text);
    if (number && std::isfinite(*number)) return *number;
  }
  return std::string(text);  // a seed among them
}

}  // namespace

OpenaiFields OpenaiFields::of_generation(std::string_view json) {
  const Json object = io::parse_json(
      json,
      {.subject = "the body", .kind = ErrorKind::kUsage, .max_bytes = kMostJsonBytes, .max_values = kMostJsonValues});
  SUMI_CHECK_KIND(kUsage, object.is_object(), "the body must be a JSON object with `prompt`");
  OpenaiFields fields;
  for (const auto& [name, value] : object.items()) fields.add(name, value, false);
  return fields;
}

OpenaiFields OpenaiFields::of_edit(const std::vector<FormPart>& form, std::initializer_list<std::string_view> files) {
  OpenaiFields fields;
  for (const FormPart& part : form) {
    if (std::find(files.begin(), files.end(), part.name) != files.end()) continue;
    const OpenaiField& field = find(part.name, true);
    const std::string name(field.name);
    if (part.filename) throw BadField(fmt::format("`{}` must be a value, not a file", name), name, "invalid_type");
    if (part.body.size() > kMostTextBytes)
      throw BadField(fmt::format("`{}` is longer than {} bytes", name, kMostTextBytes), name, "invalid_value");
    if (find_invalid_utf8(part.body)) throw BadField(fmt::format("`{}` must be UTF-8", name), name, "invalid_value");
    if (fields.values_.contains(name)) throw BadField(fmt::format("`{}` is given twice", name), name, "invalid_value");
    fields.add(name, value_of(part.body, field.kind), true);
  }
  return fields;
}

void OpenaiFields::add(const std::string& name, Json value, bool edit) {
  const OpenaiField& field = find(name, edit);
  if (value.is_null()) return;
  if (field.kind == kWhole) value = as_whole(value);
  if (field.kind == kSeed) value = as_seed(value);
  if (!is_of(value, field.kind))
    throw BadField(fmt::format("`{}` must be {}", name, words_for(field.kind)), name, "invalid_type");
  values_[name] = std::move(value);
}

namespace {

template <class T> std::optional<T> value_in(const Json& values, std::string_view name) {
  const auto found = values.find(std::string(name));
  return found == values.end() ? std::nullopt : std::optional(found->get<T>());
}

}  // namespace

std::optional<std::string> OpenaiFields::text(std::string_view name) const {
  return value_in<std::string>(values_, name);
}
std::optional<int64_t> OpenaiFields::whole(std::string_view name) const { return value_in<int64_t>(values_, name); }
std::optional<double> OpenaiFields::number(std::string_view name) const { return value_in<double>(values_, name); }
std::optional<uint64_t> OpenaiFields::seed(std::string_view name) const { return value_in<uint64_t>(values_, name); }
bool OpenaiFields::flag(std::string_view name) const { return value_in<bool>(values_, name).value_or(false); }

std::optional<int64_t> OpenaiFields::whole(std::string_view name, int64_t least, int64_t most) const {
  const auto value = whole(name);
  if (value && (*value < least || *value > most))
    throw BadField(fmt::format("`{}` must be from {} to {}, not {}", name, least, most, *value), std::string(name),
                   "invalid_value");
  return value;
}

std::optional<std::string> OpenaiFields::word(std::string_view name,
                                              std::initializer_list<std::string_view> words) const {
  auto value = text(name);
  if (!value || std::find(words.begin(), words.end(), *value) != words.end()) return value;
  std::string list;
  for (const std::string_view word : words) list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", word);
  throw BadField(fmt::format("`{}` must be one of {}, not \"{}\"", name, list, excerpt(*value)), std::string(name),
                 "invalid_value");
}

}  // namespace sumi::app
