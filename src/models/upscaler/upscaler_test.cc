#include "models/upscaler/upscaler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <regex>

#include "base/check.h"
#include "core/host_memory.h"
#include "models/upscaler/names.h"
#include "ops/layout.h"
#include "ops/window.h"
#include "tests/support/random_tensor.h"
#include "tests/support/rejected.h"
#include "tests/support/relative_l2.h"
#include "tests/support/upscaler_files.h"

namespace sumi::models {
namespace {

using testing::HasSubstr;

class UpscalerTest : public testing::Test {
 protected:
  Upscaler opened(const test::NamedTensors& tensors) const {
    io::write_safetensors(file_, tensors);
    return Upscaler::open(file_);
  }
  Upscaler opened(const test::Shapes& shapes) const { return opened(test::synthetic_tensors(shapes)); }
  std::string refusal(const test::NamedTensors& tensors) const {
    io::write_safetensors(file_, tensors);
    return test::rejection(file_, [&] { Upscaler::open(file_); });
  }
  std::string refusal(const test::Shapes& shapes) const { return refusal(test::synthetic_tensors(shapes)); }

  test::TempFolder folder_;
  std::filesystem::path file_ = folder_ / "model.safetensors";
};

Image noise(int64_t width, int64_t height) {
  Image picture(width, height);
  for (uint8_t& value : picture.pixels) value = static_cast<uint8_t>(test::random_engine()() >> 8);
  return picture;
}

Tensor as_tensor(const Image& picture) {
  std::vector<float> values;
  for (const uint8_t value : picture.pixels) values.push_back(static_cast<float>(value) / 255.0f);
  return Tensor::from(values, {1, picture.height, picture.width, 3});
}

// Largest difference of two pictures, in 255ths.
int difference(const Image& a, const Image& b) {
  int largest = -1;
  if (a.width != b.width || a.height != b.height) return 256;
  for (size_t i = 0; i < a.pixels.size(); ++i) largest = std::max(largest, std::abs(a.pixels[i] - b.pixels[i]));
  return largest;
}

TEST_F(UpscalerTest, ReadsEveryFormOfTheSameModel) {
  const test::NamedTensors weights = test::tiny_upscaler("x4");
  const Tensor x = test::random({1, 5, 7, 3});
  const Tensor want = opened(weights)(x);
  const auto expect_same = [&](const std::filesystem::path& file) {
    EXPECT_TRUE(test::same_bytes(Upscaler::open(file)(x), want)) << file;
  };
  for (const std::string wrapper : {"", "params_ema", "params"}) {
    test::write_pth(folder_ / "model.pth", weights, wrapper);
    expect_same(folder_ / "model.pth");
    if (wrapper.empty()) continue;
    io::write_safetensors(file_, test::with_names(weights, [&](const std::string& n) { return wrapper + "." + n; }));
    expect_same(file_);
  }
  io::write_safetensors(file_, test::with_names(weights, [](const std::string& n) { return "module." + n; }));
  expect_same(file_);
  // The names of the middle years.
  const auto middle = [](std::string name) {
    for (const auto& [from, to] : {std::pair{"^body\\.(\\d+)\\.rdb", "RRDB_trunk.$1.RDB"},
                                   {"^conv_body", "trunk_conv"},
                                   {"^conv_up", "upconv"},
                                   {"^conv_hr", "HRconv"}})
      name = std::regex_replace(name, std::regex(from), to);
    return name;
  };
  io::write_safetensors(file_, test::with_names(weights, middle));
  expect_same(file_);
  // Of two sets the running average is taken.
  test::NamedTensors both = test::with_names(weights, [](const std::string& n) { return "params_ema." + n; });
  for (const auto& [name, value] : weights) both.emplace_back("params." + name, Tensor::zeros(value.shape()));
  io::write_safetensors(file_, both);
  expect_same(file_);
}

TEST_F(UpscalerTest, OldNamesTellTheScale) {
  for (const int64_t upsamplings : {0, 1, 2, 3}) {
    const test::NamedTensors weights = test::synthetic_tensors(test::rrdb_shapes(8, 1, 4, 3, upsamplings));
    const auto old = [&](std::string name) {
      const auto layer = [](int64_t number) { return "model." + std::to_string(number); };
      for (const auto& [from, to] : {std::pair{std::string("^conv_first"), layer(0)},
                                     {"^body\\.0\\.rdb(\\d)\\.conv(\\d)", "model.1.sub.0.RDB$1.conv$2.0"},
                                     {"^conv_body", "model.1.sub.1"},
                                     {"^conv_hr", layer(2 + 3 * upsamplings)},
                                     {"^conv_last", layer(4 + 3 * upsamplings)}})
        name = std::regex_replace(name, std::regex(from), to);
      for (int64_t i = 1; i <= upsamplings; ++i)
        name = std::regex_replace(name, std::regex("^conv_up" + std::to_string(i)), layer(3 * i));
      return name;
    };
    const Tensor x = test::random({1, 4, 3, 3});
    const Upscaler upscaler = opened(test::with_names(weights, old));
    EXPECT_EQ(upscaler.scale(), int64_t{1} << upsamplings);
    EXPECT_TRUE(test::same_bytes(upscaler(x), opened(weights)(x))) << upsamplings;
  }
}

TEST_F(UpscalerTest, ShapesTellTheSizes) {
  const auto config = [](const test::Shapes& shapes) {
    return recognise_upscaler(std::make_shared<test::FakeCheckpoint>(shapes)).config;
  };
  EXPECT_EQ(std::get<RrdbConfig>(config(test::rrdb_shapes(64, 23, 32))), RrdbConfig{});
  EXPECT_EQ(std::get<RrdbConfig>(config(test::rrdb_shapes(48, 6, 24, 12))),
            (RrdbConfig{.features = 48, .blocks = 6, .growth = 24, .unshuffle = 2}));
  EXPECT_EQ(std::get<RrdbConfig>(config(test::rrdb_shapes(8, 12, 4, 48))).scale(), 1);
  EXPECT_EQ(std::get<CompactConfig>(config(test::compact_shapes(64, 32, 4))), CompactConfig{});
  EXPECT_EQ(std::get<CompactConfig>(config(test::compact_shapes(24, 0, 3))),
            (CompactConfig{.features = 24, .convolutions = 0, .scale = 3}));
}

// The network written out by other means: a picture through a model of one convolution that keeps it.
TEST_F(UpscalerTest, TheCompactNetworkAddsToTheRepeatedPicture) {
  test::NamedTensors weights = test::synthetic_tensors(test::compact_shapes(4, 1, 2));
  const Tensor x = test::random({1, 3, 5, 3});
  const Upscaler whole = opened(weights);
  EXPECT_EQ(whole.scale(), 2);
  EXPECT_EQ(whole.full_border(), 3);
  // In double precision, value by value.
  std::map<std::string, std::vector<float>> values;
  for (const auto& [name, tensor] : weights) {
    const HostView<float> view(tensor);
    values[name] = {view.begin(), view.end()};
  }
  const auto conv = [&](const std::vector<double>& in, int64_t ins, int64_t outs, const std::string& name) {
    const std::vector<float>&w = values.at(name + ".weight"), &b = values.at(name + ".bias");
    std::vector<double> out(static_cast<size_t>(15 * outs));
    for (int64_t y = 0; y < 3; ++y) {
      for (int64_t column = 0; column < 5; ++column) {
        for (int64_t o = 0; o < outs; ++o) {
          double sum = b[static_cast<size_t>(o)];
          for (int64_t k = 0; k < 9 * ins; ++k) {
            const int64_t i = k / 9, row = y + k % 9 / 3 - 1, at = column + k % 3 - 1;
            if (row < 0 || row >= 3 || at < 0 || at >= 5) continue;
            sum += double{w[static_cast<size_t>(o * 9 * ins + k)]} * in[static_cast<size_t>((row * 5 + at) * ins + i)];
          }
          out[static_cast<size_t>((y * 5 + column) * outs + o)] = sum;
        }
      }
    }
    return out;
  };
  const HostView<float> given(x);
  std::vector<double> h{given.begin(), given.end()};
  for (const auto& [name, slopes] : {std::pair{"body.0", "body.1.weight"}, {"body.2", "body.3.weight"}}) {
    h = conv(h, name == std::string("body.0") ? 3 : 4, 4, name);
    for (size_t i = 0; i < h.size(); ++i)
      if (h[i] < 0.0) h[i] *= values.at(slopes)[i % 4];
  }
  h = conv(h, 4, 12, "body.4");
  Tensor want = Tensor::empty({1, 6, 10, 3});
  {
    const HostEdit<float> to(want);
    for (int64_t i = 0; i < to.size(); ++i) {
      const int64_t c = i % 3, column = i / 3 % 10, y = i / 30, pixel = y / 2 * 5 + column / 2;
      to[i] = static_cast<float>(h[static_cast<size_t>(pixel * 12 + c * 4 + y % 2 * 2 + column % 2)] +
                                 given[pixel * 3 + c]);
    }
  }
  EXPECT_LT(test::relative_l2(whole(x), want), 1e-6);
}

TEST_F(UpscalerTest, TheBorderIsWhatTheLayersNeed) {
  struct Case {
    test::Shapes shapes;
    int64_t border, unit;
  };
  // conv_last, conv_hr and the second conv_up: 3 pixels, 2 of the size below; conv_up: 3, 2 below; conv_body, 15 a
  // block, conv_first.
  for (const Case& c :
       {Case{test::rrdb_shapes(8, 1, 4), 2 + 1 + 15 + 1, 1},
        Case{test::rrdb_shapes(8, 1, 4, 12), 2 * (2 + 1 + 15 + 1), 2},
        Case{test::rrdb_shapes(8, 1, 4, 3, 1), 2 + 1 + 15 + 1, 1}, Case{test::compact_shapes(8, 5, 3), 7, 0}}) {
    // Of a black picture nothing comes but of one pixel in its middle, and that reaches as far as it can.
    test::NamedTensors weights;
    for (const auto& [name, shape] : c.shapes)
      weights.emplace_back(name, Tensor::full(shape, name.ends_with("bias") ? 0.0f : 0.01f));
    const Upscaler upscaler = opened(weights);
    ASSERT_EQ(upscaler.full_border(), c.border);
    const int64_t side = 2 * c.border + 8, middle = c.border + 4, s = upscaler.scale();
    Tensor x = Tensor::zeros({1, side, side, 3});
    {
      const HostEdit<float> values(x);
      values[(middle * side + middle) * 3] = 1e6f;
    }
    const ConvAlgorithmScope exact_zeros(ConvAlgorithm::kDirect);
    const Tensor y = upscaler(x);
    const HostView<float> results(y);
    int64_t first = side * s, last = 0;
    for (int64_t i = 0; i < results.size(); ++i) {
      if (results[i] == 0.0f) continue;
      first = std::min(first, i / 3 / (side * s));
      last = std::max(last, i / 3 / (side * s));
    }
    // No further than the border says, and no less by more than its rounding to whole pixels.
    const int64_t up = middle - first / s, down = last / s - middle;
    EXPECT_LE(std::max(up, down), c.border);
    EXPECT_GE(std::max(up, down), c.border - c.unit);
  }
}

TEST_F(UpscalerTest, TilesWithTheWholeBorderEqualThePicture) {
  for (const std::string kind : {"x4", "x2"}) {
    const Upscaler upscaler = opened(test::tiny_upscaler(kind));
    const int64_t border = upscaler.full_border(), tile = 18, s = upscaler.scale();
    const Tensor x = test::random({1, 54, 42, 3}, 0.2f, 0.5f), exact = upscaler(x);
    double worst = 0.0, with_less = 0.0;
    for (int64_t top = 0; top < x.dim(1); top += tile) {
      for (int64_t left = 0; left < x.dim(2); left += tile) {
        const int64_t bottom = std::min(x.dim(1), top + tile), right = std::min(x.dim(2), left + tile);
        const auto error = [&](int64_t around) {
          const int64_t from_y = std::max<int64_t>(0, top - around), from_x = std::max<int64_t>(0, left - around);
          const Tensor part = upscaler(
              crop(x, from_y, std::min(x.dim(1), bottom + around), from_x, std::min(x.dim(2), right + around)));
          const Tensor own =
              crop(part, (top - from_y) * s, (bottom - from_y) * s, (left - from_x) * s, (right - from_x) * s);
          const Tensor want = crop(exact, top * s, bottom * s, left * s, right * s);
          const HostView<float> a(own), b(want);
          double largest = 0.0;
          for (int64_t i = 0; i < a.size(); ++i) largest = std::max<double>(largest, std::abs(a[i] - b[i]));
          return largest;
        };
        worst = std::max(worst, error(border));
        with_less = std::max(with_less, error(2));
      }
    }
    EXPECT_LT(worst, 1e-5) << kind;
    EXPECT_GT(with_less, 1e-3) << kind;  // that the border matters
  }
}

TEST_F(UpscalerTest, PicturesInTilesEqualTheWholeOne) {
  for (const std::string kind : {"x4", "x2", "old"}) {
    const Upscaler upscaler = opened(test::tiny_upscaler(kind));
    const int64_t s = upscaler.scale();
    // Odd sides are halved by the x2 model.
    const Image picture = noise(41, 33), whole = upscaler.upscale(picture);
    ASSERT_EQ(whole.width, 41 * s);
    ASSERT_EQ(whole.height, 33 * s);
    const Tensor direct = upscaler(as_tensor(picture));
    ASSERT_EQ(direct.shape(), (Shape{1, 33 * s, 41 * s, 3}));
    const HostView<float> values(direct);
    for (int64_t i = 0; i < values.size(); ++i)
      ASSERT_NEAR(whole.pixels[static_cast<size_t>(i)], 255.0f * std::clamp(values[i], 0.0f, 1.0f), 0.501f) << i;
    // What is rounded either way may differ by one.
    EXPECT_LE(difference(upscaler.upscale(picture, {.tile = 13, .border = upscaler.full_border()}), whole), 1);
    EXPECT_LE(difference(upscaler.upscale(picture, {.tile = 13}), whole), 1);
    EXPECT_GT(difference(upscaler.upscale(picture, {.tile = 13, .border = 0}), whole), 1);
  }
  const Upscaler upscaler = opened(test::tiny_upscaler("x2"));
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 6}, {3, 2}})
    EXPECT_EQ(upscaler.upscale(noise(width, height)).width, 2 * width);
}

