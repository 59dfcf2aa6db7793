#include "train/adamw.h"

#include <gtest/gtest.h>

#include "core/autograd.h"
#include "ops/loss.h"

namespace sumi::train {
namespace {

// How far one step at learning rate 0.1 moves a parameter that has a gradient.
double moved(double lr_scale, double weight_decay = 0.0) {
  Tensor value = Tensor::full({4}, 2.0f);
  value.set_requires_grad(true);
  AdamW optimizer({{.name = "p", .value = value, .lr_scale = lr_scale}}, {.weight_decay = weight_decay});
  {
    Tape tape;
    tape.backward(mean_squared_error(value, Tensor::zeros({4})));
  }
  optimizer.step(0.1);
  return 2.0 - value.host<float>()[0];
}

TEST(AdamW, TheFirstStepIsTheLearningRate) { EXPECT_NEAR(moved(1.0), 0.1, 1e-6); }

TEST(AdamW, AParameterHasItsOwnShareOfTheLearningRate) {
  EXPECT_NEAR(moved(0.25), 0.025, 1e-6);
  EXPECT_EQ(moved(0.0, 0.5), 0.0);
  // Weight decay uses the same rate and adds 2·0.025·0.5.
  EXPECT_NEAR(moved(0.25, 0.5), 0.05, 1e-6);
}

}  // namespace
}  // namespace sumi::train
