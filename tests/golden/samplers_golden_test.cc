// Every sampler's trajectory against the original implementation, k-diffusion and diffusers, through the small
// synthetic model: one network, one guidance, one stream of noise, a latent to compare.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <tuple>

#include "base/rng.h"
#include "diffusion/guidance.h"
#include "io/checkpoint.h"
#include "models/stable_diffusion.h"
#include "ops/layout.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_models.h"

namespace sumi {
namespace {

using diffusion::Prediction;

struct Reference {
  std::string file, name;  // the reference's latent
  diffusion::SampleOptions options;
};

class SamplersGolden : public testing::TestWithParam<std::tuple<Reference, Device>> {
 protected:
  // Layout and draw order of the reference: NCHW.
  Tensor draw(const Shape& nhwc) {
    Tensor drawn = Tensor::empty({nhwc[0], nhwc[3], nhwc[1], nhwc[2]});
    const HostEdit<float> values(drawn);
    generator_.randn(values.span());
    return nchw_to_nhwc(drawn).to(device());
  }

  static Device device() { return std::get<Device>(GetParam()); }

  TorchCpuGenerator generator_{1234};
};

TEST_P(SamplersGolden, EndsWhereTheReferenceEnds) {
  const Reference& reference = std::get<Reference>(GetParam());
  const std::string data = SUMI_TEST_DATA;
  const auto golden = io::open_checkpoint(data + "/" + reference.file + ".safetensors");
  std::shared_ptr<const io::Checkpoint> checkpoint = io::open_checkpoint(test::synthetic_model());
  const auto model = models::StableDiffusion::load(checkpoint, models::config_for(*checkpoint, data + "/tiny.yaml"),
                                                   {.device = device(), .text = false, .autoencoder = false});

  const Tensor x_T = draw({1, 16, 16, 4});
  EXPECT_LE(test::relative_l2(nhwc_to_nchw(x_T), golden->tensor("x_T")), 1e-6);
  const auto network = [&](const Tensor& x, double timestep, const models::Conditioning& conditioning) {
    return model.predict(x, std::vector<double>(static_cast<size_t>(x.dim(0)), timestep), conditioning);
  };
  const models::Conditioning cond{.sequence = golden->tensor("cond").to(device())},
      uncond{.sequence = golden->tensor("uncond").to(device())};
  const double scale = std::stod(golden->metadata().at("scale"));
  const Tensor latent = diffusion::sample(diffusion::guided(network, cond, uncond, scale), {x_T},
                                          diffusion::make_grid(model.noise_schedule(), reference.options),
                                          [&](const Shape& shape) { return draw(shape); });
  const Tensor want = golden->tensor(reference.name);
  ASSERT_EQ(nhwc_to_nchw(latent).shape(), want.shape());
  // float32 rounding, amplified by guidance along the way, gives 3e-6 to 7e-6 here; a wrong formula gives 1e-3 or more.
  EXPECT_LE(test::relative_l2(nhwc_to_nchw(latent), want), 1e-4);
}

std::vector<Reference> references() {
  std::vector<Reference> all;
  const auto original = [&](const std::string& name, const std::string& sampler, const std::string& schedule,
                            double eta = 0.0) {
    all.push_back({"tiny_samplers", name, {.sampler = sampler, .schedule = schedule, .steps = 10, .eta = eta}});
  };
  original("ddim_eta0.0", "ddim", "uniform");
  original("ddim_eta0.7", "ddim", "uniform", 0.7);
  original("plms", "plms", "uniform");
  original("dpm_solver", "dpm_solver", "uniform");
  for (const std::string sampler :
       {"euler", "euler_ancestral", "heun", "dpm_2", "dpm_2_ancestral", "lms", "dpmpp_2s_ancestral", "dpmpp_2m"}) {
    original(sampler + "_default", sampler, "discrete");
    original(sampler + "_karras", sampler, "karras");
  }

  const auto diffusers = [&](const std::string& name, const std::string& sampler, const std::string& schedule,
                             Prediction prediction = Prediction::kEpsilon) {
    all.push_back({"tiny_samplers_diffusers",
                   name,
                   {.sampler = sampler, .schedule = schedule, .steps = 12, .prediction = prediction}});
  };
  for (const std::string sampler :
       {"euler", "euler_ancestral", "ddim", "heun", "unipc", "dpmpp_2m", "dpmpp_2m_sde", "lms", "ddpm"}) {
    for (const std::string schedule : {"leading", "trailing", "linspace"})
      diffusers(sampler + "_" + schedule, sampler, schedule);
  }
  diffusers("plms_leading", "plms", "leading");
  diffusers("lcm", "lcm", "");
  for (const std::string sampler : {"euler", "ddim", "dpmpp_2m", "unipc"}) {
    diffusers("vpred_" + sampler + "_leading", sampler, "leading", Prediction::kVelocity);
  }
  diffusers("euler_karras", "euler", "karras");
  diffusers("unipc_karras", "unipc", "karras");
  for (const std::string sampler : {"euler", "unipc", "dpmpp_2m"})
    diffusers(sampler + "_karras", sampler, "linspace_karras");
  return all;
}

INSTANTIATE_TEST_SUITE_P(Trajectories, SamplersGolden,
                         testing::Combine(testing::ValuesIn(references()),
                                          testing::Values(Device::kCpu, Device::kGuard)),
                         [](const auto& test) {
                           const Reference& reference = std::get<Reference>(test.param);
                           std::string name =
                               (reference.file == "tiny_samplers" ? "original_" : "diffusers_") + reference.name;
                           if (reference.options.schedule == "linspace_karras") name += "_linspace";
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name + "_" + std::string(name_of(std::get<Device>(test.param)));
                         });

}  // namespace
}  // namespace sumi
