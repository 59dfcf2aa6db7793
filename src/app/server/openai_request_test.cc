#include "app/server/openai_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/check.h"
#include "image/mask.h"
#include "image/png.h"
#include "tests/support/made_png.h"

namespace sumi::app {
namespace {

using testing::HasSubstr;

std::string find_model(const std::string& name) {
  if (name.empty() || name == "one") return "one";
  if (name == "two" || name == "gpt-image-mine") return name;
  fail(ErrorKind::kUsage, "there is no model \"{}\" here; choose one of one, two", name);
}

OpenaiRequest generation(const std::string& fields) {
  return read_generation(R"({"prompt": "a cat")" + (fields.empty() ? "" : ", " + fields) + "}", find_model);
}

struct Refusal {
  std::string sentence, param, code;
  int status = 200;
};

template <class F> Refusal refusal_of(const F& call) {
  try {
    call();
  } catch (const BadField& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return {error.what(), error.param, error.code, error.status};
  }
  return {};
}
Refusal refused(const std::string& fields) {
  return refusal_of([&] { generation(fields); });
}

TEST(OpenaiRequest, APromptIsEnough) {
  const OpenaiRequest out = generation("");
  const Request& request = out.submission.request;
  EXPECT_EQ(request.prompts, std::vector<std::string>{"a cat"});
  EXPECT_EQ(request.seeding, "picture");
  EXPECT_FALSE(request.width || request.height || request.steps || request.copies || request.seed || request.scale);
  EXPECT_EQ(out.submission.model, "one");
  EXPECT_FALSE(out.submission.previews || out.stream || out.url);
  EXPECT_EQ(out.format, FileFormat::kPng);
  EXPECT_EQ(out.quality, "auto");
  EXPECT_TRUE(out.notes.empty());
}

TEST(OpenaiRequest, EveryFieldIsTaken) {
  const OpenaiRequest out = generation(
      R"("model": "two", "n": 3, "size": "512x768", "response_format": "b64_json", "output_format": "webp",
         "output_compression": 40, "background": "opaque", "quality": "medium", "style": "vivid", "moderation": "low",
         "user": "me", "safety_identifier": "x", "stream": false, "partial_images": 0, "negative_prompt": "blurry",
         "seed": 18446744073709551615, "steps": 7.0, "scale": 5, "sampler": "euler", "schedule": "karras")");
  const Request& request = out.submission.request;
  EXPECT_EQ(out.submission.model, "two");
  EXPECT_EQ(request.copies, 3);
  EXPECT_EQ(request.width, 512);
  EXPECT_EQ(request.height, 768);
  EXPECT_EQ(out.format, FileFormat::kWebp);
  EXPECT_EQ(out.compression, 40);
  EXPECT_EQ(out.quality, "medium");
  EXPECT_EQ(request.negative_prompt, "blurry");
  EXPECT_EQ(request.seed, UINT64_MAX);
  EXPECT_EQ(request.steps, 7);
  EXPECT_EQ(request.scale, 5.0);
  EXPECT_EQ(request.sampler, "euler");
  EXPECT_EQ(request.schedule, "karras");
  EXPECT_EQ(out.notes.size(), 1u);  // the style is named
  EXPECT_FALSE(generation(R"("n": null, "size": null, "stream": null, "model": null)").submission.request.copies);
  EXPECT_EQ(generation(R"("seed": "9007199254740993")").submission.request.seed, 9007199254740993u);
}

TEST(OpenaiRequest, ModelsByTheirNamesAndOpenaisForTheDefault) {
  for (const char* name : {"gpt-image-1", "gpt-image-1-mini", "dall-e-2", "dall-e-3", "chatgpt-image-latest", ""})
    EXPECT_EQ(generation(fmt::format(R"("model": "{}")", name)).submission.model, "one") << name;
  EXPECT_EQ(generation(R"("model": "gpt-image-mine")").submission.model, "gpt-image-mine");  // one that is here
  const Refusal unknown = refused(R"("model": "../three")");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.code, "model_not_found");
  EXPECT_EQ(unknown.param, "model");
  EXPECT_THAT(unknown.sentence, HasSubstr("one, two"));
}

TEST(OpenaiRequest, QualityIsSteps) {
  const auto steps = [](const std::string& fields) { return generation(fields).submission.request.steps; };
  EXPECT_EQ(steps(R"("quality": "low")"), 15);
  for (const char* high : {"high", "hd", "xhigh", "max"}) EXPECT_EQ(steps(fmt::format(R"("quality": "{}")", high)), 50);
  for (const char* own : {"auto", "standard", "medium"})
    EXPECT_FALSE(steps(fmt::format(R"("quality": "{}")", own))) << own;
  EXPECT_EQ(steps(R"("quality": "high", "steps": 4)"), 4);
}

TEST(OpenaiRequest, RefusesByTheFieldsName) {
  const auto expect = [](const std::string& fields, const char* param, const char* code, const char* part) {
    const Refusal refusal = refused(fields);
    EXPECT_EQ(refusal.status, 400) << fields;
    EXPECT_EQ(refusal.param, param) << fields;
    EXPECT_EQ(refusal.code, code) << fields;
    EXPECT_THAT(refusal.sentence, HasSubstr(part)) << fields;
  };
  expect(R"("qualty": "low")", "qualty", "unknown_parameter", "Unknown parameter: 'qualty'. Did you mean 'quality'?");
  expect(R"("strength": 0.5)", "strength", "unknown_parameter", "'strength'");  // of edits
  expect(R"("n": "2")", "n", "invalid_type", "whole number");
  expect(R"("n": 2.5)", "n", "invalid_type", "whole number");
  expect(R"("n": 18446744073709551615)", "n", "invalid_type", "whole number");
  expect(R"("n": 0)", "n", "invalid_value", "from 1 to 10, not 0");
  expect(R"("n": 11)", "n", "invalid_value", "from 1 to 10");
  expect(R"("seed": -1)", "seed", "invalid_type", "whole number");
  expect(R"("seed": "abc")", "seed", "invalid_type", "whole number");
  expect(R"("stream": "true")", "stream", "invalid_type", "true or false");
  expect(R"("prompt2": 1)", "prompt2", "unknown_parameter", "'prompt'");
  for (const char* size : {"512", "x512", "512x", "512x512x512", "-512x512", "512X512", " 512x512", "0x512", "1e3x512"})
    expect(fmt::format(R"("size": "{}")", size), "size", "invalid_value", "512x768");
  expect(R"("quality": "best")", "quality", "invalid_value", "\"auto\"");
  expect(R"("background": "transparent")", "background", "invalid_value", "transparent");
  expect(R"("style": "pop")", "style", "invalid_value", "natural");
  expect(R"("moderation": "high")", "moderation", "invalid_value", "low");
  expect(R"("output_format": "gif")", "output_format", "invalid_value", "webp");
  expect(R"("output_compression": 50)", "output_compression", "invalid_value", "PNG");
  expect(R"("output_format": "jpeg", "output_compression": 101)", "output_compression", "invalid_value", "100");
  expect(R"("response_format": "url", "output_format": "jpeg")", "response_format", "invalid_value", "PNG");
  expect(R"("partial_images": 2)", "partial_images", "invalid_value", "`stream`");
  expect(R"("stream": true, "partial_images": 4)", "partial_images", "invalid_value", "from 0 to 3");
  expect(R"("stream": true, "n": 2)", "n", "invalid_value", "n=1");
  expect(R"("stream": true, "response_format": "url")", "response_format", "invalid_value", "base64");
  const Refusal missing = refusal_of([] { read_generation("{}", find_model); });
  EXPECT_EQ(missing.param, "prompt");
  EXPECT_EQ(missing.code, "missing_required_parameter");
  for (const char* wrong : {"", "[]", "{", R"({"prompt": "a", "prompt": "b"})", R"({"prompt": NaN})", "\xff"})
    EXPECT_THROW(read_generation(wrong, find_model), Error) << wrong;
}

TEST(OpenaiRequest, Streams) {
  const OpenaiRequest out = generation(R"("stream": true, "partial_images": 2, "n": 1)");
  EXPECT_TRUE(out.stream);
  EXPECT_EQ(out.partial_images, 2);
  EXPECT_TRUE(out.submission.previews);
  EXPECT_FALSE(generation(R"("stream": true)").submission.previews);
  EXPECT_TRUE(generation(R"("response_format": "url", "output_format": "png")").url);
}

// Edits

std::string rgba_png(uint32_t width, uint32_t height, const std::function<int(uint32_t x)>& opacity) {
  std::string pixels;
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) pixels += std::string("\x80\x40\x20") + static_cast<char>(opacity(x));
  }
  return test::made_png({.width = width, .height = height, .pixels = pixels});
}
std::string rgb_png(uint32_t width, uint32_t height) {
  return test::made_png(
      {.width = width, .height = height, .colour_type = 2, .pixels = std::string(3 * width * height, '\x7f')});
}
std::string half_open(uint32_t width, uint32_t height) {
  return rgba_png(width, height, [&](uint32_t x) { return x < width / 2 ? 0 : 255; });
}

