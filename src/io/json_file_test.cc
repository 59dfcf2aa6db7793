#include "io/json_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "tests/support/temp_folder.h"

namespace sumi::io {
namespace {

using ::testing::HasSubstr;

class JsonFile : public testing::Test {
 protected:
  // The one-line error that `content` brings.
  std::string error_of(std::string_view content, int64_t max_bytes = kMaxConfigBytes) {
    test::write_file(folder_ / "x.json", content);
    try {
      read_json_file(folder_ / "x.json", max_bytes);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kData);
      EXPECT_THAT(e.what(), HasSubstr("x.json"));
      EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
      return e.what();
    }
    return "no error";
  }
  test::TempFolder folder_;
};

TEST_F(JsonFile, Reads) {
  test::write_file(folder_ / "x.json", "\xEF\xBB\xBF{\"a\": [1, {\"a\": \"\\ud83d\\ude00\"}]}");
  const auto json = read_json_file(folder_ / "x.json");
  EXPECT_EQ(json["a"][1]["a"], "\xF0\x9F\x98\x80");
}

TEST_F(JsonFile, Item103Depth) {
  EXPECT_THAT(error_of(std::string(100000, '[')), HasSubstr("nested more than 64 deep"));
  std::string objects;
  for (int i = 0; i < 100; ++i) objects += "{\"a\":";
  EXPECT_THAT(error_of(objects), HasSubstr("nested more than 64 deep"));
  test::write_file(folder_ / "deep.json", std::string(64, '[') + std::string(64, ']'));
  EXPECT_NO_THROW(read_json_file(folder_ / "deep.json"));
}

TEST_F(JsonFile, Item103Utf16) {
  EXPECT_THAT(error_of(std::string("\xFF\xFE{\0}\0", 6)), HasSubstr("UTF-16"));
  EXPECT_THAT(error_of(std::string("\xFE\xFF\0{\0}", 6)), HasSubstr("UTF-16"));
  EXPECT_THAT(error_of(std::string("{\0}\0", 4)), HasSubstr("UTF-16"));
}

TEST_F(JsonFile, Item103LoneSurrogateAndBadUtf8) {
  EXPECT_THAT(error_of(R"({"a": "\ud800"})"), HasSubstr("not valid JSON at byte"));
  EXPECT_THAT(error_of(R"({"a": "\udc00"})"), HasSubstr("not valid JSON at byte"));
  EXPECT_THAT(error_of("{\"a\": \"\xED\xA0\x80\"}"), HasSubstr("not UTF-8 at byte 7"));
  EXPECT_THAT(error_of("{\"\xFF\": 1}"), HasSubstr("not UTF-8 at byte 2"));
}

TEST_F(JsonFile, RefusesWhatIsNotJson) {
  EXPECT_THAT(error_of(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of("{\"a\": NaN}"), HasSubstr("not valid JSON at byte"));
  EXPECT_THAT(error_of("{\"a\": 1e999}"), HasSubstr("out of range"));
  EXPECT_THAT(error_of("{} {}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of("{\"a\": 1, \"a\": 2}"), HasSubstr("\"a\" appears twice"));
  EXPECT_THAT(error_of("version https://git-lfs.github.com/spec/v1\n"), HasSubstr("Git LFS"));
  EXPECT_THAT(error_of("[1, 2, 3, 4, 5]", 8), HasSubstr("15 bytes; a file of this kind has at most 8"));
}

TEST_F(JsonFile, RefusesLongKeysAndShowsTheirBeginning) {
  const std::string key(3000, 'k');
  EXPECT_THAT(error_of("{\"" + key + "\": 1, \"" + key + "\": 2}"),
              HasSubstr("\"" + key.substr(0, 60) + "…\" appears"));
  EXPECT_THAT(error_of("{\"" + std::string(70000, 'k') + "\": 1}"), HasSubstr("a key of 70000 bytes"));
}

TEST_F(JsonFile, SaysWhereAndWhatIsWrong) {
  EXPECT_THAT(error_of("{\"a\": [1"), HasSubstr("not valid JSON at byte 9, where it ends too early"));
  EXPECT_THAT(error_of(std::string("{\"a\": 1}\0{}", 11)), HasSubstr("not valid JSON at byte 8: it is zero"));
  EXPECT_THAT(error_of("{\"a\": [0, 1e999]}"), HasSubstr("out of range, after the key \"a\""));
}

TEST_F(JsonFile, TakesPythonsNumbersForTextsWhereAsked) {
  const std::string text = R"({"a": -Infinity, "b": [NaN, Infinity], "c": "a \" NaN", "d": 1})";
  EXPECT_THAT(error_of(text), HasSubstr("not valid JSON"));
  const auto json = read_json_file(folder_ / "x.json", kMaxConfigBytes, true);
  EXPECT_EQ(json.dump(), R"({"a":"-Infinity","b":["NaN","Infinity"],"c":"a \" NaN","d":1})");
}

TEST_F(JsonFile, RefusesWhatIsNoFile) {
  for (const auto& path : {folder_.path(), folder_ / "absent.json", std::filesystem::path("/dev/zero")}) {
    try {
      read_json_file(path);
      ADD_FAILURE() << path;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kNoInput);
    }
  }
}

}  // namespace
}  // namespace sumi::io