// What the comment at kBorder says, on a real model's network.
TEST_F(UpscalerTest, TheDefaultBorderLeavesNoSeam) {
  const Upscaler upscaler = opened(test::rrdb_shapes(64, 23, 32));
  EXPECT_EQ(upscaler.full_border(), 349);
  EXPECT_EQ(upscaler.default_border(), Upscaler::kBorder);
  const Image picture = noise(96, 16), whole = upscaler.upscale(picture);
  EXPECT_LE(difference(upscaler.upscale(picture, {.tile = 48}), whole), 1);
}

TEST_F(UpscalerTest, CountsItsMemory) {
  for (const test::Shapes& shapes :
       {test::rrdb_shapes(64, 2, 32), test::rrdb_shapes(64, 1, 32, 12), test::rrdb_shapes(64, 2, 32, 48),
        test::rrdb_shapes(64, 1, 32, 3, 0), test::compact_shapes(64, 3, 4), test::compact_shapes(16, 3, 4)}) {
    const Upscaler upscaler = opened(shapes);
    // Powers of two, which the allocator does not round up.
    const Tensor x = Tensor::zeros({1, 64, 128, 3});
    forget_host_memory_peak();
    const int64_t live = host_memory().live_bytes;
    upscaler(x);
    const auto measured = static_cast<double>(host_memory().peak_bytes - live);
    const auto planned = static_cast<double>(upscaler.peak_bytes(64, 128));
    EXPECT_GT(planned, 0.95 * measured);
    EXPECT_LT(planned, 1.05 * measured);
  }
}

