#include "engine/request.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/check.h"

namespace sumi::engine {
namespace {

Txt2ImgRequest valid() { return {.batches = repeat_prompt("a cat", 2)}; }

ErrorKind kind_of(const Txt2ImgRequest& request) {
  try {
    check_request(request);
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::kInternal;  // stands for "accepted"
}

TEST(Request, BatchesOfPrompts) {
  EXPECT_EQ(repeat_prompt("a", 3), (std::vector<std::vector<std::string>>{{"a", "a", "a"}}));
  EXPECT_EQ(chunk_prompts({"a", "b", "c"}, 2), (std::vector<std::vector<std::string>>{{"a", "b"}, {"c"}}));
  EXPECT_TRUE(chunk_prompts({}, 2).empty());
  Txt2ImgRequest request{.batches = chunk_prompts({"a", "b", "c"}, 2), .n_iter = 4};
  EXPECT_EQ(request.pictures(), 12);
}

TEST(Request, AcceptsWhatIsUsual) { EXPECT_NO_THROW(check_request(valid())); }

TEST(Request, RefusesNumbersOutOfRange) {
  const auto with = [](auto change) {
    Txt2ImgRequest request = valid();
    change(request);
    return kind_of(request);
  };
  EXPECT_EQ(with([](auto& r) { r.width = 0; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.height = -8; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.height = 513; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.width = 1'000'000'000; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.sampling.steps = 0; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.scale = std::numeric_limits<double>::quiet_NaN(); }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.scale = -1; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.sampling.eta = std::numeric_limits<double>::infinity(); }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.sampling.eta = 1.5; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.n_iter = 0; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.batches.clear(); }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.batches[0][1] = "caf\xe9"; }), ErrorKind::kUsage);
  EXPECT_EQ(with([](auto& r) { r.negative_prompt = std::string("a\0b", 3); }), ErrorKind::kUsage);
}

TEST(Request, WeightsAreReadOnlyWhereTheyMeanSomething) {
  Txt2ImgRequest request = valid();
  request.batches[0][0] = "(a:1e309)";
  EXPECT_NO_THROW(check_request(request));
  request.syntax = PromptSyntax::kWeighted;
  EXPECT_EQ(kind_of(request), ErrorKind::kUsage);
}

}  // namespace
}  // namespace sumi::engine
