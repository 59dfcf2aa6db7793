// Table look-up, and the sinusoids that stand for timesteps.
#pragma once

#include <span>
#include <vector>

#include "core/kernel_slot.h"
#include "core/tensor.h"

namespace sumi {

// ids [..] i64 on the host; table [rows, D] f32, f16 or bf16 → [.., D] float32 on the table's device. Throws
// Error(kData) for an id outside the table.
Tensor embedding(const Tensor& ids, const Tensor& table);

struct EmbeddingArgs {
  View ids;          // [count] i64
  WeightView table;  // [rows, width]
  MutableView out;   // [count, width] float32
  int64_t count, width;
  template <class F> void each_view(const F& f) {
    f(ids);
    f(table);
    f(out);
  }
};
extern KernelSlot<EmbeddingArgs> embedding_slot;

// Its gradient: each row of dy is added to the row of the table that it came from.
struct EmbeddingGradArgs {
  View ids, dy;
  MutableView dtable;  // [rows, width] float32, zeros at first
  int64_t count, width;
  template <class F> void each_view(const F& f) {
    f(ids);
    f(dy);
    f(dtable);
  }
};
extern KernelSlot<EmbeddingGradArgs> embedding_grad_slot;

// Sinusoidal embedding of timesteps: [cos(t·f) | sin(t·f)], f_i = max_period^(-i/half), computed in float as the
// original does; an odd width ends in a zero. Returns [N, width] float32, made on the device from the numbers alone.
// (Ho et al. 2020; LDM `timestep_embedding`)
Tensor timestep_embedding(const std::vector<double>& timesteps, int64_t width, Device device,
                          double max_period = 10000.0);

struct TimestepEmbeddingArgs {
  std::span<const double> timesteps;  // the host's
  MutableView out;                    // [timesteps, width] float32
  int64_t width;
  double max_period;
  template <class F> void each_view(const F& f) { f(out); }
};
extern KernelSlot<TimestepEmbeddingArgs> timestep_embedding_slot;

}  // namespace sumi
