#include "api/schema.h"

#include <limits>

#include "api/to_value.h"

namespace sumi::api {
namespace {

enum class Direction { kInput, kOutput };

template <class T> struct Unwrap {
  using Type = T;
  static constexpr bool kOptional = false, kList = false;
};
template <class T> struct Unwrap<std::optional<T>> {
  using Type = T;
  static constexpr bool kOptional = true, kList = false;
};
template <class T> struct Unwrap<std::vector<T>> {
  using Type = T;
  static constexpr bool kOptional = false, kList = true;
};

// The definitions of structs that others hold.
template <class S> constexpr std::string_view kDefinition{};
template <> constexpr std::string_view kDefinition<Lora> = "lora";
template <> constexpr std::string_view kDefinition<Control> = "control";
template <> constexpr std::string_view kDefinition<Hires> = "hires";
template <> constexpr std::string_view kDefinition<Source> = "source";
template <> constexpr std::string_view kDefinition<ControlSettings> = "control_settings";
template <> constexpr std::string_view kDefinition<HiresSettings> = "hires_settings";

// One value of type T: a number, a text, a boolean or a struct.
template <class T> OrderedJson value_schema(const Field& field) {
  OrderedJson schema;
  if constexpr (!kDefinition<T>.empty()) {
    schema["$ref"] = "#/$defs/" + std::string(kDefinition<T>);
  } else if constexpr (std::same_as<T, bool>) {
    schema["type"] = "boolean";
  } else if constexpr (std::same_as<T, std::string>) {
    schema["type"] = "string";
    if (!field.choices.empty()) schema["enum"] = to_value(field.choices);
  } else if constexpr (std::same_as<T, double>) {
    schema["type"] = "number";
    if (field.min) schema["minimum"] = *field.min;
    if (field.max) schema["maximum"] = *field.max;
  } else {
    schema["type"] = "integer";
    if (field.min) schema["minimum"] = static_cast<T>(*field.min);
    if (field.max) schema["maximum"] = static_cast<T>(*field.max);
    if (std::same_as<T, uint64_t>) schema.update({{"minimum", 0}, {"maximum", std::numeric_limits<T>::max()}});
    if (field.multiple_of != 1) schema["multipleOf"] = field.multiple_of;
  }
  return schema;
}

// Lets `schema` also be null, which an input takes for absence.
void allow_null(OrderedJson& schema) {
  if (schema.contains("$ref")) {
    schema = {{"anyOf", {schema, {{"type", "null"}}}}};
    return;
  }
  if (!schema["type"].is_array()) schema["type"] = OrderedJson::array({schema["type"]});
  schema["type"].push_back("null");
  if (schema.contains("enum")) schema["enum"].push_back(nullptr);
}

template <class T> OrderedJson member_schema(const T& initial, const Field& field, Direction direction) {
  using Kind = Unwrap<T>;
  OrderedJson schema = value_schema<typename Kind::Type>(field);
  if (std::same_as<typename Kind::Type, uint64_t> && direction == Direction::kInput) {
    schema["type"] = {"integer", "string"};
    schema["pattern"] = "^[0-9]{1,20}$";
  }
  if (Kind::kList) {
    schema = {{"type", "array"}, {"items", schema}};
    if (field.min_items > 0) schema["minItems"] = field.min_items;
    if (field.max_items > 0) schema["maxItems"] = field.max_items;
  }
  if (direction == Direction::kInput) {
    if (!field.required || !field.alone.empty()) allow_null(schema);
    if (!field.required && !Kind::kOptional && !Kind::kList) schema["default"] = to_value(initial);
  }
  schema["description"] = field.help;
  return schema;
}

// Exactly one of a list and of an element that stands alone.
OrderedJson either_of(const Field& field) {
  const auto only = [](std::string_view given, std::string_view type, std::string_view other) {
    return OrderedJson{
        {"required", {given}},
        {"properties", {{std::string(given), {{"type", type}}}, {std::string(other), {{"type", "null"}}}}}};
  };
  return {only(field.alone, "string", field.name), only(field.name, "array", field.alone)};
}

template <class S> OrderedJson struct_schema(std::string_view about, Direction direction) {
  OrderedJson schema = {{"type", "object"}, {"description", about}, {"properties", OrderedJson::object()}};
  OrderedJson required = OrderedJson::array();
  const S initial{};
  visit_fields(initial, [&]<class T>(const T& member, const Field& field) {
    auto& properties = schema["properties"];
    if (!field.alone.empty()) {
      properties[std::string(field.alone)] = {{"type", {"string", "null"}},
                                              {"description", "the same as a list of this one"}};
      schema["oneOf"] = either_of(field);
    } else if (field.required || (direction == Direction::kOutput && !Unwrap<T>::kOptional)) {
      required.push_back(field.name);
    }
    properties[std::string(field.name)] = member_schema(member, field, direction);
  });
  if (!required.empty()) schema["required"] = required;
  if (direction == Direction::kInput) schema["additionalProperties"] = false;  // replies grow, requests are checked
  return schema;
}

}  // namespace

std::string json_schema() {
  constexpr auto kInput = Direction::kInput, kOutput = Direction::kOutput;
  OrderedJson schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                        {"title", "A request to sumi"},
                        {"$ref", "#/$defs/request"}};
  OrderedJson& definitions = schema["$defs"];
  definitions["request"] = struct_schema<Request>("what to draw: sumi_job_create", kInput);
  definitions["lora"] = struct_schema<Lora>("a LoRA file and how strongly it acts", kInput);
  definitions["control"] = struct_schema<Control>("a ControlNet and the picture that it follows", kInput);
  definitions["hires"] = struct_schema<Hires>("a second pass over a larger version of each picture", kInput);
  definitions["engine_options"] = struct_schema<EngineOptions>("sumi_engine_create", kInput);
  definitions["model_options"] = struct_schema<ModelOptions>("sumi_model_open", kInput);
  definitions["model_info"] = struct_schema<ModelInfo>("a reply of sumi_model_describe", kOutput);
  definitions["settings"] = struct_schema<Settings>("a reply of sumi_job_describe", kOutput);
  definitions["source"] = struct_schema<Source>("a picture that was given", kOutput);
  definitions["control_settings"] = struct_schema<ControlSettings>("a ControlNet as it is used", kOutput);
  definitions["hires_settings"] = struct_schema<HiresSettings>("a second pass as it is made", kOutput);
  definitions["picture"] = struct_schema<PictureInfo>("a finished picture, as its callback is told", kOutput);
  definitions["step"] = struct_schema<Step>("progress", kOutput);
  definitions["named_help"] = struct_schema<NamedHelp>("an element of a reply of sumi_list", kOutput);
  return schema.dump(2) + "\n";
}

}  // namespace sumi::api
