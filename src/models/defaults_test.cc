#include "models/defaults.h"

#include <gtest/gtest.h>

namespace sumi::models {
namespace {

TEST(DrawingDefaults, AreTheOriginalsForAModelThatSaysNothing) {
  const DrawingDefaults d = resolve_defaults(ModelConfig());
  EXPECT_EQ(d.size, 512);
  EXPECT_EQ(d.sampler, "ddim");
  EXPECT_EQ(d.schedule, "");
  EXPECT_EQ(d.steps, 50);
  EXPECT_EQ(d.scale, 7.5);
  EXPECT_EQ(d.prediction, diffusion::Prediction::kEpsilon);
}

TEST(DrawingDefaults, TheModelGoesBeforeTheForm) {
  const DrawingDefaults form{.size = 64, .sampler = "dpmpp_2m", .schedule = "karras", .steps = 25, .scale = 4.0};
  ModelConfig config;
  config.default_size = 768;
  config.prediction = diffusion::Prediction::kVelocity;
  DrawingDefaults d = resolve_defaults(config, form);
  EXPECT_EQ(d.size, 768);
  EXPECT_EQ(d.prediction, diffusion::Prediction::kVelocity);
  EXPECT_EQ(d.sampler, "dpmpp_2m");
  EXPECT_EQ(d.schedule, "karras");
  EXPECT_EQ(d.steps, 25);
  EXPECT_EQ(d.scale, 4.0);
  config.sampling = {.sampler = "euler", .steps = 12, .scale = 2.5};
  d = resolve_defaults(config, form);
  EXPECT_EQ(d.sampler, "euler");
  EXPECT_EQ(d.schedule, "");
  EXPECT_EQ(d.steps, 12);
  EXPECT_EQ(d.scale, 2.5);
}

}  // namespace
}  // namespace sumi::models
