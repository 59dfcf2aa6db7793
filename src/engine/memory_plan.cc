#include "engine/memory_plan.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "engine/memory_plan_walk.h"
#include "models/loading/bind.h"
#include "models/loading/prefixes.h"

namespace sumi::engine {
namespace {

// The program itself, its threads' scratch, packed panels of weights.
constexpr int64_t kOverhead = 64 << 20;

enum class Phase { kNone, kText, kUnet, kDecoder };

// model_ema.* mirrors the UNet and takes its place: the UNet's share is counted once.
Phase phase_of(std::string_view name) {
  if (name.starts_with(models::kUNetPrefix)) return Phase::kUnet;
  if (name.starts_with(models::kVaePrefix)) {
    const std::string_view own = name.substr(models::kVaePrefix.size());
    return own.starts_with("decoder.") || own.starts_with("post_quant_conv.") ? Phase::kDecoder : Phase::kNone;
  }
  if (name.starts_with(models::kConditionerPrefix)) return Phase::kText;
  return Phase::kNone;
}

}  // namespace

int64_t MemoryPlan::of_the_job() const { return adapters + std::max(unet_activations, decoder_activations); }

int64_t MemoryPlan::weights() const { return unet_weights + decoder_weights + text_weights; }

int64_t MemoryPlan::resident() const { return weights() + of_the_job() + kOverhead; }

int64_t MemoryPlan::required() const {
  return copied_weights + adapters + std::max(mapped_unet + unet_activations, mapped_decoder + decoder_activations) +
         kOverhead;
}

int64_t MemoryPlan::allocated() const {
  // The allocator rounds sizes up, by a quarter at the worst; such a tail takes address space, but no memory.
  return copied_weights + adapters + std::max(unet_activations, decoder_activations) / 4 * 5 + kOverhead;
}

MemoryPlan plan_memory(const io::Checkpoint& checkpoint, const models::ModelConfig& config, const JobSize& job) {
  MemoryPlan plan;
  for (const io::TensorInfo& info : checkpoint.tensors()) {
    const Phase phase = phase_of(info.name);
    const bool wide = models::is_converted(info.dtype);
    if (phase == Phase::kNone || !(wide || is_weight_type(info.dtype))) continue;
    const int64_t size = info.dtype == DType::kF64 ? 4 : 2;  // f64 becomes f32, 8-bit floats f16
    const int64_t bytes = wide ? info.shape.numel() * size : bytes_of(info.dtype, info.shape.numel());
    const bool copied = wide || checkpoint.is_copied(info.name);
    if (copied && job.loaded) continue;  // taken already
    if (copied) plan.copied_weights += bytes;
    if (!copied && phase == Phase::kUnet) plan.mapped_unet += bytes;
    if (!copied && phase == Phase::kDecoder) plan.mapped_decoder += bytes;
    (phase == Phase::kUnet   ? plan.unet_weights
     : phase == Phase::kText ? plan.text_weights
                             : plan.decoder_weights) += bytes;
  }
  plan.tiled_decode = job.tiled_decode;
  const int64_t networks = job.guided ? 2 * job.batch : job.batch;
  plan.unet_activations = unet_peak(config.unet, networks, job.latent_height, job.latent_width, job.activations) +
                          context_bytes(config.unet, networks, job.context_tokens, job.activations);
  plan.tiled_activations = tiled_decoder_peak(config.autoencoder, job.latent_height, job.latent_width);
  plan.decoder_activations =
      job.tiled_decode ? plan.tiled_activations : decoder_peak(config.autoencoder, job.latent_height, job.latent_width);
  if (job.activations == DType::kBF16) {  // under f16 the autoencoder stays in float32
    plan.tiled_activations = with_float_copies(plan.tiled_activations);
    plan.decoder_activations = with_float_copies(plan.decoder_activations);
  }
  return plan;
}

std::string format_bytes(int64_t bytes) {
  const double mega = static_cast<double>(bytes) / 1e6;
  return mega < 1000 ? fmt::format("{:.0f} MB", mega) : fmt::format("{:.1f} GB", mega / 1e3);
}

std::string describe(const MemoryPlan& plan, const MemoryLimits& limits) {
  std::string text = fmt::format("needs about {} of memory: {} of weights, {} to sample, {} to decode",
                                 format_bytes(plan.resident()), format_bytes(plan.adapters + plan.weights()),
                                 format_bytes(plan.unet_activations), format_bytes(plan.decoder_activations));
  if (limits.available) text += fmt::format("; {} are available", format_bytes(*limits.available));
  return text;
}

namespace {

bool fits(const MemoryPlan& plan, const MemoryLimits& limits) {
  return (!limits.available || plan.required() <= *limits.available) &&
         (!limits.address_space || plan.allocated() <= *limits.address_space);
}

}  // namespace

void check_memory(const MemoryPlan& plan, const MemoryLimits& limits) {
  if (fits(plan, limits)) return;
  MemoryPlan tiled = plan;
  tiled.decoder_activations = plan.tiled_activations;
  const char* way_out = !plan.tiled_decode && fits(tiled, limits)
                            ? "decode in tiles (`tiled_decode`), or choose a smaller picture"
                            : "choose a smaller picture or fewer at once";
  SUMI_CHECK_KIND(kUnavailable, !limits.available || plan.required() <= *limits.available,
                  "this job needs at least {} of memory and {} are available; {} (it {})",
                  format_bytes(plan.required()), format_bytes(limits.available.value_or(0)), way_out,
                  describe(plan, {}));
  fail(ErrorKind::kUnavailable, "this job needs {} of memory and this process may take {} more (ulimit -v); {} (it {})",
       format_bytes(plan.allocated()), format_bytes(limits.address_space.value_or(0)), way_out, describe(plan, {}));
}

}  // namespace sumi::engine
