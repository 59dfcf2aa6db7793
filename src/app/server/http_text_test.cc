#include "app/server/http_text.h"

#include <gtest/gtest.h>

namespace sumi::app {
namespace {

TEST(HttpTextTest, DecodesPercentEscapes) {
  std::string out;
  EXPECT_TRUE(decode_percent("a%20b%c3%A9", out));
  EXPECT_EQ(out, "a b\xc3\xa9");
  for (const char* wrong : {"%", "%2", "%2g", "%g2", "%00", "a%%20", "%-1", "% 1"})
    EXPECT_FALSE(decode_percent(wrong, out)) << wrong;
  EXPECT_FALSE(decode_percent(std::string_view("a\0b", 3), out));
}

TEST(HttpTextTest, TargetsAreSplitAndDecoded) {
  HttpRequest request;
  EXPECT_EQ(read_target("/a%20b/c+d?x=1&y=a+b%26&&flag&x=2&=", request), "");
  EXPECT_EQ(request.path, "/a b/c+d");
  const HttpHeaders query = {{"x", "1"}, {"y", "a b&"}, {"flag", ""}, {"x", "2"}, {"", ""}};
  EXPECT_EQ(request.query, query);
  EXPECT_EQ(*request.parameter("x"), "1");
  EXPECT_EQ(request.parameter("X"), nullptr);
  for (const char* good : {"/", "/..a", "/a..", "/...", "/%252e%252e", "/?..", "/a?"}) {
    HttpRequest other;
    EXPECT_EQ(read_target(good, other), "") << good;
  }
}

TEST(HttpTextTest, EachStatusHasAReason) {
  EXPECT_EQ(reason_of(404), "Not Found");
  EXPECT_EQ(reason_of(299), "Status");
}

TEST(HttpTextTest, AHeadSaysHowTheReplyEnds) {
  const HttpReply reply = {.status = 404, .type = "text/plain", .headers = {{"A", "b"}}, .body = "body"};
  EXPECT_EQ(head_of(reply, Framing::kLength, false),
            "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n"
            "X-Content-Type-Options: nosniff\r\nA: b\r\n\r\n");
  EXPECT_EQ(head_of({.body = "body"}, Framing::kChunked, true),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
            "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(head_of({.status = 204}, Framing::kLength, false),
            "HTTP/1.1 204 No Content\r\nX-Content-Type-Options: nosniff\r\n\r\n");
}

TEST(HttpTextTest, ARefusalIsJson) {
  const HttpReply reply = refusal(400, "this is wrong");
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.body, R"({"error": {"message": "this is wrong", "code": 400}})");
}

}  // namespace
}  // namespace sumi::app