TEST_F(UpscalerTest, TilesKeepToTheMemory) {
  const Upscaler upscaler = opened(test::rrdb_shapes(32, 1, 16));
  constexpr int64_t kMemory = 32'000'000;
  const Image picture = noise(200, 180);
  forget_host_memory_peak();
  const int64_t live = host_memory().live_bytes;
  int64_t steps = 0;
  upscaler.upscale(picture, {.memory = kMemory, .progress = [&](int64_t, int64_t total) { steps = total; }});
  const int64_t peak = host_memory().peak_bytes - live;
  EXPECT_LT(peak, kMemory + kMemory / 8);  // the allocator rounds up
  EXPECT_GT(peak, kMemory / 4);
  EXPECT_GT(steps, 3);
}

TEST_F(UpscalerTest, TellsHowFarItIsAndStops) {
  const Upscaler upscaler = opened(test::tiny_upscaler("x4"));
  const Image picture = noise(30, 20);
  std::vector<int64_t> seen;
  int64_t of = 0;
  upscaler.upscale(picture, {.tile = 16, .progress = [&](int64_t done, int64_t total) {
                               seen.push_back(done);
                               of = total;
                             }});
  EXPECT_EQ(of, 4 * (2 + 2));  // tiles, each of blocks and enlargements
  ASSERT_EQ(static_cast<int64_t>(seen.size()), of);
  for (int64_t i = 0; i < of; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i + 1);
  std::atomic<bool> cancel = false;
  int64_t steps = 0;
  try {
    upscaler.upscale(picture, {.progress = [&](int64_t, int64_t) { cancel = ++steps == 2; }, .cancel = &cancel});
    ADD_FAILURE() << "was not cancelled";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCancelled);
  }
  EXPECT_EQ(steps, 2);
}

