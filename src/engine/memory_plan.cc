#include "engine/memory_plan.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "engine/memory_plan_walk.h"
#include "models/loading/bind.h"
#include "models/loading/prefixes.h"
#include "models/taesd/taesd_file.h"

namespace sumi::engine {
namespace {

// The program itself, its threads' scratch, packed panels of weights.
constexpr int64_t kOverhead = 64 << 20;

enum class Phase { kNone, kText, kUnet, kDecoder, kEncoder };

// model_ema.* mirrors the UNet and takes its place: the UNet's share is counted once.
Phase phase_of(std::string_view name) {
  if (name.starts_with(models::kUNetPrefix)) return Phase::kUnet;
  if (name.starts_with(models::kVaePrefix)) {
    const std::string_view own = name.substr(models::kVaePrefix.size());
    const auto begins = [own](std::string_view prefix) { return own.starts_with(prefix); };
    if (begins("decoder.") || begins("post_quant_conv.") || begins("taesd_decoder.")) return Phase::kDecoder;
    return begins("encoder.") || begins("quant_conv.") || begins("taesd_encoder.") ? Phase::kEncoder : Phase::kNone;
  }
  if (name.starts_with(models::kConditionerPrefix)) return Phase::kText;
  return Phase::kNone;
}

}  // namespace

int64_t MemoryPlan::of_the_job() const {
  return adapters + control_weights + other + std::max({unet_activations, decoder_activations, encoder_activations});
}

int64_t MemoryPlan::weights() const { return unet_weights + decoder_weights + encoder_weights + text_weights; }

int64_t MemoryPlan::resident() const {
  const int64_t mapped = mapped_unet + mapped_decoder + mapped_encoder + mapped_text;
  const int64_t loading = loads_first ? mapped : 0;
  int64_t encoding = mapped_encoder + encoder_activations, denoising = mapped_unet + unet_activations;
  int64_t decoding = mapped_decoder + decoder_activations;
  if (!gives_back) denoising = std::max(loading, mapped_unet + mapped_text) + unet_activations;
  if (between_passes) encoding += mapped_unet + mapped_decoder;
  if (between_passes || several_batches) denoising = mapped + unet_activations;
  if (several_batches) {
    encoding = mapped + encoder_activations;
    decoding = mapped + decoder_activations;
  }
  return copied_weights + adapters + control_weights + other + std::max({loading, encoding, denoising, decoding}) +
         kOverhead;
}

int64_t MemoryPlan::required() const {
  return copied_weights + adapters + other +
         std::max({mapped_unet + control_weights + unet_activations, mapped_decoder + decoder_activations,
                   encoder_activations}) +
         kOverhead;
}

int64_t MemoryPlan::allocated() const {
  // The allocator rounds sizes up, by a quarter at the worst; such a tail takes address space, but no memory.
  return copied_weights + adapters + other +
         std::max({unet_activations, decoder_activations, encoder_activations}) / 4 * 5 + kOverhead;
}

namespace {

// One pass of the denoiser, with the ControlNets beside it.
int64_t pass_peak(const models::ModelConfig& config, const JobSize& job, int64_t networks, int64_t height,
                  int64_t width) {
  const int64_t context = context_bytes(config.unet, networks, job.context_tokens, job.activations);
  const int64_t unet = unet_peak(config.unet, networks, height, width, job.activations) + context;
  if (job.controls == 0) return unet;
  const int64_t residuals = control_residual_bytes(config.unet, networks, height, width, job.activations);
  // One network's residuals are added to those of the networks before it.
  const int64_t before = job.controls > 1 ? residuals : 0;
  const int64_t own = control_peak(config.unet, networks, height, width, job.activations) + before + context;
  return static_cast<int64_t>(job.controls) * context + std::max(unet + residuals, own);
}

// The peaks of the autoencoder that the model has: the full one, or a tiny one.
struct AutoencoderPeaks {
  const models::AutoencoderConfig& full;
  const std::optional<models::TaesdConfig>& tiny;

