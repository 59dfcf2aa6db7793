// The JSON that clients of A1111's web UI send: fields by name, of the types that they must have.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace sumi::app {

// The body of a request, an object. Throws Error(kUsage).
nlohmann::json read_web_body(const std::string& body);

// Fields of one object. Absent and null are the same. A text that is wholly a number, or true or false, is taken for
// that where one must be given: "64". All throw Error(kUsage), one sentence that names the field, for a
// value of another type or out of its bounds. `object` must outlive it.
class WebFields {
 public:
  // `within`: what messages say after a field's name, " of a ControlNet unit".
  explicit WebFields(const nlohmann::json& object, std::string within = {})
      : object_(object), within_(std::move(within)) {}

  const nlohmann::json* find(const std::string& name) const;  // nullptr: absent or null
  bool has(const std::string& name) const { return find(name) != nullptr; }
  // "`steps`", "`weight` of a ControlNet unit".
  std::string called(const std::string& name) const { return "`" + name + "`" + within_; }

  std::optional<std::string> text(const std::string& name) const;
  // One that is empty is absent too.
  std::string text_or(const std::string& name, std::string otherwise) const;
  // 20.0 is 20.
  std::optional<int64_t> whole(const std::string& name, int64_t least, int64_t most) const;
  std::optional<double> number(const std::string& name, double least, double most) const;
  // true, false, 1 or 0.
  bool flag(const std::string& name, bool otherwise) const;
  // A seed; none where it is absent or -1, which both mean "at random".
  std::optional<uint64_t> seed(const std::string& name) const;
  // A list or an object; nullptr: absent or null.
  const nlohmann::json* list(const std::string& name) const;
  const nlohmann::json* object(const std::string& name) const;
  // A picture as picture_of gives it; empty: absent or an empty text.
  std::string picture(const std::string& name) const;

  // Throws where the field is given with another value than `neutral`, with `why` as the rest of the sentence.
  void must_be(const std::string& name, const nlohmann::json& neutral, std::string_view why) const;

 private:
  // A number or a flag, of a text too; null: of another type. None: absent.
  std::optional<nlohmann::json> plain(const std::string& name) const;

  const nlohmann::json& object_;
  std::string within_;
};

// Base64, or a data URI of it, as a data URI. `called` is what messages call it. Throws Error(kUsage) for an address,
// which is never fetched, and for what is not base64.
std::string picture_of(const nlohmann::json& value, const std::string& called);

// The number or the flag that a text is ("20", "False"), or null. `value`: of any type.
nlohmann::json web_plain_text(const nlohmann::json& value);

// Whether two values are the same as far as the web UI's clients tell them apart: 1 is 1.0, true and "1", null is ""
// and [].
bool is_neutral(const nlohmann::json& value, const nlohmann::json& neutral);

}  // namespace sumi::app
