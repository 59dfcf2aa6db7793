#include "api/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "api/json.h"
#include "base/check.h"

namespace sumi::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

TEST(ApiSchema, TheFileIsWhatTheTablesSay) {
  std::ifstream file(SUMI_TEST_DATA "/../../docs/sumi-request.schema.json");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_TRUE(text == json_schema())
      << "write it anew: build/release/write_schema > docs/sumi-request.schema.json (target write_schema)";
}

// A struct that is read, its name in the schema, and the least that it needs.
struct Input {
  std::string name;
  Json least;
  void (*parse)(std::string_view);
};
const Input kInputs[] = {
    {"request", {{"prompt", "a"}}, [](std::string_view text) { parse_request(text); }},
    {"model_options", {{"path", "a"}}, [](std::string_view text) { parse_model_options(text); }},
    {"engine_options", Json::object(), [](std::string_view text) { parse_engine_options(text); }},
    {"lora",
     {{"file", "a"}},
     [](std::string_view text) { parse_request(R"({"prompt": "a", "loras": [)" + std::string(text) + "]}"); }},
    {"control",
     {{"model", "a"}, {"image", "b"}},
     [](std::string_view text) { parse_request(R"({"prompt": "a", "controls": [)" + std::string(text) + "]}"); }},
    {"hires", Json::object(),
     [](std::string_view text) { parse_request(R"({"prompt": "a", "hires": )" + std::string(text) + "}"); }}};

// The sentence with which a struct is refused; "" where it is accepted.
std::string refusal(const Input& input, const Json& json) {
  try {
    input.parse(json.dump());
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

// Values of every kind and around every bound that `schema` names, with whether it allows them.
std::vector<std::pair<Json, bool>> candidates(const Json& schema) {
  if (schema.contains("anyOf")) return {{nullptr, true}, {Json::object(), true}, {1, false}, {"text", false}};
  const Json types = schema.contains("type") ? schema["type"] : Json("object");
  const auto allows = [&](const char* type) {
    return types == type || (types.is_array() && std::find(types.begin(), types.end(), type) != types.end());
  };
  std::vector<std::pair<Json, bool>> values = {
      {nullptr, allows("null")}, {true, allows("boolean")}, {Json::object(), false}};
  const bool whole = allows("integer"), number = whole || allows("number");
  values.emplace_back(0.5,
                      !whole && number && schema.value("minimum", 0.0) <= 0.5 && schema.value("maximum", 1.0) >= 0.5);
  if (!number) values.emplace_back(1, false);
  if (number && schema.contains("minimum")) {
    const int64_t least = schema["minimum"];
    values.insert(values.end(), {{least, true}, {least - 1, false}});
  }
  if (number && schema.contains("maximum")) {
    const uint64_t most = schema["maximum"];
    values.emplace_back(most, true);
    values.emplace_back(most < UINT64_MAX ? Json(most + 1) : Json(18446744073709551616.0), false);
  }
  if (schema.contains("multipleOf")) values.emplace_back(schema["multipleOf"].get<int64_t>() + 1, false);
  if (!schema.contains("enum")) values.emplace_back("text", allows("string") && !schema.contains("pattern"));
  if (schema.contains("pattern")) values.emplace_back("12", true);
  for (const Json& choice : schema.value("enum", Json::array())) values.emplace_back(choice, true);
  if (schema.contains("enum")) values.emplace_back("no such choice", false);
  return values;
}

TEST(ApiSchema, TheParserTakesWhatTheSchemaAllows) {
  const Json schema = Json::parse(json_schema());
  for (const Input& input : kInputs) {
    const Json& definition = schema["$defs"][input.name];
    EXPECT_EQ(refusal(input, input.least), "");
    EXPECT_EQ(definition["additionalProperties"], false);
    for (const auto& [name, property] : definition["properties"].items()) {
      if (name == "prompt" || name == "prompts") continue;  // below
      for (const auto& [value, allowed] : candidates(property)) {
        Json json = input.least;
        json[name] = value;
        const std::string sentence = refusal(input, json);
        EXPECT_EQ(sentence.empty(), allowed) << input.name << " " << json << " " << sentence;
        EXPECT_THAT(sentence, Not(HasSubstr("is no field"))) << json;
      }
      if (!property.contains("default")) continue;
      Json json = input.least;
      json[name] = property["default"];
      EXPECT_EQ(refusal(input, json), "");
    }
    for (const Json& name : definition.value("required", Json::array())) {
      Json json = input.least;
      json.erase(name.get<std::string>());
      EXPECT_THAT(refusal(input, json), HasSubstr("needs `"));
    }
  }
}

// What a parser lists as its fields is what the schema has.
TEST(ApiSchema, TheParserKnowsTheSchemasFieldsAndNoOthers) {
  const auto schema = nlohmann::ordered_json::parse(json_schema());
  for (const Input& input : kInputs) {
    Json json = input.least;
    json["no such field in any struct at all"] = 1;
    std::string expected;
    for (const auto& item : schema["$defs"][input.name]["properties"].items())
      expected += (expected.empty() ? "" : ", ") + ("`" + item.key() + "`");
    EXPECT_THAT(refusal(input, json), HasSubstr("there are " + expected));
  }
}

// Each, and not the list, may be digits in a string.
TEST(ApiSchema, SeedsMayBeDigits) {
  const Json schema = Json::parse(json_schema())["$defs"];
  const Json& seeds = schema["request"]["properties"]["seeds"];
  EXPECT_EQ(seeds["type"], Json::parse(R"(["array", "null"])"));
  EXPECT_EQ(seeds["items"]["type"], Json::parse(R"(["integer", "string"])"));
  EXPECT_TRUE(seeds["items"].contains("pattern"));
  EXPECT_FALSE(seeds.contains("pattern"));
  EXPECT_EQ(schema["settings"]["properties"]["seeds"]["items"]["type"], "integer");
}

TEST(ApiSchema, OneOfPromptAndPrompts) {
  const Json request = Json::parse(json_schema())["$defs"]["request"];
  EXPECT_EQ(request["oneOf"], Json::parse(R"([
      {"required": ["prompt"], "properties": {"prompt": {"type": "string"}, "prompts": {"type": "null"}}},
      {"required": ["prompts"], "properties": {"prompts": {"type": "array"}, "prompt": {"type": "null"}}}])"));
  EXPECT_EQ(request["properties"]["prompts"]["minItems"], 1);
}

}  // namespace
}  // namespace sumi::api