  int64_t decoder(int64_t height, int64_t width) const {
    return tiny ? tiny_decoder_peak(*tiny, height, width) : decoder_peak(full, height, width);
  }
  int64_t encoder(int64_t height, int64_t width) const {
    return tiny ? tiny_encoder_peak(*tiny, height, width) : encoder_peak(full, height, width);
  }
  int64_t tiled_decoder(int64_t height, int64_t width) const {
    return tiny ? tiny_tiled_decoder_peak(*tiny, height, width, models::kTileBudget)
                : tiled_decoder_peak(full, height, width);
  }
};

}  // namespace

MemoryPlan plan_memory(const io::Checkpoint& checkpoint, const models::ModelConfig& config, const JobSize& job) {
  MemoryPlan plan;
  for (const io::TensorInfo& info : checkpoint.tensors()) {
    const Phase phase = phase_of(info.name);
    const bool wide = models::is_converted(info.dtype);
    const bool unused = phase == Phase::kEncoder && !job.encodes && !job.second_encodes;
    if (phase == Phase::kNone || !(wide || is_weight_type(info.dtype))) continue;
    const int64_t size = info.dtype == DType::kF64 ? 4 : 2;  // f64 becomes f32, 8-bit floats f16
    const int64_t bytes = wide ? info.shape.numel() * size : bytes_of(info.dtype, info.shape.numel());
    const bool copied = wide || checkpoint.is_copied(info.name);
    if (copied && (job.loaded || unused)) continue;  // taken already
    if (copied) plan.copied_weights += bytes;
    if (!copied) {
      (phase == Phase::kUnet      ? plan.mapped_unet
       : phase == Phase::kText    ? plan.mapped_text
       : phase == Phase::kEncoder ? plan.mapped_encoder
                                  : plan.mapped_decoder) += bytes;
    }
    if (unused) continue;
    (phase == Phase::kUnet      ? plan.unet_weights
     : phase == Phase::kText    ? plan.text_weights
     : phase == Phase::kEncoder ? plan.encoder_weights
                                : plan.decoder_weights) += bytes;
  }
  plan.tiled_decode = job.tiled_decode;
  plan.loads_first = !job.loaded;
  plan.gives_back = job.encodes || job.second_encodes;
  plan.between_passes = job.second_encodes;
  plan.several_batches = job.batches > 1;
  const int64_t networks = job.guided ? 2 * job.batch : job.batch;
  plan.unet_activations = pass_peak(config, job, networks, job.latent_height, job.latent_width);
  const bool second = job.second_height > 0;
  if (second) {
    const int64_t larger = job.second_guided ? 2 * job.batch : job.batch;
    plan.unet_activations =
        std::max(plan.unet_activations, pass_peak(config, job, larger, job.second_height, job.second_width));
  }
  const int64_t height = second ? job.second_height : job.latent_height;
  const int64_t width = second ? job.second_width : job.latent_width;
  const std::optional<models::TaesdConfig> tiny = models::taesd_in(checkpoint, models::kVaePrefix);
  const AutoencoderPeaks peaks{config.autoencoder, tiny};
  plan.tiled_activations = peaks.tiled_decoder(height, width);
  plan.decoder_activations = job.tiled_decode ? plan.tiled_activations : peaks.decoder(height, width);
  if (job.second_encodes) {
    plan.encoder_activations = peaks.encoder(height, width);
  } else if (job.encodes) {
    plan.encoder_activations = peaks.encoder(job.latent_height, job.latent_width);
  }
  if (job.preview_width > 0) {  // between two passes of the denoiser
    const int64_t preview = tiny_decoder_peak({.width = job.preview_width}, height, width);
    const bool narrow = job.activations == DType::kBF16;
    plan.unet_activations = std::max(plan.unet_activations, narrow ? with_float_copies(preview) : preview);
  }
  if (job.seamless) {  // convolutions of copies with edges put around
    const auto more = [](int64_t& bytes) { bytes += bytes / 8 * 5; };
    more(plan.tiled_activations);
    more(plan.decoder_activations);
    more(plan.encoder_activations);
  }
  plan.control_weights = job.control_weights;
  plan.other = job.other;
  if (job.activations == DType::kBF16) {  // under f16 the autoencoder stays in float32
    plan.tiled_activations = with_float_copies(plan.tiled_activations);
    plan.decoder_activations = with_float_copies(plan.decoder_activations);
    plan.encoder_activations = with_float_copies(plan.encoder_activations);
  }
  return plan;
}

std::string format_bytes(int64_t bytes) {
  const double mega = static_cast<double>(bytes) / 1e6;
  return mega < 1000 ? fmt::format("{:.0f} MB", mega) : fmt::format("{:.1f} GB", mega / 1e3);
}

std::string describe(const MemoryPlan& plan, const MemoryLimits& limits) {
  std::string text = fmt::format("needs about {} of memory: {} of weights, ", format_bytes(plan.resident()),
                                 format_bytes(plan.adapters + plan.control_weights + plan.weights()));
  if (plan.encoder_activations > 0) text += fmt::format("{} to encode, ", format_bytes(plan.encoder_activations));
  text += fmt::format("{} to sample, {} to decode", format_bytes(plan.unet_activations),
                      format_bytes(plan.decoder_activations));
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
