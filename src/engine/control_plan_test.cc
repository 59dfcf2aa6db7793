// What ControlNets add to a job's memory.
#include <gtest/gtest.h>

#include "core/host_memory.h"
#include "engine/memory_plan.h"
#include "engine/memory_plan_walk.h"
#include "engine/open.h"
#include "models/control/control_file.h"
#include "models/control/control_net.h"
#include "tests/support/control_files.h"
#include "tests/support/synthetic_models.h"

namespace sumi::engine {
namespace {

class ControlPlan : public testing::TestWithParam<DType> {
 protected:
  // The largest sum of live bytes in one pass with as many ControlNets, above what is live without.
  int64_t measured(size_t controls) {
    const test::TempFolder folder;
    io::write_safetensors(folder / "control.safetensors", test::tiny_control());
    OpenModel opened =
        open_model({.path = test::synthetic_model().string(), .config = std::string(SUMI_TEST_DATA) + "/tiny.yaml"});
    opened.activations = GetParam();
    config_ = opened.config;
    checkpoint_ = opened.checkpoint;
    const models::StableDiffusion model = load_model(opened, {.text = false, .autoencoder = false});
    const auto network =
        models::bind_control(*models::open_control(folder / "control.safetensors", config_), Device::kCpu);
    const Tensor x = Tensor::zeros({2, 64, 64, 4});
    const Tensor features = model.encode_hint(*network, Tensor::zeros({1, 512, 512, 3}));
    models::Conditioning conditioning{.sequence = Tensor::zeros({2, 77, 64})};
    forget_host_memory_peak();
    const int64_t live = host_memory().live_bytes;
    for (size_t i = 0; i < controls; ++i) {
      models::ControlResiduals own = model.control(*network, x, {1.0, 1.0}, conditioning, features);
      models::weigh(own, 0.5, true);
      conditioning.control = models::add(std::move(conditioning.control), own);
    }
    model.predict(x, {1.0, 1.0}, conditioning);
    return host_memory().peak_bytes - live;
  }
  int64_t planned(size_t controls) const {
    return plan_memory(*checkpoint_, config_, {.controls = controls, .activations = GetParam()}).unet_activations;
  }

  models::ModelConfig config_;
  std::shared_ptr<const io::Checkpoint> checkpoint_;
};

TEST_P(ControlPlan, CoversAPassWithControlNets) {
  constexpr double kScratch = 8e6;  // of the kernels, part of the plan's overhead
  for (const size_t controls : {size_t{0}, size_t{1}, size_t{2}}) {
    const auto peak = static_cast<double>(measured(controls)), plan = static_cast<double>(planned(controls));
    EXPECT_GE(plan + kScratch, peak) << controls;
    EXPECT_LE(plan, 1.7 * peak) << controls;
  }
}

TEST_P(ControlPlan, CountsTheResidualsThatStayWhileTheUNetRuns) {
  measured(0);
  const int64_t residuals = control_residual_bytes(config_.unet, 2, 64, 64, GetParam());
  // 13 tensors: 3 of 32 channels at 64², then 32 + 64 + 64 at 32², 64 + 128 + 128 at 16², 4 of 128 at 8².
  const int64_t values = 2 * (4096 * 96 + 1024 * 160 + 256 * 320 + 64 * 4 * 128);
  EXPECT_EQ(residuals, values * (GetParam() == DType::kF32 ? 4 : 2));
  EXPECT_GE(planned(1), planned(0) + residuals);
}

INSTANTIATE_TEST_SUITE_P(Types, ControlPlan, testing::Values(DType::kF32, DType::kF16),
                         [](const auto& test) { return std::string(name_of(test.param)); });

}  // namespace
}  // namespace sumi::engine
