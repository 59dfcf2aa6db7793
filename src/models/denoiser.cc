#include "models/denoiser.h"

#include "ops/layout.h"

namespace sumi::models {
namespace {

void check_vector(const Tensor& vector, int64_t width, int64_t batch, const char* what) {
  if (!vector) return;
  SUMI_CHECK(width > 0, "this model takes no {}, but it was given one {}", what, vector.shape().str());
  SUMI_CHECK(vector.shape() == (Shape{batch, width}), "this model takes a {} [{},{}], not {}", what, batch, width,
             vector.shape().str());
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
  return predict(with_channels(x, conditioning.channels), timesteps, conditioning, cache);
}

}  // namespace sumi::models
