// The fields of a request of OpenAI's images API, from JSON or a form: which there are, and their types.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/server/multipart.h"

namespace sumi::app {

enum class FieldKind : unsigned char { kText, kWhole, kNumber, kFlag, kSeed };

struct OpenaiField {
  std::string_view name;
  FieldKind kind;
  bool generations = true, edits = true;  // which of the two has it
};

// Values by the fields' names. Absent and null are the same, and so is an empty value in a form, but of a text.
class OpenaiFields {
 public:
  // Throws BadField for a field that there is not ("unknown_parameter") and one of another type ("invalid_type").
  static OpenaiFields of_generation(std::string_view json);
  // Files are left to the caller: parts that are named so are passed over.
  static OpenaiFields of_edit(const std::vector<FormPart>& form, std::initializer_list<std::string_view> files);

  std::optional<std::string> text(std::string_view name) const;
  std::optional<int64_t> whole(std::string_view name) const;
  std::optional<double> number(std::string_view name) const;
  std::optional<uint64_t> seed(std::string_view name) const;
  bool flag(std::string_view name) const;
  // The same within bounds, or one of some words; throw BadField("invalid_value").
  std::optional<int64_t> whole(std::string_view name, int64_t least, int64_t most) const;
  std::optional<std::string> word(std::string_view name, std::initializer_list<std::string_view> words) const;

 private:
  void add(const std::string& name, nlohmann::json value, bool edit);

  nlohmann::json values_ = nlohmann::json::object();
};

}  // namespace sumi::app
