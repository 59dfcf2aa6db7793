#include "engine/resolve.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/check.h"

namespace sumi::engine {
namespace {

ErrorKind kind_of(const Request& request) {
  try {
    check_request(request);
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::kInternal;  // stands for "accepted"
}

TEST(CheckRequest, AcceptsWhatIsUsual) {
  EXPECT_NO_THROW(check_request({.prompts = {"a cat"}}));
  EXPECT_NO_THROW(check_request({.prompts = {""}, .batch = 1024, .width = 16384, .height = 8, .steps = 10000}));
}

TEST(CheckRequest, RefusesNumbersOutOfRange) {
  const auto with = [](auto change) {
    Request request{.prompts = {"a cat"}};
    change(request);
    return kind_of(request);
  };
  EXPECT_EQ(with([](auto& r) { r.width = 0; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.height = -8; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.height = 513; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.width = 1'000'000'000; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.steps = 0; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.scale = std::numeric_limits<double>::quiet_NaN(); }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.scale = -1; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.eta = std::numeric_limits<double>::infinity(); }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.eta = 1.5; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.iterations = 0; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.copies = 0; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.batch = 1025; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.prompts.clear(); }), ErrorKind::kUsage);
}

TEST(Form, OfItsName) {
  EXPECT_EQ(form_of("original").drawing.sampler, "ddim");
  EXPECT_EQ(form_of("original").syntax, "exact");
  EXPECT_EQ(form_of("quick").drawing.schedule, "karras");
  EXPECT_EQ(form_of("quick").syntax, "weighted");
  EXPECT_THROW(form_of(""), Error);
}

}  // namespace
}  // namespace sumi::engine
