#include "io/json_text.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/text_util.h"

namespace sumi::io {
namespace {

using Event = nlohmann::json::parse_event_t;

// Follows the parser, which has its own stack: the limit on depth protects code that walks the value later. Without
// this check the parser would silently keep the last of a repeated key.
class Watch {
 public:
  explicit Watch(const JsonRules& rules) : rules_(rules) {}

  void operator()(int depth, Event event, const nlohmann::json& value) {
    if (event == Event::key) return see_key(value.get_ref<const std::string&>());
    const bool opens = event == Event::object_start || event == Event::array_start;
    if (opens && depth >= rules_.max_depth)
      fail(rules_.kind, "{}: nested more than {} deep", rules_.subject, rules_.max_depth);
    if ((opens || event == Event::value) && ++values_ > rules_.max_values)
      fail(rules_.kind, "{}: more than {} values", rules_.subject, rules_.max_values);
    if (event == Event::object_start) keys_.emplace_back();
    if (event == Event::object_end) keys_.pop_back();
  }
  const std::string& last_key() const { return last_key_; }

 private:
  void see_key(const std::string& key) {
    if (key.size() > kMaxJsonKeyBytes) fail(rules_.kind, "{}: a key of {} bytes", rules_.subject, key.size());
    last_key_ = shorten(strip_control(key), 60);
    if (!keys_.back().insert(key).second)
      fail(rules_.kind, "{}: the key \"{}\" appears twice", rules_.subject, last_key_);
  }

  const JsonRules& rules_;
  std::vector<std::set<std::string>> keys_;  // of each object that is open
  std::string last_key_;                     // as messages may show it
  size_t values_ = 0;
};

void check_encoding(std::string_view text, const JsonRules& rules) {
  const bool utf16 = text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") || text.find('\0') < 4;
  if (utf16) fail(rules.kind, "{}: is UTF-16 or UTF-32; JSON is read as UTF-8", rules.subject);
  if (const auto bad = find_invalid_utf8(text)) fail(rules.kind, "{}: not UTF-8 at byte {}", rules.subject, *bad);
  // The parser would take it for the end of the text.
  if (const auto zero = text.find('\0'); zero != std::string_view::npos)
    fail(rules.kind, "{}: not valid JSON at byte {}: it is zero", rules.subject, zero);
}

// The parser puts what it cannot take into its message, several times over: bounds that first.
void check_tokens(std::string_view text, const JsonRules& rules) {
  bool in_string = false;
  size_t digits = 0, begin = 0, most = rules.max_string_bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      in_string = !in_string;
      begin = i;
      most = text.substr(i + 1).starts_with("data:") ? rules.max_data_bytes : rules.max_string_bytes;
    }
    if (in_string && text[i] == '\\') ++i;
    digits = in_string || text[i] < '0' || text[i] > '9' ? 0 : digits + 1;
    if (digits > kMaxJsonDigits) fail(rules.kind, "{}: a number of more than {} digits", rules.subject, kMaxJsonDigits);
    if (in_string && i - begin > most) fail(rules.kind, "{}: a string of more than {} bytes", rules.subject, most);
  }
}

// The text with Python's names of numbers that JSON does not have in quotes.
std::string without_python_numbers(std::string_view text) {
  std::string out;
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    const std::string_view names[] = {"-Infinity", "Infinity", "NaN"};
    const auto* name =
        in_string ? std::end(names)
                  : std::find_if(std::begin(names), std::end(names), [&](auto n) { return rest.starts_with(n); });
    if (name != std::end(names)) {
      out += '"' + std::string(*name) + '"';
      i += name->size();
      continue;
    }
    if (text[i] == '"') in_string = !in_string;
    if (in_string && text[i] == '\\' && i + 1 < text.size()) out += text[i++];
    out += text[i++];
  }
  return out;
}

}  // namespace

nlohmann::json parse_json(std::string_view text, const JsonRules& rules) {
  if (text.size() > rules.max_bytes)
    fail(rules.kind, "{}: {} bytes; at most {} are read", rules.subject, text.size(), rules.max_bytes);
  check_encoding(text, rules);
  check_tokens(text, rules);
  std::string changed;
  if (rules.python_numbers) text = changed = without_python_numbers(text);
  Watch watch(rules);
  try {
    return nlohmann::json::parse(text, [&](int depth, Event event, nlohmann::json& value) {
      watch(depth, event, value);
      return true;
    });
  } catch (const nlohmann::json::parse_error& e) {
    fail(rules.kind, "{}: not valid JSON at byte {}{}", rules.subject, e.byte,
         e.byte > text.size() ? ", where it ends too early" : "");
  } catch (const nlohmann::json::exception&) {  // a number too large for a double
    fail(rules.kind, "{}: holds a number that is out of range{}", rules.subject,
         watch.last_key().empty() ? "" : ", after the key \"" + watch.last_key() + "\"");
  }
}

std::string json_line(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}
std::string json_line(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace sumi::io