TEST_F(UpscalerTest, WhatWrapsStaysSeamless) {
  for (const std::string kind : {"x4", "x2"}) {
    const Upscaler upscaler = opened(test::tiny_upscaler(kind));
    const int64_t s = upscaler.scale();
    const ContextScope scope([](Context& context) { context.wrap_x = context.wrap_y = true; });
    const Image picture = noise(28, 36);
    const Tensor rolled = window(as_tensor(picture), -6, 30, -4, 24, {.y = true, .x = true});
    const Tensor direct = upscaler(as_tensor(picture));
    EXPECT_LT(test::relative_l2(upscaler(rolled), window(direct, -6 * s, 30 * s, -4 * s, 24 * s, {true, true})), 1e-5);
    EXPECT_LE(difference(upscaler.upscale(picture, {.tile = 14, .border = upscaler.full_border()}),
                         upscaler.upscale(picture)),
              1);
  }
  const Upscaler upscaler = opened(test::tiny_upscaler("x2"));
  const ContextScope scope([](Context& context) { context.wrap_x = true; });
  EXPECT_NO_THROW(upscaler.upscale(noise(6, 5)));
  EXPECT_THROW(upscaler.upscale(noise(5, 6)), Error);
}

TEST_F(UpscalerTest, RefusesPicturesItCannotTake) {
  const Upscaler upscaler = opened(test::tiny_upscaler("x4"));
  EXPECT_THROW(upscaler.upscale(Image(4, 4, 4)), Error);
  EXPECT_THROW(upscaler.upscale(Image()), Error);
  EXPECT_THROW(upscaler(test::random({1, 4, 4, 4})), Error);
  test::NamedTensors broken = test::tiny_upscaler("x4");
  for (auto& [name, value] : broken)
    if (name == "conv_last.bias") value = Tensor::full({3}, NAN);
  const Upscaler bad = opened(broken);
  try {
    bad.upscale(noise(4, 4));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_THAT(error.what(), HasSubstr("model.safetensors: what it makes of a picture is not a number"));
  }
}

