#include "api/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "api/to_value.h"
#include "base/check.h"
#include "base/nearest.h"
#include "base/text_util.h"
#include "io/json_text.h"

namespace sumi::api {
namespace {

using Json = nlohmann::json;

constexpr size_t kShownBytes = 40;                  // of a text in a message
constexpr double kWholeDoubles = 9007199254740992;  // 2^53: up to here a double is the whole number that was written

// A value that is wrong, in a message.
std::string show(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  if (value.is_string())
    return fmt::format("\"{}\"", shorten(strip_control(value.get_ref<const std::string&>()), kShownBytes));
  return value.dump();
}

// `name` is the field as messages call it: "steps", "loras[1].weight".
[[noreturn]] void fail_type(const std::string& name, std::string_view wanted, const Json& value) {
  fail(ErrorKind::kUsage, "`{}` must be {}, not {}", name, wanted, show(value));
}

// "a", "b" or "c"
std::string list_choices(const std::vector<std::string_view>& choices) {
  std::string list;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) list += i + 1 == choices.size() ? " or " : ", ";
    list += fmt::format("\"{}\"", choices[i]);
  }
  return list;
}

template <class S> void read_struct(const Json& json, S& object, const std::string& name);

void read_value(const Json& json, bool& value, const std::string& name, const Field&) {
  if (!json.is_boolean()) fail_type(name, "true or false", json);
  value = json.get<bool>();
}

void read_value(const Json& json, std::string& value, const std::string& name, const Field& field) {
  if (!json.is_string()) fail_type(name, field.choices.empty() ? "a string" : list_choices(field.choices), json);
  value = json.get_ref<const std::string&>();
  SUMI_CHECK_KIND(kUsage, value.find('\0') == std::string::npos, "`{}` has a zero character", name);
  if (!field.choices.empty() && std::find(field.choices.begin(), field.choices.end(), value) == field.choices.end())
    fail_type(name, list_choices(field.choices), json);
}

void read_value(const Json& json, double& value, const std::string& name, const Field& field) {
  if (!json.is_number()) fail_type(name, "a number", json);
  value = json.get<double>();
  const double least = field.min.value_or(std::numeric_limits<double>::lowest());
  const double most = field.max.value_or(std::numeric_limits<double>::max());
  if (value < least || value > most) fail_type(name, fmt::format("from {} to {}", least, most), json);
}

// "from 1 to 10000", "a multiple of 8 from 8 to 16384"
template <class T> std::string range_of(const Field& field, T least, T most) {
  const std::string range = fmt::format("from {} to {}", least, most);
  return field.multiple_of == 1 ? range : fmt::format("a multiple of {} {}", field.multiple_of, range);
}

template <class T> void read_whole(const Json& json, T& value, const std::string& name, const Field& field) {
  const T least = field.min ? static_cast<T>(*field.min) : std::numeric_limits<T>::min();
  const T most = field.max ? static_cast<T>(*field.max) : std::numeric_limits<T>::max();
  const auto take = [&](auto number) {
    if (std::cmp_less(number, least) || std::cmp_greater(number, most) ||
        number % static_cast<decltype(number)>(field.multiple_of) != 0) {
      fail_type(name, range_of(field, least, most), json);
    }
    value = static_cast<T>(number);
  };
  if (json.is_number_unsigned()) return take(json.get<uint64_t>());
  if (json.is_number_integer()) return take(json.get<int64_t>());
  if (!json.is_number_float() || std::trunc(json.get<double>()) != json.get<double>())
    fail_type(name, "a whole number", json);
  if (std::abs(json.get<double>()) > kWholeDoubles) {
    const bool may_be_right = std::cmp_greater(most, static_cast<int64_t>(kWholeDoubles));
    fail_type(name, range_of(field, least, most) + (may_be_right ? ", in digits alone above 2^53" : ""), json);
  }
  take(static_cast<int64_t>(json.get<double>()));
}

void read_value(const Json& json, int64_t& value, const std::string& name, const Field& field) {
  read_whole(json, value, name, field);
}

// Also as a string of digits, for clients whose numbers are doubles.
void read_value(const Json& json, uint64_t& value, const std::string& name, const Field& field) {
  if (!json.is_string()) return read_whole(json, value, name, field);
  const auto& text = json.get_ref<const std::string&>();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) fail_type(name, "a whole number", json);
  if (error == std::errc::result_out_of_range)
    fail_type(name, range_of<uint64_t>(field, 0, std::numeric_limits<uint64_t>::max()), json);
}

template <class S> void read_value(const Json& json, S& object, const std::string& name, const Field&) {
  read_struct(json, object, name);
}

template <class T>
void read_value(const Json& json, std::optional<T>& value, const std::string& name, const Field& field) {
  read_value(json, value.emplace(), name, field);
}

