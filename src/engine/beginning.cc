#include "engine/beginning.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "ops/elementwise.h"
#include "ops/layout.h"

namespace sumi::engine {
namespace {

Tensor repeat(const Tensor& x, int64_t count) {
  if (x.dim(0) == count) return x;
  return concat_rows(std::vector<Tensor>(static_cast<size_t>(count), x));
}

// [1,h,w,1] → [n,h,w,c].
Tensor spread(const Tensor& mask, const Shape& latent) {
  Tensor wide = mask;
  while (wide.dim(3) < latent[3]) wide = concat_channels(wide, wide.dim(3) * 2 > latent[3] ? mask : wide);
  return repeat(wide, latent[0]);
}

// `drawn` where the mask is 1, `known` where it is 0.
Tensor blend(const Tensor& drawn, const Tensor& known, const Tensor& mask, const Tensor& keep) {
  return mul(drawn, mask) + mul(known, keep);
}

Shape one_of(const Shape& latent) { return {1, latent[1], latent[2], latent[3]}; }

}  // namespace

Convention convention_of(const std::string& name) {
  if (name == "original") return Convention::kOriginal;
  if (name == "diffusers") return Convention::kDiffusers;
  SUMI_CHECK_KIND(kUsage, name == "webui", "`convention` must be original, diffusers or webui, not {}", name);
  return Convention::kWebui;
}

const char* name_of(Convention convention) {
  switch (convention) {
    case Convention::kOriginal: return "original";
    case Convention::kDiffusers: return "diffusers";
    default: return "webui";
  }
}

MaskContent mask_content_of(const std::string& name) {
  if (name == "original") return MaskContent::kOriginal;
  if (name == "fill") return MaskContent::kFill;
  if (name == "noise") return MaskContent::kNoise;
  SUMI_CHECK_KIND(kUsage, name == "nothing", "`mask_content` must be original, fill, noise or nothing, not {}", name);
  return MaskContent::kNothing;
}

Entry enter(diffusion::Grid& grid, int64_t steps, double strength, Convention convention, bool masked) {
  const auto part = [&](double of) { return static_cast<int>(of * static_cast<double>(steps)); };
  if (masked && strength == 1.0 && convention != Convention::kWebui) return {.from_noise = true};
  const int all = grid.steps();
  Entry entry;
  if (convention == Convention::kWebui) {
    entry.first_step = std::max(0, all - part(std::min(strength, 0.999)) - 1);
  } else {
    const int kept = std::min(part(strength), static_cast<int>(steps));
    SUMI_CHECK_KIND(kUsage, kept >= 1,
                    "strength {} of {} steps leaves no step to run: raise `strength` to at least {:.4g}, or `steps`",
                    strength, steps, std::ceil(1e4 / static_cast<double>(steps)) / 1e4);
    // Counted from the grid's end: it may have more than were asked for, at its beginning.
    entry.first_step = std::max(0, all - kept);
  }
  // diffusers' list of timesteps has the second of plms twice, for its first step of two calls. Begun later, the first
  // step still makes two calls, and then goes on after the point where the second was made.
  if (convention == Convention::kDiffusers && grid.sampler_name() == "plms" && entry.first_step > 0) {
    --entry.first_step;
    grid.leave_out(entry.first_step + 1);
  }
  // The original mixes one point above the first step; where there is none (strength 1), it fails.
  const bool above = convention == Convention::kOriginal && entry.first_step > 0;
  entry.level = diffusion::level_of_step(grid, entry.first_step - (above ? 1 : 0));
  return entry;
}

int64_t grid_steps(int64_t steps, double strength) {
  return static_cast<int64_t>(static_cast<double>(steps) / std::min(strength, 0.999));
}

Entry last_steps(const diffusion::Grid& grid, int64_t steps) {
  const int first = std::max(0, grid.steps() - static_cast<int>(steps));
  return {.first_step = first, .level = diffusion::level_of_step(grid, first)};
}

Tensor Encoded::sample(int64_t count, const std::function<Tensor()>& draw) const {
  if (!moments) return repeat(latent, count);
  const Tensor noise = draw();
  const Tensor z = sample_gaussian(repeat(moments, noise.dim(0)), noise);
  return repeat(z * static_cast<float>(scale_factor), count);
}

Beginning::Beginning(PictureLatents latents, const Entry& entry, Convention convention, int64_t largest_batch)
    : latents_(std::move(latents)), entry_(entry), convention_(convention), largest_(largest_batch) {}

// The original draws it before the first batch for all of them, but where it keeps parts of a picture, from a generator
// of its own; the web UI does that always.
Tensor Beginning::picture(const Shape& latent, const BatchNoise& noise) {
  const Encoded& encoded = latents_.picture;
  const auto draw = [&](const diffusion::NoiseSource& source, int64_t count) {
    return encoded.sample(count, [&] { return source({count, latent[1], latent[2], latent[3]}); });
  };
  if (!encoded.defined()) return {};
  switch (convention_) {
    case Convention::kWebui: return draw(noise.apart, latent[0]);
    case Convention::kDiffusers: return repeat(draw(noise.next, noise.by_picture ? latent[0] : 1), latent[0]);
    default: break;
  }
  if (latents_.mask) return draw(noise.apart, latent[0]);
  if (noise.by_picture) return draw(noise.next, latent[0]);
  if (!kept_) kept_ = draw(noise.next, largest_);
  return kept_.rows(0, latent[0]);
}

Tensor Beginning::masked_picture(const Shape& latent, const BatchNoise& noise) const {
  const diffusion::NoiseSource& source = convention_ == Convention::kWebui ? noise.apart : noise.next;
  const bool one = convention_ == Convention::kDiffusers && !noise.by_picture;
  return latents_.masked_picture.sample(latent[0], [&] { return source(one ? one_of(latent) : latent); });
}

Tensor Beginning::under_mask(const Tensor& picture, const Tensor& noise) const {
  if (!latents_.mask || latents_.content == MaskContent::kOriginal || latents_.content == MaskContent::kFill)
    return picture;
  const Tensor mask = spread(latents_.mask, picture.shape());
  const Tensor known = picture - mul(picture, mask);
  return latents_.content == MaskContent::kNothing ? known : known + mul(noise, mask);
}

BatchBeginning Beginning::operator()(const Shape& latent, const BatchNoise& noise) {
  BatchBeginning batch;
  const bool original = convention_ == Convention::kOriginal;
  Tensor masked, known;
  if (original && nine_channels()) masked = masked_picture(latent, noise);
  known = picture(latent, noise);
  const bool from_numpy = original && nine_channels() && entry_.from_noise;
  const Tensor first = from_numpy ? noise.numpy(latent) : noise.first(latent);
  if (!original && nine_channels()) masked = masked_picture(latent, noise);
  // diffusers encodes the masked picture for networks of four channels too, which do not use it.
  if (convention_ == Convention::kDiffusers && latents_.mask && !nine_channels() && latents_.picture.moments)
    noise.next(noise.by_picture ? latent : one_of(latent));
  if (entry_.from_noise) {
    batch.start = {.x = first};
  } else {
    known = under_mask(known, first);
    batch.start = {.x = diffusion::mix(known, first, entry_.level), .first_step = entry_.first_step, .mixed = true};
  }
  if (masked) batch.channels = concat_channels(repeat(latents_.mask, latent[0]), masked);
  // A network of nine channels keeps by itself what lies outside the mask; only the web UI blends beside it.
  if (latents_.mask && known && (!nine_channels() || convention_ == Convention::kWebui))
    keep(batch, known, first, latent, noise);
  return batch;
}

void Beginning::keep(BatchBeginning& batch, const Tensor& known, const Tensor& first_noise, const Shape& latent,
                     const BatchNoise& noise) const {
  const Tensor mask = spread(latents_.mask, latent);
  const Tensor keep = affine(-1.0f, mask, 0.0f, {}, 1.0f);
  const auto put_back = [=](const Tensor& x, const Tensor& kept) { return blend(x, kept, mask, keep); };
  switch (convention_) {
    case Convention::kWebui:
      batch.constrain = [=](const Tensor& denoised, double) { return put_back(denoised, known); };
      break;
    case Convention::kDiffusers:
      batch.rewrite = [=, begins = entry_.first_step](const Tensor& x, const diffusion::Level& level, int step) {
        return step == begins ? x : put_back(x, diffusion::mix(known, first_noise, level));
      };
      batch.constrain = [=](const Tensor& denoised, double sigma) {
        return sigma == 0.0 ? put_back(denoised, known) : denoised;
      };
      break;
    default:
      batch.rewrite = [=, next = noise.channels_last](const Tensor& x, const diffusion::Level& level, int) {
        return put_back(x, diffusion::mix(known, next(x.shape()), level));
      };
  }
}

}  // namespace sumi::engine
