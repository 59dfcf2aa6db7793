#include "ops/gaussian.h"

#include "core/autograd.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {
constinit KernelSlot<SampleGaussianArgs> sample_gaussian_slot("sample_gaussian");
constinit KernelSlot<SampleGaussianGradArgs> sample_gaussian_grad_slot("sample_gaussian_grad");
constinit KernelSlot<KlDivergenceArgs> kl_divergence_slot("kl_divergence");
constinit KernelSlot<KlDivergenceGradArgs> kl_divergence_grad_slot("kl_divergence_grad");

namespace {

void check_moments(const char* op, const Tensor& moments) {
  check_f32(op, "moments", moments);
  SUMI_CHECK(moments.rank() == 4 && moments.dim(3) % 2 == 0 && moments.dim(0) > 0,
             "{}: {} is not a batch of means and log-variances", op, moments.shape().str());
}

}  // namespace

Tensor sample_gaussian(const Tensor& moments, const Tensor& noise) {
  check_moments("sample_gaussian", moments);
  check_f32("sample_gaussian", "noise", noise);
  Shape shape = moments.shape();
  shape[-1] /= 2;
  common_device("sample_gaussian", {&moments, &noise});
  SUMI_CHECK(noise.shape() == shape, "sample_gaussian: moments {} need noise {}, not {}", moments.shape().str(),
             shape.str(), noise.shape().str());
  const OpScope scope("sample_gaussian", moments);
  Tensor out = Tensor::empty(shape, DType::kF32, moments.device());
  sample_gaussian_slot(moments.device(),
                       {.moments = moments.view(), .noise = noise.view(), .out = out.mutable_view(), .z = shape[-1]});
  if (Tape* tape = Tape::recording({&moments})) {
    tape->record(out, [moments, noise](const Tensor& grad) {
      Tensor d = Tensor::empty(moments.shape(), DType::kF32, moments.device());
      sample_gaussian_grad_slot(moments.device(), {.moments = moments.view(),
                                                   .noise = noise.view(),
                                                   .dy = grad.view(),
                                                   .dmoments = d.mutable_view(),
                                                   .z = noise.dim(3)});
      add_grad(moments, d);
    });
  }
  return out;
}

Tensor kl_divergence(const Tensor& moments) {
  check_moments("kl_divergence", moments);
  const OpScope scope("kl_divergence", moments);
  const int64_t samples = moments.dim(0), z = moments.dim(3) / 2;
  Tensor out = Tensor::empty({1}, DType::kF32, moments.device());
  kl_divergence_slot(moments.device(),
                     {.moments = moments.view(), .out = out.mutable_view(), .samples = samples, .z = z});
  if (Tape* tape = Tape::recording({&moments})) {
    tape->record(out, [moments, samples, z](const Tensor& grad) {
      Tensor d = Tensor::empty(moments.shape(), DType::kF32, moments.device());
      kl_divergence_grad_slot(
          moments.device(),
          {.moments = moments.view(), .dy = grad.view(), .dmoments = d.mutable_view(), .samples = samples, .z = z});
      add_grad(moments, d);
    });
  }
  return out;
}

}  // namespace sumi
