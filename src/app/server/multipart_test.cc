#include "app/server/multipart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/check.h"

namespace sumi::app {
namespace {

using testing::HasSubstr;

constexpr const char* kType = "multipart/form-data; boundary=XyZ";

std::string part(const std::string& headers, const std::string& body) {
  return "--XyZ\r\n" + headers + "\r\n\r\n" + body + "\r\n";
}
std::string named(const std::string& name, const std::string& body) {
  return part("Content-Disposition: form-data; name=\"" + name + "\"", body);
}
const std::string kEnd = "--XyZ--\r\n";

// The sentence that refuses the form; empty: it is read.
std::string refusal_of(const std::string& body, const std::string& type = kType) {
  try {
    parse_form(body, type);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "";
}

TEST(Multipart, ReadsFieldsAndFiles) {
  const std::string bytes("\0\r\n--Xy\r\n\r\n--\xff", 14);
  const std::string body = named("prompt", "two\r\nlines") + named("empty", "") +
                           part(
                               "content-disposition:form-data; name=image; filename=\"..\\\\a \\\"b\\\".png\"; x=y\r\n"
                               "Content-Type: IMAGE/png; charset=x\r\nContent-Length: 14\r\n"
                               "Content-Transfer-Encoding: binary",
                               bytes) +
                           "--XyZ--";
  const auto parts = parse_form(body, "Multipart/Form-Data;boundary=\"XyZ\"; charset=utf-8");
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].name, "prompt");
  EXPECT_EQ(parts[0].body, "two\r\nlines");
  EXPECT_FALSE(parts[0].filename);
  EXPECT_EQ(parts[0].type, "");
  EXPECT_EQ(parts[1].body, "");
  EXPECT_EQ(parts[2].name, "image");
  EXPECT_EQ(parts[2].filename, "..\\a \"b\".png");
  EXPECT_EQ(parts[2].type, "image/png");
  EXPECT_EQ(parts[2].body, bytes);
  EXPECT_GE(parts[2].body.data(), body.data());  // nothing is copied
}

TEST(Multipart, SmallForms) {
  EXPECT_TRUE(parse_form("--XyZ--", kType).empty());
  EXPECT_TRUE(parse_form("--XyZ--\r\n", kType).empty());
  const auto parts = parse_form(named("a", "").substr(0, named("a", "").size() - 2) + kEnd, kType);
  ASSERT_EQ(parts.size(), 1u);  // no line end of its own before the boundary
  EXPECT_EQ(parts[0].body, "");
  const auto encoded =
      parse_form(part("Content-Disposition: form-data; name=\"a\"; filename*=UTF-8''%C3%A4.png", "x") + kEnd, kType);
  EXPECT_EQ(encoded.at(0).filename, "UTF-8''%C3%A4.png");
}

TEST(Multipart, RefusesBoundaries) {
  const std::string body = named("a", "b") + kEnd;
  EXPECT_THAT(refusal_of(body, "multipart/form-data"), HasSubstr("boundary"));
  EXPECT_THAT(refusal_of(body, "multipart/form-data; boundary="), HasSubstr("boundary"));
  EXPECT_THAT(refusal_of(body, "multipart/form-data; boundary=\"XyZ"), HasSubstr("not closed"));
  EXPECT_THAT(refusal_of(body, "multipart/form-data; boundary=XyZ; boundary=b"), HasSubstr("twice"));
  EXPECT_THAT(refusal_of(body, "multipart/form-data; boundary=\"a\"b"), HasSubstr("after a quoted value"));
  EXPECT_THAT(refusal_of(body, "multipart/form-data; boundary=" + std::string(71, 'a')), HasSubstr("longer than 70"));
  EXPECT_THAT(refusal_of(body, "multipart/form-data; boundary=a\r\nb"), HasSubstr("characters"));
  EXPECT_THAT(refusal_of(body, "multipart/form-data; boundary=\"a \""), HasSubstr("characters"));
  EXPECT_THAT(refusal_of(body, "multipart/mixed; boundary=XyZ"), HasSubstr("multipart/form-data"));
  EXPECT_THAT(refusal_of(body, std::string(kType) + "; x=" + std::string(5000, 'x')), HasSubstr("4096"));
  EXPECT_EQ(refusal_of("--" + std::string(70, 'a') + "--", "multipart/form-data; boundary=" + std::string(70, 'a')),
            "");
}

TEST(Multipart, RefusesTextAroundAndShortForms) {
  const std::string body = named("a", "b");
  EXPECT_THAT(refusal_of(""), HasSubstr("begin"));
  EXPECT_THAT(refusal_of("hello\r\n" + body + kEnd), HasSubstr("begin"));
  EXPECT_THAT(refusal_of(body), HasSubstr("cut short"));
  EXPECT_THAT(refusal_of(body + "--XyZ"), HasSubstr("goes on"));
  EXPECT_THAT(refusal_of(body + "--XyZ-"), HasSubstr("goes on"));
  EXPECT_THAT(refusal_of(body + "--XyZ--x"), HasSubstr("after the form"));
  EXPECT_THAT(refusal_of(body + kEnd + "\r\n"), HasSubstr("after the form"));
  EXPECT_THAT(refusal_of(named("a", "b\r\n--XyZandmore\r\n") + kEnd), HasSubstr("goes on"));
  EXPECT_THAT(refusal_of("--XyZ\r\nContent-Disposition: form-data; name=a"), HasSubstr("end too early"));
  EXPECT_THAT(refusal_of("--XyZ\r\n--XyZ--"), HasSubstr("end too early"));
}

TEST(Multipart, RefusesHeaders) {
  const auto with = [](const std::string& headers) { return refusal_of(part(headers, "x") + kEnd); };
  EXPECT_THAT(with("Content-Type: text/plain"), HasSubstr("no name"));
  EXPECT_THAT(with("Content-Disposition: form-data"), HasSubstr("no name"));
  EXPECT_THAT(with("Content-Disposition: form-data; name=\"\""), HasSubstr("no name"));
  EXPECT_THAT(with("Content-Disposition: attachment; name=a"), HasSubstr("form-data"));
  EXPECT_THAT(with("Content-Disposition: form-data; name=a; name=b"), HasSubstr("twice"));
  EXPECT_THAT(with("Content-Disposition: form-data; name"), HasSubstr("without a name or a value"));
  EXPECT_THAT(with("Content-Disposition: form-data; name=\"a"), HasSubstr("not closed"));
  EXPECT_THAT(with(std::string("Content-Disposition: form-data; name=\"a\0b\"", 41)), HasSubstr("control character"));
  EXPECT_THAT(with("Content-Disposition: form-data; name=\"a\nb\""), HasSubstr("control character"));
  EXPECT_THAT(with("Content-Disposition: form-data; name=\"\xff\""), HasSubstr("UTF-8"));
  EXPECT_THAT(with("Content-Disposition: form-data; name=\"" + std::string(257, 'a') + "\""), HasSubstr("256"));
  EXPECT_THAT(with("Content-Disposition: form-data; name=a\r\ncontent-disposition: form-data; name=b"),
              HasSubstr("twice"));
  const std::string fine = "Content-Disposition: form-data; name=a\r\n";
  EXPECT_THAT(with(fine + "Content-Type: multipart/mixed; boundary=b"), HasSubstr("within the form"));
  EXPECT_THAT(with(fine + "Content-Transfer-Encoding: base64"), HasSubstr("encoded (base64)"));
  EXPECT_THAT(with(fine + "no colon"), HasSubstr("has no name"));
  EXPECT_THAT(with(fine + " folded: x"), HasSubstr("has no name"));
  EXPECT_THAT(with(fine + "X: " + std::string(4096, 'x')), HasSubstr("4096"));
  std::string many = fine;
  for (int i = 0; i < 16; ++i) many += "X-" + std::to_string(i) + ": y\r\n";
  EXPECT_THAT(with(many + "X: y"), HasSubstr("more than 16 headers"));
}

TEST(Multipart, RefusesManyParts) {
  std::string body;
  for (size_t i = 0; i < kMostFormParts; ++i) body += named("a", "b");
  EXPECT_EQ(parse_form(body + kEnd, kType).size(), kMostFormParts);
  EXPECT_THAT(refusal_of(body + named("a", "b") + kEnd), HasSubstr("more than 64 parts"));
}

// Bytes changed, cut, doubled: what is read lies within the form, and nothing else is thrown than a sentence.
TEST(Multipart, BrokenFormsAreReadOrRefused) {
  const std::string form =
      named("prompt", "a cat") +
      part("Content-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\nContent-Type: image/png",
           "\x89PNG\r\n--Xy\r\n") +
      kEnd;
  std::mt19937 random(7);
  const auto below = [&](size_t bound) { return static_cast<size_t>(random() % bound); };
  constexpr std::string_view kBytes = "\r\n-\";=:\0\\XyZ \xff";
  size_t read = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string body = form;
    for (size_t changes = 1 + below(4); changes > 0; --changes) {
      const size_t at = below(body.size()), count = std::min(below(8), body.size() - at);
      switch (below(4)) {
        case 0: body[at] = kBytes[below(kBytes.size())]; break;
        case 1: body.erase(at, count); break;
        case 2: body.insert(at, body.substr(below(body.size()), 1 + below(30))); break;
        default: body.insert(at, 1, kBytes[below(kBytes.size())]); break;
      }
      if (body.empty()) body = "-";
    }
    try {
      for (const FormPart& part : parse_form(body, kType)) {
        EXPECT_FALSE(part.name.empty());
        if (part.body.empty()) continue;
        EXPECT_GE(part.body.data(), body.data());
        EXPECT_LE(part.body.data() + part.body.size(), body.data() + body.size());
      }
      ++read;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    }
  }
  EXPECT_GT(read, 1000u);  // changes of contents alone leave the form as it was
  EXPECT_LT(read, 19'000u);
}

}  // namespace
}  // namespace sumi::app
