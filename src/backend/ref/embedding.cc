// Reference kernels: table look-up and the sinusoids of timesteps.
#include "ops/embedding.h"

#include <cmath>

#include "core/quantized.h"

namespace sumi::backend::ref {
namespace {

// `count` values of a table from element `begin` on, widened.
void widen(const WeightView& table, int64_t begin, int64_t count, float* to) {
  if (is_quantized(table.dtype)) {
    const int64_t block = block_of(table.dtype), bytes = bytes_of_block(table.dtype);
    for (int64_t i = 0; i < count; i += block)
      dequantize_block(table.dtype, table.data<uint8_t>() + (begin + i) / block * bytes, to + i);
    return;
  }
  with_activation_type(table.dtype, [&](auto type) {
    const auto* from = table.data<decltype(type)>() + begin;
    for (int64_t i = 0; i < count; ++i) to[i] = to_float(from[i]);
  });
}

void embedding(Context&, const EmbeddingArgs& a) {
  const int64_t* ids = a.ids.data<int64_t>();
  for (int64_t i = 0; i < a.count; ++i) widen(a.table, ids[i] * a.width, a.width, a.out.f32() + i * a.width);
}

void embedding_grad(Context&, const EmbeddingGradArgs& a) {
  for (int64_t i = 0; i < a.count; ++i) {
    const float* from = a.dy.f32() + i * a.width;
    float* to = a.dtable.f32() + a.ids.data<int64_t>()[i] * a.width;
    for (int64_t c = 0; c < a.width; ++c) to[c] += from[c];
  }
}

void timestep_embedding(Context&, const TimestepEmbeddingArgs& a) {
  const int64_t half = a.width / 2;
  float* to = a.out.f32();
  for (const double t : a.timesteps) {
    for (int64_t i = 0; i < half; ++i) {
      // The frequency is rounded to float before it is multiplied: at t = 981 the angle's rounding shows.
      const float frequency =
          std::exp(static_cast<float>(-std::log(a.max_period)) * static_cast<float>(i) / static_cast<float>(half));
      const float angle = static_cast<float>(t) * frequency;
      to[i] = std::cos(angle);
      to[half + i] = std::sin(angle);
    }
    if (a.width % 2 != 0) to[a.width - 1] = 0.0f;
    to += a.width;
  }
}

const KernelRegistration kEmbedding(embedding_slot, Device::kRef, embedding);
const KernelRegistration kEmbeddingGrad(embedding_grad_slot, Device::kRef, embedding_grad);
const KernelRegistration kTimestepEmbedding(timestep_embedding_slot, Device::kRef, timestep_embedding);

}  // namespace
}  // namespace sumi::backend::ref
