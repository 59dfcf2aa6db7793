#include "engine/run.h"

#include <algorithm>

#include "base/check.h"
#include "core/context.h"
#include "engine/noise.h"
#include "engine/prompt_encoder.h"
#include "engine/sample_latent.h"
#include "image/convert.h"

namespace sumi::engine {
namespace {

class Run {
 public:
  Run(const models::StableDiffusion& model, const ResolvedJob& job, const Hooks& hooks, const RunWith& with)
      : model_(model),
        job_(job),
        hooks_(hooks),
        with_(with),
        noise_(job.settings.rng, job.settings.seed, job.seeds_by_picture(), model.device()),
        encoder_(model, job.texts[job.empty], job.embeddings, job.end_mark) {}

  void operator()() {
    if (job_.fixed_noise) fixed_noise_ = noise_(latent_shape(job_.largest_batch()));
    for (int64_t iteration = 0; iteration < job_.iterations; ++iteration) {
      for (const auto& prompts : job_.batches) {
        check_cancelled(with_.cancel);
        if (batch_ % job_.share_of == job_.share) {
          run_batch(prompts);
        } else {
          pass_over_batch(prompts.size());
        }
        number_ += static_cast<int64_t>(prompts.size());
        ++batch_;
      }
    }
  }

 private:
  Shape latent_shape(size_t pictures) const {
    return {static_cast<int64_t>(pictures), job_.latent.height, job_.latent.width, model_.config().unet.in_channels};
  }

  int64_t batches() const { return job_.iterations * static_cast<int64_t>(job_.batches.size()); }

  // Another process draws this one.
  void pass_over_batch(size_t pictures) {
    if (job_.seeds_by_picture()) return;
    if (!fixed_noise_) noise_.pass_over(latent_shape(pictures));
    pass_over_latent(*job_.grid, latent_shape(pictures), [this](const Shape& shape) { noise_.pass_over(shape); });
  }

  void run_batch(const std::vector<size_t>& prompts) {
    const Tensor latents = sample_batch(prompts);
    if (with_.denoised && batch_ + job_.share_of >= batches()) with_.denoised();
    for (size_t i = 0; i < prompts.size(); ++i) {
      check_cancelled(with_.cancel);
      const auto row = static_cast<int64_t>(i);
      hand_out(decode(latents.rows(row, row + 1)), job_.texts[prompts[i]].text, number_ + row);
    }
  }

  // With seeding by picture, each picture is computed as if it were alone: with guidance, as a batch of two.
  Tensor sample_batch(const std::vector<size_t>& prompts) {
    const ContextScope scope([&](Context& context) {
      if (job_.seeds_by_picture()) context.batch_of_choices = job_.guided() ? 2 : 1;
    });
    std::vector<const TokenizedPrompt*> texts;
    for (const size_t i : prompts) texts.push_back(&job_.texts[i]);
    PromptPair text = encoder_(texts, job_.texts[job_.negative], job_.guided());
    const auto count = static_cast<int64_t>(prompts.size());
    noise_.begin(number_, count);
    const SampleJob sampled{
        .grid = *job_.grid,
        .start = {fixed_noise_ ? fixed_noise_.rows(0, count) : noise_(latent_shape(prompts.size()))},
        .cond = std::move(text.cond),
        .uncond = std::move(text.uncond),
        .scale = job_.settings.scale};
    show(0, job_.grid->steps());
    const auto on_step = [&](const diffusion::StepInfo& info) {
      show(info.step + 1, info.steps);
      if (hooks_.preview && with_.preview_map) show_previews(info);
    };
    return sample_latent(model_, sampled, [this](const Shape& shape) { return noise_(shape); },
                         {.cancel = with_.cancel, .check_files = with_.check_files, .on_step = on_step});
  }

  void show(int done, int steps) const {
    if (hooks_.step) hooks_.step({.batch = batch_, .batches = batches(), .done = done, .steps = steps});
  }

  void show_previews(const diffusion::StepInfo& info) const {
    const Tensor latents = info.denoised();
    for (int64_t i = 0; i < latents.dim(0); ++i) {
      hooks_.preview({.image = preview_of(with_.preview_map(), latents.rows(i, i + 1)),
                      .number = number_ + i,
                      .done = info.step + 1,
                      .steps = info.steps});
    }
  }

  // The decoded floats are gone before the picture is handed out.
  Image decode(const Tensor& latent) const {
    const Tensor decoded = job_.settings.tiled_decode ? model_.decode_tiled(latent) : model_.decode(latent);
    const Tensor picture = decoded.to(Device::kCpu);
    if (!is_host(decoded.device())) check_picture(picture);
    Image image = std::move(image::to_images(picture).at(0));
    if (with_.check_files) with_.check_files();
    return image;
  }

  void hand_out(Image&& image, const std::string& prompt, int64_t number) const {
    if (!hooks_.picture) return;
    const Settings& s = job_.settings;
    const bool own_seed = job_.seeds_by_picture();
    const uint64_t seed = own_seed ? s.seed + static_cast<uint64_t>(number) : s.seed;
    hooks_.picture({.image = std::move(image),
                    .prompt = prompt,
                    .number = number,
                    .seed = seed,
                    .parameters = parameters_of(s, prompt, seed, own_seed || s.pictures == 1 ? -1 : number)});
  }

  const models::StableDiffusion& model_;
  const ResolvedJob& job_;
  const Hooks& hooks_;
  const RunWith& with_;
  JobNoise noise_;
  PromptEncoder encoder_;
  Tensor fixed_noise_;
  int64_t batch_ = 0;   // done so far
  int64_t number_ = 0;  // of the next batch's first picture
};

}  // namespace

void run_job(const models::StableDiffusion& model, const ResolvedJob& job, const Hooks& hooks, const RunWith& with) {
  const ContextScope scope([&](Context& context) {
    if (with.adapters != nullptr) context.adapters = with.adapters;
  });
  Run(model, job, hooks, with)();
}

}  // namespace sumi::engine
