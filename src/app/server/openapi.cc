#include "app/server/openapi.h"

#include <algorithm>
#include <map>
#include <memory>

#include "app/server/http_text.h"
#include "app/server/openapi_parts.h"
#include "base/check.h"
#include "sumi/engine.h"

namespace sumi::app {
namespace openapi {

Json object(const Members& members, std::initializer_list<std::string_view> open, std::string_view about) {
  Json schema = typed("object", about);
  schema["properties"] = Json::object();
  Json required = Json::array();
  for (const auto& [name, member] : members) {
    schema["properties"][name] = member;
    if (std::find(open.begin(), open.end(), name) == open.end()) required.push_back(name);
  }
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

Json input(const Members& members, std::initializer_list<std::string_view> required, bool others,
           std::string_view about) {
  Json schema = typed("object", about);
  schema["properties"] = Json::object();
  for (const auto& [name, member] : members) schema["properties"][name] = member;
  if (required.size() > 0) schema["required"] = Json::array();
  for (const std::string_view name : required) schema["required"].push_back(name);
  if (!others) schema["additionalProperties"] = false;
  return schema;
}

}  // namespace openapi

namespace {

using openapi::Json;
using openapi::Operation;

// Those in a path's braces.
Json path_parameters(std::string_view path) {
  static const std::map<std::string, std::string, std::less<>> about{
      {"id", "of a job"},
      {"number", "of a picture in its job, from 0"},
      {"name", "of a model, as GET /v1/models lists it"},
      {"folder", "what the model's name has before its slash"},
      {"run", "of a training run, as GET /v1/training lists it"},
      {"step", "after which the samples were drawn"},
  };
  Json all = Json::array();
  for (size_t open = path.find('{'); open != std::string_view::npos; open = path.find('{', open + 1)) {
    const std::string name(path.substr(open + 1, path.find('}', open) - open - 1));
    const bool is_whole = name == "number" || name == "step";
    all.push_back({{"name", name},
                   {"in", "path"},
                   {"required", true},
                   {"description", about.at(name)},
                   {"schema", {{"type", is_whole ? "integer" : "string"}}}});
  }
  return all;
}

// "post_v1_jobs_id_cancel"
std::string id_of(const Operation& operation) {
  std::string id = lower_case(operation.method);
  for (const char c : operation.path) {
    if (c == '{' || c == '}') continue;
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    id += letter ? c : '_';
  }
  return id;
}

std::string_view tag_of(std::string_view path) {
  if (path.starts_with("/v1/images/")) return "OpenAI's images API";
  if (path.starts_with("/sdapi/") || path.starts_with("/controlnet/") || path.starts_with("/internal/"))
    return "A1111's web UI's API";
  return "sumi";
}

Json json_of(const Operation& operation) {
  Json json{{"operationId", id_of(operation)},
            {"tags", Json::array({tag_of(operation.path)})},
            {"summary", operation.summary}};
  Json parameters = path_parameters(operation.path);
  for (const Json& parameter : operation.parameters) parameters.push_back(parameter);
  if (!parameters.empty()) json["parameters"] = std::move(parameters);
  if (!operation.body.is_null()) json["requestBody"] = {{"required", true}, {"content", operation.body}};
  const Json error = openapi::schema_named(operation.path.starts_with("/v1/images/") ? "openai_error" : "error");
  Json& responses = json["responses"];
  for (const auto& [status, reply] : operation.replies) responses[status] = reply;
  for (const int status : operation.errors)
    responses[std::to_string(status)] = openapi::json_reply(reason_of(status), error);
  responses["default"] = openapi::json_reply("what went wrong, in a sentence", error);
  return json;
}

Json paths() {
  Json all = Json::object();
  for (const auto& operations : {openapi::native_operations(), openapi::face_operations()}) {
    for (const Operation& operation : operations)
      all[std::string(operation.path)][lower_case(operation.method)] = json_of(operation);
  }
  return all;
}

}  // namespace

std::string openapi_text() {
  Json document{{"openapi", "3.1.0"},
                {"info",
                 {{"title", "sumi"},
                  {"version", Engine::version()},
                  {"description", "Draws pictures: jobs are submitted, watched, and their pictures fetched."}}},
                {"jsonSchemaDialect", "https://json-schema.org/draft/2020-12/schema"},
                {"servers", Json::array({{{"url", "/"}}})}};
  Json none = Json::object(), bearer = Json::object(), basic = Json::object();
  bearer["bearer"] = Json::array();
  basic["basic"] = Json::array();
  document["security"] = Json::array({none, bearer, basic});  // none: where the server asks for no token
  document["paths"] = paths();
  document["components"] = {
      {"schemas", openapi::schemas()},
      {"securitySchemes",
       {{"bearer", {{"type", "http"}, {"scheme", "bearer"}, {"description", "the server's token"}}},
        {"basic", {{"type", "http"}, {"scheme", "basic"}, {"description", "the token as password"}}}}}};
  return document.dump(1) + "\n";
}

void add_openapi_route(Router& router) {
  router.add("GET", "/openapi.json",
             [text = std::make_shared<const std::string>(openapi_text())](const auto& exchange, const Captures&) {
               exchange->reply({.headers = {{"Cache-Control", "no-cache"}}, .body = *text});
             });
}

}  // namespace sumi::app
