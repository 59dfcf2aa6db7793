// A resolved job in, pictures out.                             (Rombach et al. 2022;
// `scripts/txt2img.py`)
#pragma once

#include <atomic>
#include <functional>

#include "engine/preview.h"
#include "engine/resolve.h"
#include "engine/safety.h"
#include "models/stable_diffusion.h"
#include "nn/adapters.h"

namespace sumi::engine {

// What a run uses besides the networks and the job; any may be empty.
struct RunWith {
  const nn::Adapters* adapters = nullptr;     // the job's changes of the weights; null: the thread's context decides
  const std::atomic<bool>* cancel = nullptr;  // set: the run throws Error(kCancelled) within a step
  std::function<void()> check_files = {};     // throws if a mapped file of the model changed
  std::function<void()> encoded = {};         // called once pictures and the first texts are encoded, if there are any
  std::function<void()> denoised = {};        // called once the denoiser has run for the last time
  const Safety* safety = nullptr;             // looks at the pictures
  std::function<Image(const Tensor& latent)> preview = {};  // of [1,h,w,C], for hooks.preview
};

// With seeding "run", draws in the original's order: one generator from the seed; each batch's starting noise is one
// randn([B,C,h,w]), followed by its sampler's draws, so a batch depends on the sampler of the one before; with
// fixed_noise the starting noise is drawn once, before the first batch. With seeding "picture" each picture has its own
// generator and no result depends on what else is in a batch. Throws Error(kInternal) if a latent is not finite, rather
// than return a black picture. The networks may serve other runs at the same time.
void run_job(const models::StableDiffusion& model, const ResolvedJob& job, const Hooks& hooks,
             const RunWith& with = {});

}  // namespace sumi::engine