TEST_F(UpscalerTest, SaysWhatAFileIsInstead) {
  const Shape any{4};
  for (const auto& [name, what] : {std::pair{"model.diffusion_model.out.2.bias", "a diffusion model"},
                                   {"lora_unet_down.lora_up.weight", "a LoRA"},
                                   {"layers.0.residual_group.blocks.0.attn.relative_position_bias_table", "SwinIR"},
                                   {"layers.0.blocks.0.attn.attns.0.pos.weight", "DAT"},
                                   {"layers.0.residual_group.overlap_attn.qkv.weight", "HAT"},
                                   {"body.0.rdb1.conv1x1.weight", "ESRGAN+"},
                                   {"body.0.body.0.weight", "EDSR"}})
    EXPECT_THAT(refusal(test::Shapes{{name, any}}), HasSubstr(what));
  EXPECT_THAT(refusal(test::Shapes{{"something.weight", any}}), HasSubstr("not an upscaling model"));
}

TEST_F(UpscalerTest, SaysWhatIsWrongWithABrokenOne) {
  const test::Shapes good = test::rrdb_shapes(8, 2, 4);
  const auto without = [&](const std::string& name) {
    test::Shapes shapes = good;
    shapes.erase(name);
    return refusal(shapes);
  };
  const auto with = [&](test::Shapes shapes, const std::string& name, const Shape& shape) {
    shapes[name] = shape;
    return refusal(shapes);
  };
  EXPECT_THAT(without("conv_first.weight"), HasSubstr("\"conv_first.weight\" is missing"));
  EXPECT_THAT(without("body.1.rdb2.conv3.bias"), HasSubstr("missing: body.1.rdb2.conv3.bias"));
  EXPECT_THAT(without("conv_hr.weight"), HasSubstr("conv_hr.weight"));
  EXPECT_THAT(with(good, "conv_first.weight", {8, 5, 3, 3}), HasSubstr("5 channels"));
  EXPECT_THAT(with(good, "conv_first.weight", {8, 3, 3}), HasSubstr("[8, 3, 3]"));
  EXPECT_THAT(with(good, "conv_first.weight", {0, 3, 3, 3}), HasSubstr("0 features"));
  EXPECT_THAT(with(good, "body.0.rdb1.conv2.weight", {4, 13, 3, 3}), HasSubstr("should be"));
  EXPECT_THAT(with(good, "body.0.rdb1.conv6.weight", {4, 12, 3, 3}), HasSubstr("unexpected"));
  EXPECT_THAT(refusal(test::rrdb_shapes(8, 1, 4, 48, 1)), HasSubstr("doubles 1 times"));
  const test::Shapes compact = test::compact_shapes(8, 2, 4);
  EXPECT_THAT(with(compact, "body.6.weight", {47, 8, 3, 3}), HasSubstr("47 outputs"));
  EXPECT_THAT(with(compact, "body.3.weight", Shape{9}), HasSubstr("body.3.weight"));
  test::NamedTensors old = test::tiny_upscaler("old");
  std::erase_if(old, [](const auto& entry) { return entry.first.starts_with("model.10."); });
  EXPECT_THAT(refusal(old), HasSubstr("\"model.8\""));
}

TEST_F(UpscalerTest, BrokenFilesAreRefused) {
  io::write_safetensors(file_, test::tiny_upscaler("x4"));
  std::filesystem::resize_file(file_, std::filesystem::file_size(file_) - 100);
  test::rejection(file_, [&] { Upscaler::open(file_); });
  test::write_file(file_, "\x89PNG\r\n\x1a\n and no model");
  test::rejection(file_, [&] { Upscaler::open(file_); });
  test::write_file(file_, "");
  test::rejection(file_, [&] { Upscaler::open(file_); });
}

}  // namespace
}  // namespace sumi::models
