#include "models/denoiser.h"

#include "core/context.h"
#include "ops/layout.h"

namespace sumi::models {
namespace {

void check_vector(const Tensor& vector, int64_t width, int64_t batch, const char* what) {
  if (!vector) return;
  SUMI_CHECK(width > 0, "this model takes no {}, but it was given one {}", what, vector.shape().str());
  SUMI_CHECK(vector.shape() == (Shape{batch, width}), "this model takes a {} [{},{}], not {}", what, batch, width,
             vector.shape().str());
}

// x in the type that the run's networks compute in.
Tensor narrowed(const Tensor& x) { return x ? cast(x, Context::current().activations) : x; }

ControlResiduals narrowed(const ControlResiduals& control) {
  ControlResiduals out{.middle = narrowed(control.middle)};
  for (const Tensor& skip : control.skips) out.skips.push_back(narrowed(skip));
  return out;
}

Tensor with_channels(const Tensor& x, const Tensor& channels) {
  if (!channels) return x;
  const bool fits = channels.rank() == 4 && x.rank() == 4 && channels.dim(0) == x.dim(0) &&
                    channels.dim(1) == x.dim(1) && channels.dim(2) == x.dim(2);
  SUMI_CHECK(fits, "channels {} cannot be concatenated to the latents {}: batch and sides must be equal",
             channels.shape().str(), x.shape().str());
  return concat_channels(x, channels);
}

}  // namespace

Tensor Denoiser::operator()(const Tensor& x, const std::vector<double>& timesteps, const Conditioning& conditioning,
                            ContextCache* cache) const {
  SUMI_CHECK(x.rank() == 4, "a denoiser takes latents [N,H,W,C], not {}", x.shape().str());
  const DenoiserInputs inputs = wants();
  check_vector(conditioning.pooled, inputs.pooled, x.dim(0), "pooled text vector");
  check_vector(conditioning.added, inputs.added, x.dim(0), "vector of sizes");
  const Tensor whole = with_channels(x, conditioning.channels);
  if (Context::current().activations == DType::kF32) return predict(whole, timesteps, conditioning, cache);
  Conditioning narrow =
      conditioning;  // the sequence is narrowed when its keys and values are computed, once for the cache
  narrow.pooled = narrowed(conditioning.pooled);
  narrow.added = narrowed(conditioning.added);
  narrow.control = narrowed(conditioning.control);
  return cast(predict(narrowed(whole), timesteps, narrow, cache), DType::kF32);
}

}  // namespace sumi::models
