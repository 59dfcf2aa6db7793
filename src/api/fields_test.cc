// Every member of a struct is in its table, and the documentation has a row for it.
#include "api/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <utility>

namespace sumi::api {
namespace {

// Initialises any member.
struct Anything {
  template <class T> operator T() const;
};
template <class S, size_t... kIndex> constexpr bool takes(std::index_sequence<kIndex...>) {
  return requires { S{(static_cast<void>(kIndex), Anything{})...}; };
}
// Members of an aggregate: the most values that its braces take.
template <class S, size_t kCount = 64> constexpr size_t member_count() {
  if constexpr (takes<S>(std::make_index_sequence<kCount>())) {
    return kCount;
  } else {
    return member_count<S, kCount - 1>();
  }
}

struct Row {
  std::string name;
  const void* member;
};

template <class S> std::vector<Row> rows_of(const S& object) {
  std::vector<Row> rows;
  visit_fields(object, [&](const auto& member, const Field& field) {
    rows.push_back({std::string(field.name), &member});
    EXPECT_FALSE(field.help.empty()) << field.name;
    EXPECT_EQ(field.help.find('\n'), std::string_view::npos) << field.name;
  });
  return rows;
}

template <class S> class FieldsTest : public testing::Test {};
using Structs = testing::Types<EngineOptions, ModelOptions, ModelInfo, Request, Settings, Step, PictureInfo, NamedHelp,
                               Lora, Control, Hires, Source, ControlSettings, HiresSettings>;
TYPED_TEST_SUITE(FieldsTest, Structs);

TYPED_TEST(FieldsTest, HasEveryMemberOnce) {
  const TypeParam object{};
  std::set<std::string> names;
  std::set<const void*> members;
  for (const Row& row : rows_of(object)) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name << " stands twice in the table";
    EXPECT_TRUE(members.insert(row.member).second) << row.name << " is another field's member";
  }
  EXPECT_EQ(names.size(), member_count<TypeParam>()) << "src/api/fields.h misses a member";
}

// The lines of docs/api.md below "### TITLE" up to the next title.
std::string section(const std::string& title) {
  std::ifstream file(SUMI_TEST_DATA "/../../docs/api.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const size_t begin = text.find("\n### " + title + "\n");
  return begin == std::string::npos ? "" : text.substr(begin, text.find("\n#", begin + 1) - begin);
}

template <class S> constexpr const char* kTitle = nullptr;
template <> constexpr const char* kTitle<EngineOptions> = "EngineOptions";
template <> constexpr const char* kTitle<ModelOptions> = "ModelOptions";
template <> constexpr const char* kTitle<ModelInfo> = "ModelInfo";
template <> constexpr const char* kTitle<Request> = "Request";
template <> constexpr const char* kTitle<Settings> = "Settings";
template <> constexpr const char* kTitle<Step> = "Step";
template <> constexpr const char* kTitle<PictureInfo> = "Picture";
template <> constexpr const char* kTitle<NamedHelp> = "NamedHelp";
template <> constexpr const char* kTitle<Lora> = "Lora";
template <> constexpr const char* kTitle<Control> = "Control";
template <> constexpr const char* kTitle<Hires> = "Hires";
template <> constexpr const char* kTitle<Source> = "Source";
template <> constexpr const char* kTitle<ControlSettings> = "ControlSettings";
template <> constexpr const char* kTitle<HiresSettings> = "HiresSettings";

TYPED_TEST(FieldsTest, IsDocumented) {
  const std::string text = section(kTitle<TypeParam>);
  for (const Row& row : rows_of(TypeParam{})) EXPECT_THAT(text, testing::HasSubstr("\n| `" + row.name + "` |"));
}

}  // namespace
}  // namespace sumi::api