template <class T>
void read_value(const Json& json, std::vector<T>& values, const std::string& name, const Field& field) {
  if (!json.is_array()) fail_type(name, "a list", json);
  const size_t most = field.max_items == 0 ? json.size() : field.max_items;
  SUMI_CHECK_KIND(kUsage, json.size() >= field.min_items, "`{}` must not be an empty list", name);
  SUMI_CHECK_KIND(kUsage, json.size() <= most, "`{}` must be a list of at most {}, not of {}", name, most, json.size());
  values.resize(json.size());
  for (size_t i = 0; i < values.size(); ++i) read_value(json[i], values[i], fmt::format("{}[{}]", name, i), field);
}

// The value of a key, or null where it is absent.
const Json& value_of(const Json& json, std::string_view key) {
  static const Json none;
  const auto found = json.find(key);
  return found == json.end() ? none : *found;
}

// The names that a struct's JSON may have.
template <class S> std::vector<std::string> names_of(S& object) {
  std::vector<std::string> names;
  visit_fields(object, [&](const auto&, const Field& field) {
    if (!field.alone.empty()) names.emplace_back(field.alone);
    names.emplace_back(field.name);
  });
  return names;
}

template <class S> void refuse_unknown(const Json& json, S& object, const std::string& prefix) {
  const std::vector<std::string> names = names_of(object);
  for (const auto& item : json.items()) {
    if (std::find(names.begin(), names.end(), item.key()) != names.end()) continue;
    const std::string shown = prefix + shorten(strip_control(item.key()), kShownBytes);
    const std::string nearest = item.key().size() <= kShownBytes ? nearest_of(item.key(), names) : "";
    if (!nearest.empty())
      fail(ErrorKind::kUsage, "`{}` is no field of {}; did you mean `{}`?", shown, kCalled<S>, nearest);
    fail(ErrorKind::kUsage, "`{}` is no field of {}; there are `{}`", shown, kCalled<S>, fmt::join(names, "`, `"));
  }
}

// One value may stand alone under a name of its own: "prompt" beside "prompts".
template <class T>
void read_alone(const Json& json, const Json& listed, std::vector<T>& values, const std::string& prefix,
                const Field& field) {
  SUMI_CHECK_KIND(kUsage, listed.is_null(), "`{0}{1}` and `{0}{2}` exclude one another", prefix, field.alone,
                  field.name);
  values.resize(1);
  read_value(json, values[0], prefix + std::string(field.alone), field);
}

// `name` is empty for the text's own value, and else the object's place in it: "loras[1]".
template <class S> void read_struct(const Json& json, S& object, const std::string& name) {
  if (!json.is_object() && name.empty())
    fail(ErrorKind::kUsage, "{} must be an object, not {}", kCalled<S>, show(json));
  if (!json.is_object()) fail_type(name, "an object", json);
  const std::string prefix = name.empty() ? "" : name + ".";
  refuse_unknown(json, object, prefix);
  visit_fields(object, [&]<class T>(T& member, const Field& field) {
    const Json& value = value_of(json, field.name);
    if constexpr (requires { member.emplace_back(); }) {
      const Json& alone = value_of(json, field.alone);
      if (!alone.is_null()) return read_alone(alone, value, member, prefix, field);
    }
    if (!value.is_null()) return read_value(value, member, prefix + std::string(field.name), field);
    const std::string names = field.alone.empty() ? "" : fmt::format("`{}{}` or ", prefix, field.alone);
    SUMI_CHECK_KIND(kUsage, !field.required, "{} needs {}`{}{}`", kCalled<S>, names, prefix, field.name);
  });
}

template <class S> S parse(std::string_view text) {
  S object;
  read_struct(io::parse_json(text, {.subject = kCalled<S>,
                                    .kind = ErrorKind::kUsage,
                                    .max_bytes = kMaxJsonBytes,
                                    .max_depth = kMaxJsonDepth,
                                    .max_data_bytes = kMaxJsonBytes,
                                    .max_values = kMaxJsonValues}),
              object, "");
  return object;
}

template <class T> std::string dump(const T& value) { return io::json_line(to_value(value)); }

}  // namespace

EngineOptions parse_engine_options(std::string_view text) { return parse<EngineOptions>(text); }
ModelOptions parse_model_options(std::string_view text) { return parse<ModelOptions>(text); }
Request parse_request(std::string_view text) { return parse<Request>(text); }

std::string to_json(const ModelInfo& info) { return dump(info); }
std::string to_json(const Request& request) { return dump(request); }
std::string to_json(const Settings& settings) { return dump(settings); }
std::string to_json(const Step& step) { return dump(step); }
std::string to_json(const PictureInfo& picture) { return dump(picture); }
std::string to_json(const std::vector<NamedHelp>& entries) { return dump(entries); }

}  // namespace sumi::api
