#include "engine/resolve.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/check.h"
#include "engine/open.h"
#include "image/png.h"
#include "tests/support/tiny_engine.h"

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

TEST(CheckRequest, BoundsControls) {
  Request request{.prompts = {"a cat"}};
  request.controls.assign(16, Control{.model = "m", .image = "i"});
  EXPECT_EQ(kind_of(request), ErrorKind::kInternal);
  request.controls.push_back(request.controls[0]);
  EXPECT_EQ(kind_of(request), ErrorKind::kUsage);
}

TEST(ParseRequest, TheSecondPassHasTheFirstsLoras) {
  Request request{.prompts = {"a cat <lora:x:0.5>"}, .hires = Hires{.prompt = "a dog <lora:x:0.5>"}};
  EXPECT_EQ(parse_request(request).hires_prompt->text, "a dog ");  // as "a cat "
  request.hires->prompt = "a dog <lora:y:0.5>";
  EXPECT_THROW(parse_request(request), Error);
  request.hires->prompt = "a dog";
  EXPECT_NO_THROW(parse_request(request));
}

// Its grid has the first's eta where its sampler is the first's, and leaves out levels by its own sampler's rule.
TEST(Resolve, TheSecondPassHasItsOwnRules) {
  const test::TempFolder folder;
  tools::write_byte_vocabulary(folder.path());
  const text::ClipTokenizer tokenizer = text::ClipTokenizer::load(folder.path());
  const OpenModel opened = open_model(test::tiny_options(folder.path()));
  image::write_png(folder / "in.png", image::Image(64, 64));
  const auto second = [&](const Request& request) {
    const ResolvedJob job = resolve({.config = opened.config,
                                     .tokenizer = [&]() -> const text::ClipTokenizer& { return tokenizer; },
                                     .noise_schedule = *opened.noise_schedule,
                                     .model = opened.path},
                                    parse_request(request));
    return job.second->grid->options();
  };
  Request ddim{.prompts = {"a"}, .sampler = "ddim", .eta = 0.5, .hires = Hires{}};
  EXPECT_EQ(second(ddim).eta, 0.5);
  ddim.hires->sampler = "euler";
  EXPECT_EQ(second(ddim).eta, 0.0);
  Request web{.prompts = {"a"}, .sampler = "dpm_2", .init = (folder / "in.png").string(), .hires = Hires{}};
  EXPECT_TRUE(second(web).discard_last_level);
  web.hires->sampler = "euler";
  EXPECT_FALSE(second(web).discard_last_level);
  web.sampler = "euler";
  web.hires->sampler = "dpm_2";
  EXPECT_TRUE(second(web).discard_last_level);
}

// Guidance in the second pass alone pads prompts as guidance in the first does: by an empty text.
TEST(Resolve, TheSecondPassPadsByAnEmptyText) {
  const test::TempFolder folder;
  tools::write_byte_vocabulary(folder.path());
  const text::ClipTokenizer tokenizer = text::ClipTokenizer::load(folder.path());
  const OpenModel opened = open_model(test::tiny_options(folder.path()));
  const auto resolved = [&](const Request& request) {
    return resolve({.config = opened.config,
                    .tokenizer = [&]() -> const text::ClipTokenizer& { return tokenizer; },
                    .noise_schedule = *opened.noise_schedule,
                    .model = opened.path},
                   parse_request(request));
  };
  std::string two_rows;
  for (int i = 0; i < 100; ++i) two_rows += "a ";
  const ResolvedJob job =
      resolved({.prompts = {"a"}, .negative_prompt = two_rows, .scale = 1.0, .hires = Hires{.guidance = 2.0}});
  ASSERT_EQ(job.texts[job.negative].rows.size(), 2u);
  EXPECT_EQ(job.texts[job.empty].text, "");
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
