#include "models/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/check.h"
#include "models/family.h"
#include "tests/support/fake_checkpoint.h"
#include "tests/support/temp_folder.h"

namespace sumi::models {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

ModelConfig valid() {
  ModelConfig config;
  config.unet.num_heads = 8;
  return config;
}

// The one-line error that a change to a valid configuration causes.
template <class Change> std::string error_of(Change change) {
  ModelConfig config = valid();
  change(config);
  try {
    check_config(config, "some.yaml");
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kData);
    EXPECT_THAT(e.what(), HasSubstr("some.yaml: "));
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
    return e.what();
  }
  return "no error";
}

TEST(CheckConfig, AcceptsTheDefault) { EXPECT_NO_THROW(check_config(valid())); }

TEST(CheckConfig, Item92Widths) {
  for (const int64_t width : {int64_t{0}, int64_t{-320}, int64_t{1000000000}, std::numeric_limits<int64_t>::min(),
                              std::numeric_limits<int64_t>::max()}) {
    EXPECT_THAT(error_of([&](ModelConfig& c) { c.unet.model_channels = width; }), HasSubstr("the UNet's channels is"));
    EXPECT_THAT(error_of([&](ModelConfig& c) { c.unet.channel_mult[1] = width; }), HasSubstr("must be 1 to 65536"));
    EXPECT_THAT(error_of([&](ModelConfig& c) { c.autoencoder.ch = width; }), HasSubstr("autoencoder's channels"));
    EXPECT_THAT(error_of([&](ModelConfig& c) { c.unet.in_channels = width; }), HasSubstr("in_channels"));
    EXPECT_THAT(error_of([&](ModelConfig& c) { c.text.hidden_size = width; }), HasSubstr("hidden_size"));
    EXPECT_THAT(error_of([&](ModelConfig& c) { c.unet.num_res_blocks = {width}; }), HasSubstr("num_res_blocks"));
    EXPECT_THAT(error_of([&](ModelConfig& c) { c.unet.transformer_depth[2] = width; }),
                HasSubstr(width == 0 ? "no error" : "transformer_depth"));  // 0: no attention there
    EXPECT_THAT(error_of([&](ModelConfig& c) { c.unet.middle_depth = width; }),
                HasSubstr("middle block's transformer depth"));
  }
  EXPECT_THAT(error_of([](ModelConfig& c) { c.unet.model_channels = 40; }), HasSubstr("multiple of 32"));
  EXPECT_THAT(error_of([](ModelConfig& c) { c.unet.norm_groups = 48; }), HasSubstr("multiple of 48"));
  EXPECT_THAT(error_of([](ModelConfig& c) { c.unet.norm_groups = 0; }), HasSubstr("the UNet's norm_groups"));
  EXPECT_THAT(error_of([](ModelConfig& c) { c.unet.channel_mult.clear(); }), HasSubstr("0 levels"));
  EXPECT_THAT(error_of([](ModelConfig& c) { c.unet.channel_mult.assign(1000, 1); }), HasSubstr("1000 levels"));
  EXPECT_THAT(error_of([](ModelConfig& c) { c.autoencoder.ch_mult.clear(); }), HasSubstr("0 levels"));
  EXPECT_THAT(error_of([](ModelConfig& c) { c.unet.num_res_blocks = {2, 2}; }), HasSubstr("2 entries"));
  EXPECT_THAT(error_of([](ModelConfig& c) {
                c.unet.transformer_depth = {1, 1};
              }),
              HasSubstr("transformer_depth has 2 entries for the 4 levels"));
  EXPECT_THAT(error_of([](ModelConfig& c) {
                c.unet.use_spatial_transformer = false;
                c.unet.transformer_depth = {1, 1, 2, 0};
              }),
              HasSubstr("transformer_depth is 2; it must be 0 to 1"));
  EXPECT_THAT(error_of([](ModelConfig& c) {
                c.unet.num_res_blocks = {32};
                c.unet.transformer_depth = {128, 128, 128, 0};
              }),
              HasSubstr("transformer blocks"));
}

TEST(CheckConfig, Item93Heads) {
  EXPECT_THAT(error_of([](ModelConfig& c) { c.unet.num_heads = 7; }),
              HasSubstr("7 attention heads do not divide the UNet's 320 channels"));
  EXPECT_THAT(error_of([](ModelConfig& c) { c.unet.num_head_channels = 48; }),
              HasSubstr("heads of 48 channels do not divide"));
  EXPECT_THAT(error_of([](ModelConfig& c) { c.unet.num_heads = 0; }),
              HasSubstr("neither num_heads nor num_head_channels"));
  EXPECT_THAT(error_of([](ModelConfig& c) { c.text.heads = 5; }),
              HasSubstr("5 attention heads do not divide the text encoder's 768"));
  EXPECT_THAT(error_of([](ModelConfig& c) {  // no level attends, but the middle does
                c.unet.transformer_depth.assign(4, 0);
                c.unet.num_heads = 1000;
              }),
              HasSubstr("UNet's 1280 channels"));
}

TEST(CheckConfig, Item95Timesteps) {
  for (const int timesteps : {0, -1, 1000000000}) {
    EXPECT_THAT(error_of([&](ModelConfig& c) { c.timesteps = timesteps; }), HasSubstr("training timesteps"));
  }
}

TEST(CheckConfig, Item96Betas) {
  for (const double beta :
       {0.0, 1.0, -0.1, 2.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    EXPECT_THAT(error_of([&](ModelConfig& c) { c.linear_start = beta; }), HasSubstr("betas lie between 0 and 1"));
    EXPECT_THAT(error_of([&](ModelConfig& c) { c.linear_end = beta; }), HasSubstr("betas lie between 0 and 1"));
  }
  EXPECT_THAT(error_of([](ModelConfig& c) { c.autoencoder.scale_factor = std::numeric_limits<double>::quiet_NaN(); }),
              HasSubstr("scale factor"));
}

TEST(CheckConfig, PartsOfTwoModels) {
  EXPECT_THAT(error_of([](ModelConfig& c) { c.unet.out_channels = 8; }),
              HasSubstr("latents of 8 channels and the autoencoder takes 4"));
}

TEST(CheckVocabulary, Item102) {
  const ModelConfig config = valid();
  EXPECT_NO_THROW(check_vocabulary(config, 49408));
  EXPECT_NO_THROW(check_vocabulary(config, 1000));
  try {
    check_vocabulary(config, 49409);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kData);
    EXPECT_THAT(e.what(), AllOf(HasSubstr("49409 tokens"), HasSubstr("49408 rows")));
  }
}

TEST(Families, AreListedTheMoreParticularFirst) {
  std::vector<std::string> names;
  for (const Family& family : list_families()) {
    names.push_back(family.name);
    EXPECT_FALSE(family.help.empty());
  }
  // "toy" is this program's own: families/toy_family_test.cc.
  EXPECT_EQ(names, (std::vector<std::string>{"sd1", "toy", "ldm"}));
}

TEST(ConfigFor, TakesTheYamlBeforeAllElse) {
  const test::FakeCheckpoint tiny(test::manifest_shapes("tiny"));
  const ModelConfig config = config_for(tiny, std::string(SUMI_TEST_DATA) + "/tiny.yaml");
  EXPECT_EQ(config.unet.model_channels, 32);
  EXPECT_EQ(config_for(test::FakeCheckpoint(test::manifest_shapes("sd1")), {}).family, "sd1");
}

}  // namespace
}  // namespace sumi::models
