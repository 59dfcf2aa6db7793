// The parts of the OpenAPI document, and what they are written with.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sumi::app::openapi {

using Json = nlohmann::ordered_json;

// One method of a path. Parameters in the path are made from its braces.
struct Operation {
  std::string_view method, path, summary;
  Json body = nullptr;                                // the content of a request's body; null: none
  std::vector<std::pair<std::string, Json>> replies;  // by status
  std::vector<int> errors = {};                       // statuses with the schema `error`
  Json parameters = Json::array();                    // beside those in the path
};

std::vector<Operation> native_operations();
std::vector<Operation> face_operations();  // of OpenAI's and the web UI's
Json schemas();                            // by name

inline Json schema_named(std::string_view name) { return {{"$ref", "#/components/schemas/" + std::string(name)}}; }
inline Json typed(std::string_view type, std::string_view about) {
  Json schema{{"type", type}};
  if (!about.empty()) schema["description"] = about;
  return schema;
}
inline Json text(std::string_view about = {}) { return typed("string", about); }
inline Json whole(std::string_view about = {}) { return typed("integer", about); }
inline Json number(std::string_view about = {}) { return typed("number", about); }
inline Json flag(std::string_view about = {}) { return typed("boolean", about); }
inline Json or_null(Json schema) {
  schema["type"] = Json::array({schema["type"], "null"});
  return schema;
}
inline Json list_of(Json items, std::string_view about = {}) {
  Json schema = typed("array", about);
  schema["items"] = std::move(items);
  return schema;
}
inline Json one_of(std::initializer_list<std::string_view> words, std::string_view about = {}) {
  Json schema = text(about);
  schema["enum"] = Json::array();
  for (const std::string_view word : words) schema["enum"].push_back(word);
  return schema;
}

// An object; all members but those in `open` are required.
using Members = std::vector<std::pair<std::string, Json>>;
Json object(const Members& members, std::initializer_list<std::string_view> open = {}, std::string_view about = {});
// One of which nothing is required, but `required`; other members are refused unless `others`.
Json input(const Members& members, std::initializer_list<std::string_view> required, bool others,
           std::string_view about = {});

inline Json content(std::string_view type, Json schema) {
  Json of_type = Json::object();
  of_type[std::string(type)] = {{"schema", std::move(schema)}};
  return of_type;
}
inline Json json_content(Json schema) { return content("application/json", std::move(schema)); }
inline Json reply(std::string_view about, Json content) {
  Json all{{"description", about}};
  if (!content.is_null()) all["content"] = std::move(content);
  return all;
}
inline Json json_reply(std::string_view about, Json schema) { return reply(about, json_content(std::move(schema))); }
inline Json png_reply() { return reply("the picture", content("image/png", text())); }

}  // namespace sumi::app::openapi
