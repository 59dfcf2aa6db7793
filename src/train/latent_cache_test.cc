// When latents that are on disk are taken, and when they are computed again.
#include "train/latent_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "base/fnv1a.h"
#include "core/autograd.h"
#include "image/png.h"
#include "io/safetensors.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/init.h"
#include "tests/support/temp_folder.h"
#include "train/parameters.h"

namespace sumi::train {
namespace {

namespace fs = std::filesystem;

class TheLatentCache : public testing::Test {
 protected:
  TheLatentCache() : model_(made()) {
    for (const uint8_t value : {10, 200}) {
      image::Image picture(32, 32);
      std::fill(picture.pixels.begin(), picture.pixels.end(), value);
      const std::vector<std::byte> bytes = image::encode_png(picture);
      test::write_file(folder_ / ("data/" + std::to_string(value) + ".png"),
                       {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
    examples_ = find_examples(folder_ / "data");
  }

  static models::StableDiffusion made() {
    models::Components parts;
    parts.config.autoencoder = {
        .embed_dim = 4, .z_channels = 4, .ch = 32, .resolution = 32, .ch_mult = {1, 2}, .num_res_blocks = 1};
    parts.autoencoder = std::make_unique<models::AutoencoderKL>(parts.config.autoencoder);
    TorchCpuGenerator generator(5);
    models::initialise(*parts.autoencoder, generator);
    return models::StableDiffusion(std::move(parts));
  }

  // How many pictures were encoded.
  int64_t opened() {
    const NoGrad off;
    int64_t count = 0;
    const LatentCache cache(file_, examples_, model_, {.size = 32, .on_picture = [&](int64_t, int64_t) { ++count; }});
    EXPECT_EQ(cache.usable().size(), 2u);
    return count;
  }

  // The key that versions gave whose pictures were decoded otherwise: without that in it.
  std::string older_key() {
    Fnv1a hash;
    add_frozen_values(hash, model_.autoencoder(), {"encoder.", "quant_conv."});
    hash.add("32 false 0 0");
    for (const Example& example : examples_) {
      hash.add(example.name);
      hash.add("0");
      hash.add(std::to_string(fs::file_size(example.picture.path)));
      hash.add(std::to_string(fs::last_write_time(example.picture.path).time_since_epoch().count()));
    }
    return hash.hex();
  }

  test::TempFolder folder_;
  const fs::path file_ = folder_ / "latents.safetensors";
  models::StableDiffusion model_;
  std::vector<Example> examples_;
};

TEST_F(TheLatentCache, IsTakenUntilAPictureChanges) {
  EXPECT_EQ(opened(), 2);
  EXPECT_EQ(opened(), 0);
  const fs::path picture = examples_[0].picture.path;
  fs::last_write_time(picture, fs::last_write_time(picture) + std::chrono::seconds(5));
  EXPECT_EQ(opened(), 2);
}

TEST_F(TheLatentCache, OfAnOlderVersionIsComputedAgain) {
  EXPECT_EQ(opened(), 2);
  {
    const auto kept = io::open_checkpoint(file_);
    const Tensor moments = kept->tensor("moments").clone(), usable = kept->tensor("usable").clone();
    io::write_safetensors(file_, {{"moments", moments}, {"usable", usable}}, {{"key", older_key()}});
  }
  EXPECT_EQ(opened(), 2);
}

}  // namespace
}  // namespace sumi::train