// A form; the texts outlive it.
class Form {
 public:
  Form& file(const std::string& name, const std::string& bytes) {
    parts_.push_back({.name = name, .filename = "x.png", .type = "image/png", .body = keep(bytes)});
    return *this;
  }
  Form& field(const std::string& name, const std::string& value) {
    parts_.push_back({.name = name, .body = keep(value)});
    return *this;
  }
  OpenaiRequest read() const { return read_edit(parts_, find_model); }
  Refusal refusal() const {
    return refusal_of([&] { read(); });
  }

 private:
  std::string_view keep(const std::string& text) {
    texts_.push_back(std::make_unique<std::string>(text));
    return *texts_.back();
  }
  std::vector<std::unique_ptr<std::string>> texts_;
  std::vector<FormPart> parts_;
};

std::vector<std::byte> bytes_of_uri(const std::string& uri) {
  const std::string head = "data:image/png;base64,";
  EXPECT_TRUE(uri.starts_with(head));
  return from_base64(std::string_view(uri).substr(head.size())).value();
}

TEST(OpenaiEdit, AnImageIsTheBeginning) {
  const std::string image = rgb_png(8, 6);
  Form form;
  form.field("prompt", "a dog").file("image", image).field("n", "2").field("steps", "").field("seed", "5");
  form.field("scale", "2.5").field("stream", "false").field("model", "gpt-image-1").field("user", "");
  const OpenaiRequest out = form.read();
  const Request& request = out.submission.request;
  EXPECT_EQ(request.prompts, std::vector<std::string>{"a dog"});
  const auto bytes = bytes_of_uri(request.init);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), image);
  EXPECT_EQ(request.mask, "");
  EXPECT_FALSE(request.strength || request.mask_content || request.resize || request.steps);
  EXPECT_EQ(request.copies, 2);
  EXPECT_EQ(request.seed, 5u);
  EXPECT_EQ(request.scale, 2.5);
}

