// An op added as docs/add_an_op.md says: nothing else had to change for it to run on every device, in every type, with
// its gradient.
#include <gtest/gtest.h>

#include "backend/guard/guarded.h"
#include "backend/ref/typed.h"
#include "core/autograd.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {
namespace {

// What would be ops/cube.h …
struct CubeArgs {
  View x;
  MutableView out;
  template <class F> void each_view(const F& f) {
    f(x);
    f(out);
  }
};

// … ops/cube.cc …
constinit KernelSlot<CubeArgs> cube_slot("cube");

// x³, elementwise.
Tensor cube(const Tensor& x) {
  check_activation("cube", "x", x);
  const OpScope scope("cube", x);
  Tensor out = Tensor::empty(x.shape(), x.dtype(), x.device());
  cube_slot(x.device(), {.x = x.view(), .out = out.mutable_view()});
  if (Tape* tape = Tape::recording({&x}))
    tape->record(out, [x](const Tensor& grad) { add_grad(x, mul(grad, mul(x, x)) * 3.0f); });
  return out;
}

// … and backend/ref/cube.cc.
void cube_kernel(Context&, const CubeArgs& a) {
  with_activation_type(a.x.dtype, [&](auto type) {
    const backend::ref::In<decltype(type)> x(a.x);
    const backend::ref::Out<decltype(type)> out(a.out);
    for (int64_t i = 0; i < a.x.count; ++i) out.set(i, x[i] * x[i] * x[i]);
  });
}
const KernelRegistration kCube(cube_slot, Device::kRef, cube_kernel);

// The line in backend/guard/kernels.cc.
const KernelRegistration kGuardedCube(cube_slot, Device::kGuard, backend::guard::guarded<cube_slot>);

class ToyOp : public testing::TestWithParam<Device> {};

TEST_P(ToyOp, RunsInEveryTypeWithItsGradient) {
  const std::vector<float> values{-2.0f, 0.0f, 0.5f, 3.0f};
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16}) {
    const Tensor x = cast(Tensor::from(values, {4}), type).to(GetParam());
    const Tensor out = cast(cube(x), DType::kF32);
    for (int64_t i = 0; i < 4; ++i) {
      const float v = values[static_cast<size_t>(i)];
      EXPECT_EQ(out.host<float>()[i], v * v * v);
    }
  }
  Tensor x = Tensor::from(values, {4}, GetParam());
  x.set_requires_grad(true);
  Tape tape;
  const Tensor out = cube(x);
  tape.backward(out, Tensor::full({4}, 1.0f, GetParam()));
  EXPECT_EQ(x.grad().host<float>()[3], 27.0f);
  EXPECT_THROW(cube(Tensor::from(std::vector<int64_t>{1}, {1}, GetParam())), Error);
}

INSTANTIATE_TEST_SUITE_P(Devices, ToyOp, testing::Values(Device::kRef, Device::kCpu, Device::kGuard),
                         [](const auto& test) { return std::string(name_of(test.param)); });

}  // namespace
}  // namespace sumi
