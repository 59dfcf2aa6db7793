#include "app/server/openapi.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "api/json.h"
#include "app/server/extras.h"
#include "app/server/local_jobs.h"
#include "app/server/native.h"
#include "app/server/openai.h"
#include "app/server/waiting.h"
#include "app/server/webui.h"
#include "base/check.h"
#include "tests/support/tiny_engine.h"

namespace sumi::app {
namespace {

using Json = nlohmann::json;
using Routes = std::set<std::pair<std::string, std::string>>;

Json document() { return Json::parse(openapi_text()); }

// "{id}" is "{}" in a router's pattern.
std::string pattern_of(const std::string& path) {
  std::string pattern;
  bool inside = false;
  for (const char c : path) {
    if (c == '}') inside = false;
    if (!inside) pattern += c;
    if (c == '{') inside = true;
  }
  return pattern;
}

Routes described(const Json& document) {
  Routes routes;
  for (const auto& [path, methods] : document.at("paths").items()) {
    for (const auto& [method, operation] : methods.items()) {
      std::string upper = method;
      for (char& c : upper) c = static_cast<char>(c - 'a' + 'A');
      routes.emplace(upper, pattern_of(path));
    }
  }
  return routes;
}

// All $refs, wherever they stand.
void collect_refs(const Json& json, std::set<std::string>& refs) {
  if (json.is_object() && json.contains("$ref")) refs.insert(json.at("$ref").get<std::string>());
  if (!json.is_structured()) return;
  for (const Json& part : json) collect_refs(part, refs);
}

// Calls with each schema within the schema.
template <class Call> void each_schema(const Json& schema, const Call& call) {
  call(schema);
  for (const Json& member : schema.value("properties", Json::object())) each_schema(member, call);
  for (const char* key : {"anyOf", "oneOf"}) {
    if (!schema.contains(key)) continue;
    for (const Json& part : schema.at(key)) each_schema(part, call);
  }
  if (schema.contains("items")) each_schema(schema.at("items"), call);
}

// A router of the whole server, but for the page, whose paths are files.
TEST(Openapi, DescribesWhatTheServerAnswersAndNothingElse) {
  const test::TempFolder folder;
  tools::write_byte_vocabulary(folder.path());
  Shelf shelf({.threads = 1}, {test::tiny_options(folder.path())});
  const Library library;
  LocalJobs jobs(shelf, library, {});
  const After after = [](std::chrono::milliseconds, const std::function<void()>&) {};
  Waiting waiting(jobs, after);
  Background background;
  Router router;
  add_native_routes(router, jobs, shelf, background, after);
  add_extra_routes(router, shelf, library, background, {});
  add_openai_routes(router, jobs, shelf, waiting, background, after);
  add_webui_routes(router, jobs, shelf, library, waiting);
  add_openapi_route(router);
  const auto list = router.routes();
  const Routes answered(list.begin(), list.end()), told = described(document());
  EXPECT_EQ(answered.size(), list.size()) << "a route is there twice";
  for (const auto& [method, pattern] : answered)
    EXPECT_TRUE(told.contains({method, pattern})) << method << " " << pattern << " is not in the document";
  for (const auto& [method, pattern] : told)
    EXPECT_TRUE(answered.contains({method, pattern})) << method << " " << pattern << " is not answered";
}

TEST(Openapi, EveryReferenceResolves) {
  const Json all = document();
  std::set<std::string> refs;
  collect_refs(all, refs);
  EXPECT_GT(refs.size(), 10u);
  for (const std::string& ref : refs) {
    ASSERT_TRUE(ref.starts_with("#/")) << ref;
    EXPECT_TRUE(all.contains(Json::json_pointer(ref.substr(1)))) << ref;
  }
  for (const auto& [name, schema] : all.at("components").at("schemas").items())
    EXPECT_TRUE(refs.contains("#/components/schemas/" + name)) << name << " is used by nothing";
}

TEST(Openapi, OperationsAreWhole) {
  const Json all = document();
  EXPECT_EQ(all.at("openapi"), "3.1.0");
  std::set<std::string> ids;
  for (const auto& [path, methods] : all.at("paths").items()) {
    for (const auto& [method, operation] : methods.items()) {
      const std::string where = method + " " + path;
      EXPECT_TRUE(ids.insert(operation.at("operationId").get<std::string>()).second) << where;
      EXPECT_FALSE(operation.at("summary").get<std::string>().empty()) << where;
      EXPECT_FALSE(method == "get" && operation.contains("requestBody")) << where;
      size_t in_path = 0;
      for (const Json& parameter : operation.value("parameters", Json::array())) {
        ASSERT_TRUE(parameter.is_object()) << where;
        if (parameter.at("in") != "path") continue;
        ++in_path;
        EXPECT_EQ(parameter.at("required"), true) << where;
        EXPECT_NE(path.find("{" + parameter.at("name").get<std::string>() + "}"), std::string::npos) << where;
      }
      EXPECT_EQ(static_cast<size_t>(std::count(path.begin(), path.end(), '{')), in_path) << where;
      EXPECT_TRUE(operation.at("responses").contains("default")) << where;
      for (const auto& [status, reply] : operation.at("responses").items()) {
        EXPECT_TRUE(status == "default" || (status.size() == 3 && status[0] >= '2' && status[0] <= '5')) << where;
        EXPECT_TRUE(reply.at("description").is_string()) << where;
        const Json contents = reply.value("content", Json::object());
        for (const auto& [type, content] : contents.items())
          EXPECT_TRUE(content.at("schema").is_object()) << where << " " << type;
      }
    }
  }
}

TEST(Openapi, SchemasAreWellFormed) {
  const Json all = document();
  for (const auto& [name, schema] : all.at("components").at("schemas").items()) {
    each_schema(schema, [&](const Json& part) {
      ASSERT_TRUE(part.is_object()) << name;
      EXPECT_TRUE(!part.contains("properties") || part.at("properties").is_object()) << name;
      for (const Json& required : part.value("required", Json::array()))
        EXPECT_TRUE(!part.contains("properties") || part.at("properties").contains(required.get<std::string>()))
            << name << " " << required;
    });
  }
}

// What the document says of a request is what the server reads, and what it tells of a job.
TEST(Openapi, RequestsHaveTheFieldsThatAreTaken) {
  const Json properties = document().at("components").at("schemas").at("request").at("properties");
  for (const char* taken : {"prompts", "prompt", "seed", "seeds", "init", "mask", "controls", "hires", "loras"})
    EXPECT_TRUE(properties.contains(taken)) << taken;
  const Json told = Json::parse(api::to_json(Request{.prompts = {"a"}}));
  for (const auto& [name, value] : told.items()) EXPECT_TRUE(properties.contains(name)) << name;
  const auto refused = [](Request request) {
    try {
      (void)Library().with_files(std::move(request));
    } catch (const Error&) {
      return true;
    }
    return false;
  };
  const auto must_be_empty = [&](const char* name) { return properties.at(name).value("maxLength", -1) == 0; };
  EXPECT_EQ(must_be_empty("lora_folder"), refused({.prompts = {"a"}, .lora_folder = "x"}));
  EXPECT_EQ(must_be_empty("embedding_folder"), refused({.prompts = {"a"}, .embedding_folder = "x"}));
  EXPECT_EQ(must_be_empty("safety_checker"), refused({.prompts = {"a"}, .safety_checker = "x"}));
  EXPECT_FALSE(must_be_empty("seamless"));
}

}  // namespace
}  // namespace sumi::app