TEST(OpenaiEdit, StrengthAndSize) {
  const auto with = [](const std::string& name, const std::string& value) {
    Form form;
    form.field("prompt", "x").file("image[]", rgb_png(4, 4)).field(name, value);
    return form.read().submission.request;
  };
  EXPECT_EQ(with("strength", "0.4").strength, 0.4);
  EXPECT_EQ(with("input_fidelity", "high").strength, 0.5);
  EXPECT_FALSE(with("input_fidelity", "low").strength);
  EXPECT_EQ(with("size", "64x32").resize, "crop");
  EXPECT_EQ(with("size", "64x32").width, 64);
  EXPECT_FALSE(with("size", "auto").resize);
}

TEST(OpenaiEdit, WhatIsSeeThroughIsDrawnAnew) {
  Form form;
  form.field("prompt", "x").file("image", rgb_png(8, 4)).file("mask", half_open(8, 4));
  const Request request = form.read().submission.request;
  const Image mask = image::decode_mask(bytes_of_uri(request.mask), "the mask");
  ASSERT_EQ(mask.width, 8);
  ASSERT_EQ(mask.height, 4);
  EXPECT_TRUE(request.mask_invert);  // black is drawn anew
  for (int64_t y = 0; y < 4; ++y) {
    for (int64_t x = 0; x < 8; ++x) EXPECT_EQ(mask.row(y)[x], x < 4 ? 0 : 255) << x;
  }
  EXPECT_EQ(request.strength, 1.0);
  EXPECT_EQ(request.mask_content, "fill");
  EXPECT_TRUE(form.read().notes.empty());
  const OpenaiRequest gentle = form.field("strength", "0.6").field("input_fidelity", "high").read();
  EXPECT_EQ(gentle.submission.request.strength, 0.6);
  EXPECT_FALSE(gentle.submission.request.mask_content);
  EXPECT_EQ(gentle.notes.size(), 1u);  // the fidelity is named
}

