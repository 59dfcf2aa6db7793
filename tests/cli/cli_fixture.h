// The real program on the small synthetic model, in a folder of its own.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "image/png.h"
#include "tests/support/run_program.h"
#include "tests/support/synthetic_models.h"
#include "tests/support/temp_folder.h"
#include "text/clip_tokenizer.h"

namespace sumi::test {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

inline Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// A made-up tokenizer that fits the synthetic models.
inline fs::path byte_tokenizer() {
  fs::path folder = fs::path(SUMI_TEST_MODELS) / "byte_tokenizer";
  fs::create_directories(folder);
  make_once(folder, folder / "merges.txt", [&] { tools::write_byte_vocabulary(folder); });
  return folder;
}

// LDM's configuration of a small autoencoder and its training, with a discriminator from step `disc_start` on.
inline std::string small_autoencoder_yaml(int disc_start, const std::string& attn_resolutions) {
  return R"(
model:
  target: ldm.models.autoencoder.AutoencoderKL
  params:
    embed_dim: 4
    lossconfig:
      target: ldm.modules.losses.LPIPSWithDiscriminator
      params: {disc_start: )" +
         std::to_string(disc_start) + R"(, kl_weight: 1.0e-6, disc_weight: 0.5, disc_width: 16, disc_num_layers: 2}
    ddconfig: {double_z: true, z_channels: 4, resolution: 32, in_channels: 3, out_ch: 3, ch: 32, ch_mult: [1, 2],
               num_res_blocks: 1, attn_resolutions: )" +
         attn_resolutions + "}\n";
}

inline std::string read_bytes(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// Pictures 0.png, 1.png, … that differ, to train on; each with a caption in a .txt file, "picture N".
inline void write_pictures(const fs::path& folder, int count, int64_t width, int64_t height) {
  fs::create_directories(folder);
  for (int i = 0; i < count; ++i) {
    image::Image picture(width, height);
    for (size_t p = 0; p < picture.pixels.size(); ++p)
      picture.pixels[p] = static_cast<uint8_t>((p * static_cast<size_t>(i + 3)) % 251);
    image::write_png(folder / (std::to_string(i) + ".png"), picture);
    write_file(folder / (std::to_string(i) + ".txt"), "picture " + std::to_string(i) + "\n");
  }
}

// Names in a folder, sorted.
inline Words names_in(const fs::path& folder) {
  Words names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

// `sumi train ldm` of the small model on squares of 64 pixels.
inline Words train_ldm(const fs::path& data, const fs::path& out) {
  return {SUMI_BINARY,
          "train",
          "ldm",
          "--ckpt",
          synthetic_model().string(),
          "--config",
          std::string(SUMI_TEST_DATA) + "/tiny.yaml",
          "--tokenizer",
          byte_tokenizer().string(),
          "--data",
          data.string(),
          "--out",
          out.string(),
          "--size",
          "64"};
}

class CliTest : public testing::Test {
 protected:
  const fs::path& here() const { return folder_.path(); }

  Outcome sumi(const Words& arguments) const { return sumi(arguments, {}); }
  Outcome sumi(const Words& arguments, RunOptions options) const {
    return run_program(Words{SUMI_BINARY} + arguments, isolated(std::move(options)));
  }

  // The model, its configuration and the made-up tokenizer.
  static Words model() { return model_at(synthetic_model()); }
  static Words model_at(const fs::path& checkpoint) {
    return {"--ckpt",      checkpoint.string(),      "--config", std::string(SUMI_TEST_DATA) + "/tiny.yaml",
            "--tokenizer", byte_tokenizer().string()};
  }
  // Small and quick.
  static Words small() { return {"--H", "64", "--W", "64", "--steps", "2"}; }

  // Hides the user's data folder and environment, except what `options` set.
  RunOptions isolated(RunOptions options) const {
    if (options.folder.empty()) options.folder = here();
    const std::string nowhere = (here() / "nowhere").string();
    const auto first = [&](const char* name, const std::string& value) {
      options.environment.emplace(options.environment.begin(), name, value);
    };
    for (const char* name : {"HOME", "SUMI_HOME", "XDG_DATA_HOME", "HF_HOME", "HF_HUB_CACHE"}) first(name, nowhere);
    first("SUMI_MODEL", "");
    return options;
  }

  // At least 99 % of the values equal, none off by more than 1: float rounding may tip a truncation.
  void expect_like_reference(const fs::path& file, const std::string& reference) const {
    const image::Image got = image::read_png(file).image;
    const image::Image want = image::read_png(fs::path(SUMI_TEST_DATA) / reference).image;
    ASSERT_EQ(got.width, want.width);
    ASSERT_EQ(got.height, want.height);
    size_t equal = 0;
    int most = 0;
    for (size_t i = 0; i < got.pixels.size(); ++i) {
      const int difference = std::abs(int{got.pixels[i]} - int{want.pixels[i]});
      equal += difference == 0 ? 1 : 0;
      most = std::max(most, difference);
    }
    EXPECT_LE(most, 1) << reference;
    EXPECT_GE(static_cast<double>(equal), 0.99 * static_cast<double>(got.pixels.size())) << reference;
  }

  // A rejected command line or file: exits with this code, prints one line on standard error that contains `part`,
  // writes nothing.
  void expect_refused(const Words& arguments, int code, const std::string& part) const {
    const Outcome outcome = sumi(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_FALSE(outcome.killed);
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_THAT(outcome.err, testing::StartsWith("sumi: "));
    EXPECT_THAT(outcome.err, testing::HasSubstr(part));
    EXPECT_THAT(outcome.out, testing::IsEmpty());
    EXPECT_THAT(names_in(here()), testing::IsEmpty());
  }

 private:
  TempFolder folder_;
};

}  // namespace sumi::test
