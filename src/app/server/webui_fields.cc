#include "app/server/webui_fields.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "api/json.h"
#include "app/server/http_text.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/text_util.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

using Json = nlohmann::json;

constexpr double kMostExact = 9007199254740992.0;  // 2^53: whole numbers up to it are exact in a double

// The whole number that a JSON number is, if it is one.
std::optional<int64_t> whole_in(const Json& value) {
  if (value.is_number_unsigned())
    return value.get<uint64_t>() <= INT64_MAX ? std::optional(value.get<int64_t>()) : std::nullopt;
  if (value.is_number_integer()) return value.get<int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const auto number = value.get<double>();
  const bool exact = number == std::floor(number) && std::abs(number) <= kMostExact;
  return exact ? std::optional(static_cast<int64_t>(number)) : std::nullopt;
}

bool is_empty(const Json& value) {
  return value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty()) ||
         ((value.is_array() || value.is_object()) && value.empty());
}

}  // namespace

Json read_web_body(const std::string& body) {
  Json json = io::parse_json(body, {.subject = "the body",
                                    .kind = ErrorKind::kUsage,
                                    .max_bytes = api::kMaxJsonBytes,
                                    .max_data_bytes = api::kMaxJsonBytes,
                                    .max_values = api::kMaxJsonValues,
                                    .max_string_bytes = api::kMaxJsonBytes});
  SUMI_CHECK_KIND(kUsage, json.is_object(), "the body must be a JSON object");
  return json;
}

Json web_plain_text(const Json& value) {
  constexpr size_t kLongest = 32;  // of the texts that can be numbers
  if (!value.is_string() || value.get_ref<const std::string&>().size() > kLongest) return nullptr;
  const Json plain = Json::parse(lower_case(value.get_ref<const std::string&>()), nullptr, false);
  return plain.is_number() || plain.is_boolean() ? plain : Json();
}

bool is_neutral(const Json& value, const Json& neutral) {
  if (is_empty(value) && is_empty(neutral)) return true;
  if (const Json plain = web_plain_text(value); !plain.is_null() && !neutral.is_string())
    return is_neutral(plain, neutral);
  if (value.is_boolean() && neutral.is_number()) return neutral == (value.get<bool>() ? 1 : 0);
  if (value.is_number() && neutral.is_boolean()) return value == (neutral.get<bool>() ? 1 : 0);
  return value == neutral;  // compares numbers by their values
}

const Json* WebFields::find(const std::string& name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<Json> WebFields::plain(const std::string& name) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number() || value->is_boolean()) return *value;
  return web_plain_text(*value);
}

std::optional<std::string> WebFields::text(const std::string& name) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  SUMI_CHECK_KIND(kUsage, value->is_string(), "{} must be a text", called(name));
  return value->get<std::string>();
}

std::string WebFields::text_or(const std::string& name, std::string otherwise) const {
  std::string value = text(name).value_or("");
  return value.empty() ? std::move(otherwise) : value;
}

std::optional<int64_t> WebFields::whole(const std::string& name, int64_t least, int64_t most) const {
  const auto value = plain(name);
  if (!value) return std::nullopt;
  SUMI_CHECK_KIND(kUsage, value->is_number(), "{} must be a whole number", called(name));
  const auto number = whole_in(*value);
  SUMI_CHECK_KIND(kUsage, number && *number >= least && *number <= most, "{} must be a whole number from {} to {}",
                  called(name), least, most);
  return number;
}

std::optional<double> WebFields::number(const std::string& name, double least, double most) const {
  const auto value = plain(name);
  if (!value) return std::nullopt;
  SUMI_CHECK_KIND(kUsage, value->is_number(), "{} must be a number", called(name));
  const auto number = value->get<double>();
  SUMI_CHECK_KIND(kUsage, number >= least && number <= most, "{} must be from {} to {}, not {}", called(name), least,
                  most, number);
  return number;
}

bool WebFields::flag(const std::string& name, bool otherwise) const {
  const auto value = plain(name);
  if (!value) return otherwise;
  if (value->is_boolean()) return value->get<bool>();
  const auto number = whole_in(*value);
  SUMI_CHECK_KIND(kUsage, number == 0 || number == 1, "{} must be true or false", called(name));
  return number == 1;
}

std::optional<uint64_t> WebFields::seed(const std::string& name) const {
  const auto value = plain(name);
  if (!value) return std::nullopt;
  if (value->is_number_unsigned()) return value->get<uint64_t>();
  const auto number = whole_in(*value);
  SUMI_CHECK_KIND(kUsage, number && *number >= -1,
                  "{} must be a whole number from 0 to 18446744073709551615, or -1 for one at random", called(name));
  return *number < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(*number));
}

const Json* WebFields::list(const std::string& name) const {
  const Json* value = find(name);
  SUMI_CHECK_KIND(kUsage, value == nullptr || value->is_array(), "{} must be a list", called(name));
  return value;
}

const Json* WebFields::object(const std::string& name) const {
  const Json* value = find(name);
  if (value != nullptr && value->is_array() && value->empty()) return nullptr;  // an empty object of PHP and Lua
  SUMI_CHECK_KIND(kUsage, value == nullptr || value->is_object(), "{} must be an object", called(name));
  return value;
}

std::string WebFields::picture(const std::string& name) const {
  const Json* value = find(name);
  return value == nullptr || is_empty(*value) ? std::string() : picture_of(*value, called(name));
}

void WebFields::must_be(const std::string& name, const Json& neutral, std::string_view why) const {
  const Json* value = find(name);
  SUMI_CHECK_KIND(kUsage, value == nullptr || is_neutral(*value, neutral), "{}: {}", called(name), why);
}

std::string picture_of(const Json& value, const std::string& called) {
  SUMI_CHECK_KIND(kUsage, value.is_string(), "{} must be a picture in base64", called);
  const auto& text = value.get_ref<const std::string&>();
  const std::string begin = lower_case(std::string_view(text).substr(0, 8));
  SUMI_CHECK_KIND(kUsage, !begin.starts_with("http:") && !begin.starts_with("https:") && !begin.starts_with("file:"),
                  "{} is an address, and nothing is fetched; give the picture itself, in base64", called);
  std::string_view encoded = text;
  if (begin.starts_with("data:")) {
    const size_t comma = text.find(',');
    SUMI_CHECK_KIND(kUsage, comma != std::string::npos && text.substr(0, comma).ends_with(";base64"),
                    "{} is a data URI that is not in base64; it must begin as \"data:image/png;base64,\"", called);
    encoded.remove_prefix(comma + 1);
  }
  const auto bytes = from_base64(encoded);
  SUMI_CHECK_KIND(kUsage, bytes && !bytes->empty(), "{} is not a picture in base64", called);
  return "data:image/png;base64," + std::string(encoded);
}

}  // namespace sumi::app