TEST(OpenaiEdit, AnImageMayBeItsOwnMask) {
  Form see_through, opaque;
  const Request own = see_through.field("prompt", "x").file("image", half_open(8, 4)).read().submission.request;
  EXPECT_EQ(image::decode_mask(bytes_of_uri(own.mask), "the mask").row(0)[0], 0);
  EXPECT_TRUE(own.mask_invert);
  opaque.field("prompt", "x").file("image", rgba_png(8, 4, [](uint32_t) { return 255; }));
  EXPECT_EQ(opaque.read().submission.request.mask, "");
  EXPECT_FALSE(opaque.read().submission.request.mask_invert);
}

// A PNG of that size without its pixels: what decodes it fails.
std::string head_of_png(uint32_t width, uint32_t height, char colour_type) {
  return std::string("\x89PNG\r\n\x1a\n") +
         test::png_chunk("IHDR", test::big_endian(width, 4) + test::big_endian(height, 4) + '\x08' + colour_type +
                                     std::string(3, '\0'));
}
constexpr char kRgb = 2, kRgba = 6;

TEST(OpenaiEdit, DecodesOnlyWhatItMust) {
  Form opaque, open, sized;
  opaque.field("prompt", "x").file("image", head_of_png(64, 64, kRgb));
  EXPECT_NE(opaque.read().submission.request.init, "");  // the job tells what is wrong with its pixels
  open.field("prompt", "x").file("image", head_of_png(64, 64, kRgba));
  EXPECT_EQ(open.refusal().code, "invalid_image_file");
  sized.field("prompt", "x").file("image", head_of_png(8, 4, kRgba)).file("mask", half_open(8, 4));
  EXPECT_TRUE(sized.read().submission.request.mask_invert);
}

TEST(OpenaiEdit, RefusesTooManyPixelsBeforeItDecodes) {
  const auto refused = [](const std::string& image, const std::string& mask) {
    Form form;
    form.field("prompt", "x").file("image", image);
    if (!mask.empty()) form.file("mask", mask);
    return form.refusal();
  };
  const Refusal alone = refused(head_of_png(8193, 8193, kRgba), "");
  EXPECT_EQ(alone.param, "image");
  EXPECT_THAT(alone.sentence, HasSubstr("more than 64 megapixels"));
  EXPECT_THAT(refused(head_of_png(INT32_MAX, INT32_MAX, kRgba), "").sentence, HasSubstr("megapixels"));
  const Refusal both = refused(head_of_png(8000, 8000, kRgb), head_of_png(8000, 8000, kRgba));
  EXPECT_EQ(both.param, "mask");
  EXPECT_THAT(both.sentence, HasSubstr("together more than 64 megapixels"));
}

TEST(OpenaiEdit, AnImageBeyondAMegapixelIsDrawnSmallerUnlessASizeIsGiven) {
  const auto read = [](uint32_t width, uint32_t height, const std::string& size) {
    Form form;
    form.field("prompt", "x").field("size", size).file("image", head_of_png(width, height, kRgb));
    return form.read();
  };
  const OpenaiRequest photo = read(4000, 3000, "auto");
  EXPECT_EQ(photo.submission.request.width, 1176);
  EXPECT_EQ(photo.submission.request.height, 880);
  EXPECT_EQ(photo.submission.request.resize, "crop");
  ASSERT_EQ(photo.notes.size(), 1u);
  EXPECT_THAT(photo.notes[0], HasSubstr("4000x3000 and was drawn at 1176x880"));
  const OpenaiRequest asked = read(4000, 3000, "2000x1504");
  EXPECT_EQ(asked.submission.request.width, 2000);
  EXPECT_TRUE(asked.notes.empty());
  EXPECT_FALSE(read(1024, 1024, "auto").submission.request.width);
  const Request strip = read(8'000'000, 2, "auto").submission.request;
  EXPECT_EQ(strip.width, 16384);
  EXPECT_EQ(strip.height, 8);
}

