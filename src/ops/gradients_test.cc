// The gradient of every op against differences of the op itself, on the reference backend.
#include <gtest/gtest.h>

#include "core/autograd.h"

#include "ops/loss.h"

#include "ops/elementwise.h"

#include <cmath>

#include "core/host_memory.h"
#include "tests/support/gradient_cases.h"
#include "tests/support/random_tensor.h"

namespace sumi {
namespace {

class Gradients : public testing::TestWithParam<test::GradientCase> {};

INSTANTIATE_TEST_SUITE_P(Ops, Gradients, testing::ValuesIn(test::gradient_cases()),
                         [](const auto& param) { return param.param.name; });

// Σ pull·op(inputs), in double.
double mixture(const test::GradientCase& c, const test::Inputs& inputs) {
  const Tensor out = c.op(inputs), weights = test::pull(out.shape(), Device::kRef);
  const HostView<float> values(out), factors(weights);
  double sum = 0.0;
  for (int64_t i = 0; i < out.numel(); ++i) sum += double{values[i]} * factors[i];
  return sum;
}

TEST_P(Gradients, EqualDifferences) {
  const test::GradientCase& c = GetParam();
  test::restart_random();
  test::Inputs inputs;
  for (const Shape& shape : c.shapes) inputs.push_back(test::random(shape).to(Device::kRef));
  const test::Inputs grads = test::gradients(c, inputs, Device::kRef);
  // A central difference errs by h²/6 times the third derivative, about 1 here, and by the rounding of the results,
  // 2^-24 times the root of their number over 2h.
  constexpr float kStep = 1e-2f;
  for (size_t k = 0; k < inputs.size(); ++k) {
    ASSERT_EQ(grads[k].shape(), inputs[k].shape());
    const HostView<float> grad(grads[k]);
    for (int64_t i = 0; i < inputs[k].numel(); ++i) {
      const float middle = inputs[k].host<float>()[i], upper = middle + kStep, lower = middle - kStep;
      const auto mixture_at = [&](float value) {
        inputs[k].host_edit<float>()[i] = value;
        return mixture(c, inputs);
      };
      const double above = mixture_at(upper), below = mixture_at(lower);
      inputs[k].host_edit<float>()[i] = middle;
      const double want = (above - below) / (double{upper} - lower), got = grad[i];
      ASSERT_NEAR(got, want, 1e-3 * (1.0 + std::fabs(want))) << "input " << k << ", element " << i;
    }
  }
}

TEST(Tape, SumsWhatComesFromSeveralUsesAndKeepsNothing) {
  Tensor x = Tensor::full({3}, 2.0f, Device::kRef);
  x.set_requires_grad(true);
  const auto expect_grad = [&](float want) {
    const HostView<float> grad(x.grad());
    for (const float value : grad) EXPECT_FLOAT_EQ(value, want);
  };
  const int64_t before = host_memory().live_bytes;
  {
    Tape tape;
    const Tensor out = mul(x, x) + x * 3.0f;
    tape.backward(out, Tensor::full({3}, 1.0f, Device::kRef));
  }
  expect_grad(7.0f);
  {
    Tape tape;
    const Tensor out = x * 1.0f;
    tape.backward(out, Tensor::full({3}, 1.0f, Device::kRef));
  }
  expect_grad(8.0f);
  x.clear_grad();
  EXPECT_FALSE(x.grad());
  EXPECT_EQ(host_memory().live_bytes, before);
}

TEST(Tape, RecordsOnlyWhereItLivesAndAGradientIsWanted) {
  Tensor x = Tensor::full({3}, 2.0f, Device::kRef);
  EXPECT_FALSE((x + x).requires_grad());
  x.set_requires_grad(true);
  EXPECT_FALSE((x + x).requires_grad());
  Tape tape;
  EXPECT_TRUE((x + x).requires_grad());
  EXPECT_FALSE((x.detach() + x.detach()).requires_grad());
  const NoGrad off;
  EXPECT_FALSE((x + x).requires_grad());
}

// A tensor that is used whole in another shape and by its rows: the gradients come in both shapes.
TEST(Gradients, RowsAndReshapesOfOneTensorAddUp) {
  for (const bool rows_first : {false, true}) {
    Tensor x = Tensor::full({6, 4}, 2.0f);
    x.set_requires_grad(true);
    Tape tape;
    const auto whole = [&] { return mean(x.reshape({2, 12})) * 24.0f; };
    const auto part = [&] { return mean(x.rows(1, 2)) * 4.0f; };
    const Tensor a = rows_first ? part() : whole(), b = rows_first ? whole() : part();
    tape.backward(a + b);
    const HostView<float> grad(x.grad());
    for (int64_t i = 0; i < 24; ++i) EXPECT_FLOAT_EQ(grad[i], i / 4 == 1 ? 2.0f : 1.0f) << i;
  }
}

}  // namespace
}  // namespace sumi
