// The tiny autoencoder against the numbers of the original implementation and of diffusers', on synthetic weights.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/open.h"
#include "models/loading/autoencoder_file.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "tests/support/relative_l2.h"
#include "tests/support/taesd_files.h"

namespace sumi {
namespace {

struct Case {
  std::string device;
  std::string form;  // "pth", "safetensors", "prefixed", "plain" (both halves in one file), "diffusers", "weights" (its
                     // file)
  std::string precision = "full";
  double tolerance = 2e-6;
};

class TaesdGolden : public testing::TestWithParam<Case> {
 protected:
  // Writes the files and returns what `vae` names.
  std::filesystem::path write() {
    const std::string& form = GetParam().form;
    if (of_diffusers()) {
      test::write_tiny_folder(folder_ / "vae");
      return form == "weights" ? folder_ / "vae/diffusion_pytorch_model.safetensors" : folder_ / "vae";
    }
    test::NamedTensors both;
    for (const std::string half : {"decoder", "encoder"}) {
      const test::NamedTensors weights = test::tiny_autoencoder(half);
      const std::filesystem::path file = folder_ / ("taesd_" + half + "." + form);
      if (form == "pth") test::write_pth(file, weights, "");
      if (form == "safetensors") io::write_safetensors(file, weights);
      const std::string prefix = fmt::format("{}{}.", form == "plain" ? "" : "taesd_", half);
      for (const auto& [name, value] : weights) both.emplace_back(prefix + name, value);
    }
    if (form != "prefixed" && form != "plain") return folder_ / ("taesd_decoder." + form);
    io::write_safetensors(folder_ / "taesd.safetensors", both);
    return folder_ / "taesd.safetensors";
  }
  bool of_diffusers() const { return GetParam().form == "diffusers" || GetParam().form == "weights"; }

  void expect_close(const Tensor& nhwc, const std::string& name) const {
    const Tensor got = nhwc_to_nchw(nhwc), want = golden_->tensor(name);
    ASSERT_EQ(got.shape(), want.shape());
    EXPECT_LE(test::relative_l2(got, want), GetParam().tolerance) << name;
  }
  Tensor picture(const std::string& name) const { return nchw_to_nhwc(golden_->tensor(name)); }

  const test::TempFolder folder_;
  const std::unique_ptr<io::Checkpoint> golden_ =
      io::open_checkpoint(std::string(SUMI_TEST_DATA) + "/taesd/tiny.safetensors");
};

TEST_P(TaesdGolden, EqualsTheOriginal) {
  const auto opened = engine::open_tiny_autoencoder(write(), models::sd1_config(),
                                                    {.backend = GetParam().device, .precision = GetParam().precision});
  ASSERT_TRUE(opened);
  const models::StableDiffusion model = engine::load_model(*opened, {.text = false, .unet = false});
  EXPECT_FALSE(model.encodes_with_variance());
  for (const std::string k : {"0", "1"}) {
    if (of_diffusers() && k == "1") continue;  // it has one vector of each
    const std::string of = of_diffusers() ? "diffusers_" : "";
    const Tensor image = model.decode(picture("z" + k).to(model.device()));
    expect_close(of_diffusers() ? image : affine(0.5f, image, 0.0f, {}, 0.5f), of + "image" + k);
    const Tensor around_zero = affine(2.0f, picture("in" + k), 0.0f, {}, -1.0f);
    expect_close(model.encode(around_zero.to(model.device())), of + "latent" + k);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, TaesdGolden,
                         testing::Values(Case{"cpu", "pth"}, Case{"cpu", "safetensors"}, Case{"cpu", "prefixed"},
                                         Case{"cpu", "plain"}, Case{"cpu", "diffusers"}, Case{"cpu", "weights"},
                                         Case{"guard", "safetensors"}, Case{"guard", "diffusers"},
                                         Case{"cpu", "safetensors", "f16"}, Case{"cpu", "safetensors", "bf16", 3e-2}),
                         [](const testing::TestParamInfo<Case>& test) {
                           return test.param.device + "_" + test.param.form + "_" + test.param.precision;
                         });

}  // namespace
}  // namespace sumi
