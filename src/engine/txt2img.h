// Text to image: prompts and noise in, pictures out.                         (Rombach et al. 2022;
// `scripts/txt2img.py`)
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "image/image.h"
#include "models/stable_diffusion.h"
#include "engine/request.h"
#include "text/clip_tokenizer.h"

namespace sumi::engine {

struct Txt2ImgProgress {
  int64_t batch, batches;  // over all iterations
  int done, steps;         // of this batch
};

struct Picture {
  image::Image image;
  std::string prompt;
  int64_t number;  // over all iterations and batches, from 0
};

// What a run reports to its caller.
struct Txt2ImgHooks {
  std::function<void(const Txt2ImgProgress&)> on_step;  // before a batch's first step (done 0) and after each
  std::function<void(Picture&&)> on_picture;            // as soon as it is decoded
  const std::atomic<bool>* cancel = nullptr;            // set: the run throws Error(kCancelled) within a step
  const nn::Adapters* adapters = nullptr;               // of the run; null: those of the caller's context
};

// Draws in the original's order: one generator from the seed; each batch's starting noise is one randn([B,C,h,w]),
// followed by its sampler's draws, so a batch depends on the sampler of the one before. With `fixed_code` the starting
// noise is drawn once, before the first batch. Throws Error(kInternal) if a latent is not finite, rather than return a
// black picture.
void txt2img(const models::StableDiffusion& model, const text::ClipTokenizer& tokenizer, const Txt2ImgRequest& request,
             const Txt2ImgHooks& hooks);

// Throws, as check_request does, for what this model cannot do: channels, sizes, sampler and schedule on its timesteps.
void check_request_for(const Txt2ImgRequest& request, const models::ModelConfig& config);

// The latent's [H,W] for the request.
struct LatentSize {
  int64_t height, width;
};
LatentSize latent_size(const Txt2ImgRequest& request, const models::ModelConfig& config);

}  // namespace sumi::engine
