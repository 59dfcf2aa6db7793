#include "backend/guard/guarded.h"

#include <gtest/gtest.h>

#include "core/allocator.h"
#include "core/autograd.h"
#include "ops/activation.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/machine_peak.h"
#include "ops/norm.h"
#include "tests/support/random_tensor.h"

namespace sumi {
namespace {

CopyCounts copies() { return allocator_of(Device::kGuard).copies(); }

// A kernel that writes to what it was given to read.
struct ScribbleArgs {
  View x;
  template <class F> void each_view(const F& f) { f(x); }
};
constinit KernelSlot<ScribbleArgs> scribble_slot("scribble");
void scribble(Context&, const ScribbleArgs& a) { *const_cast<float*>(a.x.f32()) = 1.0f; }
const KernelRegistration kScribble(scribble_slot, Device::kRef, scribble);
const KernelRegistration kGuardedScribble(scribble_slot, Device::kGuard, backend::guard::guarded<scribble_slot>);

TEST(Guard, MemoryCannotBeReached) {
  const Tensor x = Tensor::from(std::vector<float>{1.0f, 2.0f}, {2}, Device::kGuard);
  EXPECT_DEATH({ [[maybe_unused]] const volatile float value = *static_cast<const float*>(x.buffer()->handle()); }, "");
  EXPECT_DEATH({ [[maybe_unused]] const volatile float value = *x.view().data<float>(); }, "");
  EXPECT_EQ(x.host<float>()[1], 2.0f);
}

TEST(Guard, MemoryIsClosedAgainAfterKernelsAndCopies) {
  Tensor x = Tensor::zeros({64}, DType::kF32, Device::kGuard);
  const Tensor y = affine(2.0f, x, 0.0f, {}, 1.0f);
  x.copy_from(y);
  EXPECT_EQ(x.host<float>()[63], 1.0f);
  EXPECT_DEATH({ [[maybe_unused]] const volatile float value = *static_cast<const float*>(x.buffer()->handle()); }, "");
  EXPECT_DEATH({ [[maybe_unused]] const volatile float value = *static_cast<const float*>(y.buffer()->handle()); }, "");
}

// A view must lie in its buffer, and a kernel cannot write to what it was given to read.
TEST(Guard, ViewsAreCheckedAndInputsAreReadOnly) {
  const Tensor x = Tensor::zeros({8}, DType::kF32, Device::kGuard);
  Tensor out = Tensor::zeros({8}, DType::kF32, Device::kGuard);
  View beyond = x.view();
  beyond.count = 9;
  EXPECT_THROW(activate_slot(Device::kGuard, {.x = beyond, .out = out.mutable_view(), .act = Act::kSilu}), Error);
  EXPECT_DEATH(scribble_slot(Device::kGuard, {.x = x.view()}), "");
}

// Every slot that another backend fills has a kernel here too: a graphics card needs as much to run everything.
TEST(Guard, EveryOpHasAKernel) {
  int slots = 0;
  for (const AnyKernelSlot* slot : AnyKernelSlot::all()) {
    if (slot == &fma_peak_slot) continue;  // measures the host's processor
    EXPECT_TRUE(slot->has(Device::kGuard)) << slot->op();
    ++slots;
  }
  EXPECT_GE(slots, 45);
}

TEST(Guard, CopiesAreCountedAndNothingElseCopies) {
  CopyCounts before = copies();
  Tensor x = Tensor::from(std::vector<float>(24, 0.5f), {2, 3, 4}, Device::kGuard);
  EXPECT_EQ(copies() - before, (CopyCounts{.uploads = 1, .uploaded_bytes = 96}));
  before = copies();
  const Tensor part = concat_rows({x.rows(1, 2), x.reshape({2, 12}).rows(0, 1).reshape({1, 3, 4})});
  const Tensor sum = part + part.clone();
  Tensor filled = Tensor::full({2, 3, 4}, 3.0f, Device::kGuard);
  filled.copy_from(sum);
  EXPECT_EQ(copies() - before, CopyCounts{});
  EXPECT_EQ(filled.host<float>()[23], 1.0f);
  EXPECT_EQ(copies() - before, (CopyCounts{.downloads = 1, .downloaded_bytes = 96}));
  before = copies();
  x.host_edit<float>()[5] = 7.0f;
  EXPECT_EQ(copies() - before,
            (CopyCounts{.uploads = 1, .uploaded_bytes = 96, .downloads = 1, .downloaded_bytes = 96}));
  EXPECT_EQ(x.to(Device::kCpu).host<float>()[5], 7.0f);
}

TEST(Guard, TensorsOfTwoDevicesAreRefused) {
  const Tensor here = Tensor::zeros({4}), there = Tensor::zeros({4}, DType::kF32, Device::kGuard);
  EXPECT_THROW(here + there, Error);
  EXPECT_THROW(mul(there, here), Error);
}

TEST(Guard, KernelsAreGivenTheContextOfTheRun) {
  const Tensor x = test::random({1, 6, 6, 8}).to(Device::kGuard);
  const Tensor weight = test::random({8, 8, 3, 3}).to(Device::kGuard);
  backend::guard::Queue queue;
  {
    const ContextScope scope([&](Context& context) { context.queue = &queue; });
    conv2d(x, weight, {}, {.pad_begin = 1});
    silu(x);
    EXPECT_EQ(queue.kernels, 2);
  }
  silu(x);
  EXPECT_EQ(queue.kernels, 2);
}

TEST(Guard, GradientsStayOnTheDevice) {
  Tensor weight = test::random({8, 8, 3, 3}).to(Device::kGuard);
  weight.set_requires_grad(true);
  const Tensor x = test::random({1, 6, 6, 8}).to(Device::kGuard);
  const CopyCounts before = copies();
  Tape tape;
  const Tensor y = conv2d(x, weight, {}, {.pad_begin = 1});
  tape.backward(y, Tensor::full(y.shape(), 1.0f, Device::kGuard));
  EXPECT_EQ(weight.grad().device(), Device::kGuard);
  EXPECT_EQ(copies() - before, CopyCounts{});
}

}  // namespace
}  // namespace sumi
