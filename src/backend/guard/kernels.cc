// The guard device's kernels: those of the host, while the blocks of their views are open.
#include "backend/guard/guarded.h"
#include "core/autograd.h"
#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/conv_grad.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gaussian.h"
#include "ops/layout.h"
#include "ops/loss.h"
#include "ops/matmul.h"
#include "ops/max_pool.h"
#include "ops/norm.h"
#include "ops/optimizer.h"
#include "ops/prelu.h"
#include "ops/unit_rows.h"
#include "ops/weigh_rows.h"

namespace sumi::backend::guard {
namespace {

template <auto&... kSlots> struct Registrations {
  Registrations() { (kSlots.set(Device::kGuard, guarded<kSlots>), ...); }
};

const Registrations<accumulate_slot, activate_slot, activate_grad_slot, adamw_slot, add_per_channel_slot, affine_slot,
                    attention_slot, attention_grad_slot, cast_slot, conv2d_slot, conv2d_grad_weight_slot,
                    embedding_slot, embedding_grad_slot, geglu_slot, geglu_grad_slot, group_norm_slot,
                    group_norm_grad_slot, group_sums_slot, kl_divergence_slot, kl_divergence_grad_slot, layer_norm_slot,
                    layer_norm_grad_slot, linear_slot, linear_geglu_slot, max_pool_2x2_slot, max_pool_2x2_grad_slot,
                    mean_slot, mean_grad_slot, mean_absolute_error_slot, mean_absolute_error_grad_slot,
                    mean_pool_2x2_slot, mean_squared_error_slot, mean_squared_error_grad_slot, mul_slot,
                    pick_pixels_slot, prelu_slot, sample_gaussian_slot, sample_gaussian_grad_slot, strided_copy_slot,
                    sum_pool_2x2_slot, sum_rows_slot, sum_squares_slot, timestep_embedding_slot, transpose_slot,
                    turn_weight_slot, unit_rows_slot, unit_rows_grad_slot, upsample_nearest_2x_slot, weigh_rows_slot>
    kKernels;

}  // namespace
}  // namespace sumi::backend::guard
