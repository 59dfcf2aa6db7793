#include "api/callbacks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/check.h"

namespace sumi::api {
namespace {

using ::testing::HasSubstr;

// What callbacks were told, and what they answer.
struct Told {
  int answer = 0;
  sumi_step step = {};
  int64_t number = -1, width = 0, height = 0, stride = 0;
  std::vector<uint8_t> pixels;
  std::string text;
};

void see_image(Told& told, const sumi_image* image) {
  told.width = image->width;
  told.height = image->height;
  told.stride = image->stride;
  told.pixels.assign(image->pixels, image->pixels + image->height * image->stride);
}

int on_step(void* user, const sumi_step* step) {
  static_cast<Told*>(user)->step = *step;
  return static_cast<Told*>(user)->answer;
}
int on_preview(void* user, const sumi_image* image, int64_t number, const sumi_step* step) {
  auto& told = *static_cast<Told*>(user);
  see_image(told, image);
  told.number = number;
  told.step = *step;
  return told.answer;
}
int on_picture(void* user, const sumi_image* image, const char* info) {
  auto& told = *static_cast<Told*>(user);
  see_image(told, image);
  told.text = info;
  return told.answer;
}
int on_warning(void* user, const char* sentence) {
  static_cast<Told*>(user)->text = sentence;
  return static_cast<Told*>(user)->answer;
}

constexpr sumi_callbacks kAll = {sizeof(sumi_callbacks), on_step, on_preview, on_picture, on_warning};

Image gradient(int64_t width, int64_t height) {
  Image image(width, height);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i);
  return image;
}

TEST(ApiCallbacks, AreToldEverything) {
  Told told;
  const Hooks hooks = hooks_of(kAll, &told);
  hooks.step({.batch = 1, .batches = 3, .done = 4, .steps = 5});
  EXPECT_EQ(told.step.batch, 1);
  EXPECT_EQ(told.step.batches, 3);
  EXPECT_EQ(told.step.done, 4);
  EXPECT_EQ(told.step.steps, 5);
  told.step = {};
  hooks.preview({.image = gradient(3, 2), .number = 7, .done = 4, .steps = 5});
  EXPECT_EQ(told.number, 7);
  EXPECT_EQ(told.pixels, gradient(3, 2).pixels);
  EXPECT_EQ(told.step.batch, 1);
  EXPECT_EQ(told.step.batches, 3);
  EXPECT_EQ(told.step.done, 4);
  hooks.picture({.image = gradient(4, 5), .prompt = "a \"cat\"", .number = 2, .seed = UINT64_MAX, .parameters = "p"});
  EXPECT_EQ(told.pixels, gradient(4, 5).pixels);
  EXPECT_EQ(told.width, 4);
  EXPECT_EQ(told.height, 5);
  EXPECT_EQ(told.stride, 12);
  const auto info = nlohmann::json::parse(told.text);
  EXPECT_EQ(info["prompt"], "a \"cat\"");
  EXPECT_EQ(info["seed"].get<uint64_t>(), UINT64_MAX);
  hooks.warning("it was cut");
  EXPECT_EQ(told.text, "it was cut");
}

TEST(ApiCallbacks, ThoseThatAreNullAreNotCalled) {
  const Hooks hooks = hooks_of({}, nullptr);
  hooks.step({});
  EXPECT_FALSE(hooks.preview);
  EXPECT_FALSE(hooks.picture);
  EXPECT_FALSE(hooks.warning);
}

// The error with which a hook ends.
template <class Body> std::pair<ErrorKind, std::string> error_of(Body&& body) {
  try {
    body();
    return {ErrorKind::kInternal, "no error"};
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
}

TEST(ApiCallbacks, OtherThanZeroCancels) {
  Told told;
  told.answer = -1;
  const Hooks hooks = hooks_of(kAll, &told);
  using Expected = std::pair<ErrorKind, std::string>;
  EXPECT_EQ(error_of([&] { hooks.step({}); }), Expected(ErrorKind::kCancelled, "cancelled by the step callback"));
  EXPECT_EQ(error_of([&] { hooks.preview({}); }), Expected(ErrorKind::kCancelled, "cancelled by the preview callback"));
  EXPECT_EQ(error_of([&] { hooks.picture({}); }), Expected(ErrorKind::kCancelled, "cancelled by the picture callback"));
  EXPECT_EQ(error_of([&] { hooks.warning({}); }), Expected(ErrorKind::kCancelled, "cancelled by the warning callback"));
}

TEST(ApiCallbacks, WhatTheyThrowIsTheirFault) {
  sumi_callbacks callbacks = {};
  callbacks.step = [](void*, const sumi_step*) -> int { throw std::runtime_error("oh"); };
  callbacks.warning = [](void*, const char*) -> int { throw 1; };
  const Hooks hooks = hooks_of(callbacks, nullptr);
  const auto [kind, sentence] = error_of([&] { hooks.step({}); });
  EXPECT_EQ(kind, ErrorKind::kUsage);
  EXPECT_EQ(sentence, "the step callback threw an exception, which callbacks must not do: oh");
  EXPECT_THAT(error_of([&] { hooks.warning(""); }).second, HasSubstr("the warning callback threw an exception"));
}

// A struct of any size, as a program built against another version has it: what lies beyond `size` is not the
// library's.
struct Sized {
  explicit Sized(size_t size, unsigned char beyond = 0) {
    std::memset(bytes, beyond, sizeof(bytes));
    std::memcpy(bytes, &kAll, std::min(size, sizeof(kAll)));
    std::memcpy(bytes, &size, sizeof(size));
  }
  const sumi_callbacks* get() const { return reinterpret_cast<const sumi_callbacks*>(bytes); }
  alignas(sumi_callbacks) unsigned char bytes[1024];
};

TEST(ApiCallbacks, OlderProgramsHaveFewer) {
  EXPECT_EQ(read_callbacks(nullptr).step, nullptr);
  const sumi_callbacks all = read_callbacks(&kAll);
  EXPECT_EQ(all.step, on_step);
  EXPECT_EQ(all.warning, on_warning);
  const sumi_callbacks two = read_callbacks(Sized(offsetof(sumi_callbacks, picture), 0xEE).get());
  EXPECT_EQ(two.step, on_step);
  EXPECT_EQ(two.preview, on_preview);
  EXPECT_EQ(two.picture, nullptr);
  EXPECT_EQ(two.warning, nullptr);
  EXPECT_EQ(read_callbacks(Sized(sizeof(size_t), 0xEE).get()).step, nullptr);
}

TEST(ApiCallbacks, NewerProgramsMayHaveMoreThatTheyDoNotUse) {
  EXPECT_EQ(read_callbacks(Sized(sizeof(sumi_callbacks) + 16).get()).warning, on_warning);
  const Sized used(sizeof(sumi_callbacks) + 16, 0xEE);
  EXPECT_THAT(error_of([&] { read_callbacks(used.get()); }).second, HasSubstr("of a later version"));
}

TEST(ApiCallbacks, ASizeThatIsNoneIsRefused) {
  for (const size_t size : {size_t{0}, size_t{4}, sizeof(sumi_callbacks) - 1, sizeof(sumi_callbacks) + 4, size_t{520},
                            size_t{1} << 40, SIZE_MAX}) {
    Sized sized(sizeof(sumi_callbacks));
    std::memcpy(sized.bytes, &size, sizeof(size));
    const auto [kind, sentence] = error_of([&] { read_callbacks(sized.get()); });
    EXPECT_EQ(kind, ErrorKind::kUsage) << size;
    EXPECT_THAT(sentence, HasSubstr("set its member size to sizeof(sumi_callbacks)")) << size;
  }
}

}  // namespace
}  // namespace sumi::api