// A camera's picture lies on its side, and its Exif says so.
TEST(OpenaiEdit, APhotographsSizeIsTheUprightOne) {
  const std::string exif("MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0", 26);
  const std::string photo = test::made_png({.width = 1600,
                                            .height = 800,
                                            .colour_type = 2,
                                            .pixels = std::string(3 * 1600 * 800, '\x7f'),
                                            .before = {{"eXIf", exif}}});
  Form form;
  const Request request = form.field("prompt", "x").file("image", photo).read().submission.request;
  EXPECT_EQ(request.width, 720);
  EXPECT_EQ(request.height, 1448);
}

TEST(OpenaiEdit, RefusesMasks) {
  const auto mask_refusal = [](const std::string& mask) {
    Form form;
    form.field("prompt", "x").file("image", rgb_png(8, 4)).file("mask", mask);
    return form.refusal();
  };
  const Refusal size = mask_refusal(half_open(4, 4));
  EXPECT_EQ(size.code, "invalid_mask_image_format");
  EXPECT_EQ(size.param, "mask");
  EXPECT_THAT(size.sentence, HasSubstr("`mask` is 4x4, `image` 8x4"));
  EXPECT_THAT(mask_refusal(rgb_png(8, 4)).sentence, HasSubstr("missing alpha channel"));
  EXPECT_THAT(mask_refusal(rgba_png(8, 4, [](uint32_t) { return 255; })).sentence, HasSubstr("opaque everywhere"));
  EXPECT_THAT(mask_refusal(rgba_png(8, 4, [](uint32_t) { return 200; })).sentence, HasSubstr("opaque everywhere"));
  EXPECT_EQ(mask_refusal("no picture").code, "invalid_image_file");
  EXPECT_THAT(mask_refusal("").sentence, HasSubstr("empty"));
}

TEST(OpenaiEdit, RefusesForms) {
  const std::string image = rgb_png(4, 4);
  const auto base = [&] {
    Form form;
    form.field("prompt", "x").file("image", image);
    return form;
  };
  EXPECT_EQ(Form().field("prompt", "x").refusal().code, "missing_required_parameter");
  EXPECT_EQ(Form().file("image", image).refusal().param, "prompt");
  EXPECT_THAT(base().file("image[]", image).refusal().sentence, HasSubstr("one file as `image`"));
  EXPECT_THAT(base().file("mask", image).file("mask", image).refusal().sentence, HasSubstr("one file as `mask`"));
  EXPECT_EQ(base().field("image[0]", "x").refusal().code, "unknown_parameter");
  EXPECT_EQ(base().field("style", "vivid").refusal().code, "unknown_parameter");  // of generations
  EXPECT_THAT(base().file("user", "x").refusal().sentence, HasSubstr("not a file"));
  EXPECT_THAT(base().field("n", "1").field("n", "2").refusal().sentence, HasSubstr("twice"));
  EXPECT_THAT(base().field("user", "\xff").refusal().sentence, HasSubstr("UTF-8"));
  EXPECT_THAT(base().field("user", std::string((1 << 20) + 1, 'x')).refusal().sentence, HasSubstr("longer"));
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"n", "2x"}, {"n", " 2"}, {"scale", "nan"}, {"scale", "1,5"}, {"stream", "1"}, {"seed", "-1"}})
    EXPECT_EQ(base().field(name, value).refusal().code, "invalid_type") << name << "=" << value;
  Form broken;
  broken.field("prompt", "x").file("image", half_open(4, 4).substr(0, 40));
  EXPECT_EQ(broken.refusal().param, "image");
  EXPECT_EQ(broken.refusal().code, "invalid_image_file");
}

TEST(OpenaiRequest, SentencesNameFields) {
  EXPECT_EQ(field_of("`width` must be a multiple of 8"), "size");
  EXPECT_EQ(field_of("`prompts` and `steps`"), "prompt");
  EXPECT_EQ(field_of("`loras` are wrong"), "");
  EXPECT_EQ(field_of("nothing"), "");
  EXPECT_EQ(field_of("`"), "");
}

}  // namespace
}  // namespace sumi::app
