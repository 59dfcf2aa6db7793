#include "engine/run.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "core/context.h"
#include "engine/beginning.h"
#include "engine/controls.h"
#include "engine/noise.h"
#include "engine/prompt_encoder.h"
#include "engine/sample_latent.h"
#include "image/convert.h"
#include "image/resize.h"
#include "image/watermark.h"
#include "ops/interpolate.h"
#include "ops/layout.h"

namespace sumi::engine {
namespace {

class Run {
 public:
  Run(const models::StableDiffusion& model, const ResolvedJob& job, const Hooks& hooks, const RunWith& with)
      : model_(model),
        job_(job),
        hooks_(hooks),
        with_(with),
        noise_(noise_of(job.settings), model.device()),
        second_noise_(noise_of(job.settings), model.device()),
        encoder_(model, job.texts[job.empty], job.embeddings, job.end_mark) {
    if (!job.controls.empty()) controls_.emplace(job.controls, model, job.settings.guess_mode);
  }

  void operator()() {
    beginning_.emplace(beginning());
    if (job_.fixed_noise) fixed_noise_ = noise_.first(latent_shape(job_.largest_batch(), job_.latent));
    for (int64_t iteration = 0; iteration < job_.iterations; ++iteration) {
      for (const auto& prompts : job_.batches) {
        check_cancelled(with_.cancel);
        noise_.begin(number_, static_cast<int64_t>(prompts.size()));
        second_noise_.begin(number_, static_cast<int64_t>(prompts.size()));
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
  static NoiseChoice noise_of(const Settings& s) {
    return {.rng = s.rng,
            .seed = s.seed,
            .by_picture = s.seeding == "picture",
            .seeds = s.seeds,
            .subseed_strength = s.subseed_strength,
            .subseed = s.subseed.value_or(0)};
  }

  Shape latent_shape(size_t pictures, LatentSize size) const {
    return {static_cast<int64_t>(pictures), size.height, size.width, model_.config().autoencoder.embed_dim};
  }

  int64_t batches() const { return job_.iterations * static_cast<int64_t>(job_.batches.size()); }

  // Each batch's steps.
  int first_steps() const { return job_.entry.steps_of(*job_.grid); }
  int second_steps() const { return job_.second ? job_.second->entry.steps_of(*job_.second->grid) : 0; }

  // The pictures of the job through the encoder, once.
  Beginning beginning() const {
    const ContextScope scope = scope_of(1);
    PictureLatents latents{.content = job_.content};
    const bool masked = job_.canvas && job_.canvas->mask;
    if (masked || job_.nine_channels)
      latents.mask =
          masked ? latent_mask(*job_.canvas, job_.latent.height, job_.latent.width, job_.convention).to(model_.device())
                 : Tensor::full({1, job_.latent.height, job_.latent.width, 1}, 1.0f).to(model_.device());
    const bool needs_picture = !job_.entry.from_noise || (masked && !job_.nine_channels);
    if (job_.canvas && needs_picture) latents.picture = encode(image::from_images({job_.canvas->picture}));
    if (job_.nine_channels) latents.masked_picture = encode(masked_picture());
    return Beginning(std::move(latents), job_.entry, job_.convention, static_cast<int64_t>(job_.largest_batch()));
  }

  // The picture, mid grey under the mask; all grey without a picture.
  Tensor masked_picture() const {
    const Settings& s = job_.settings;
    if (!job_.canvas) return Tensor::zeros({1, s.height, s.width, 3});
    Tensor picture = image::from_images({job_.canvas->picture});
    if (!job_.canvas->mask) return Tensor::zeros(picture.shape());
    const HostEdit<float> values(picture);
    const std::vector<uint8_t>& mask = job_.canvas->mask->pixels;
    for (size_t i = 0; i < mask.size(); ++i) {
      if (mask[i] >= 128) std::fill_n(&values[static_cast<int64_t>(3 * i)], 3, 0.0f);
    }
    return picture;
  }

  Encoded encode(const Tensor& picture) const {
    check_cancelled(with_.cancel);
    Tensor encoded = model_.encode(picture.to(model_.device()));
    if (!model_.encodes_with_variance()) return {.latent = std::move(encoded)};
    return {.moments = std::move(encoded), .scale_factor = model_.config().autoencoder.scale_factor};
  }

  BatchNoise batch_noise() {
    return {.first = [this](const Shape& s) { return fixed_noise_ ? fixed_noise_.rows(0, s[0]) : noise_.first(s); },
            .next = [this](const Shape& s) { return noise_.next(s); },
            .apart = [this](const Shape& s) { return noise_.apart(s, job_.settings.rng); },
            .channels_last = [this](const Shape& s) { return noise_.next_channels_last(s); },
            .numpy = [this](const Shape& s) { return noise_.apart(s, "numpy"); },
            .by_picture = job_.seeds_by_picture()};
  }

  SampleJob first_pass(size_t pictures, models::Conditioning cond, models::Conditioning uncond) {
    BatchBeginning begun = (*beginning_)(latent_shape(pictures, job_.latent), batch_noise());
    cond.channels = begun.channels;
    uncond.channels = begun.channels;
    return {.grid = *job_.grid,
            .start = std::move(begun.start),
            .cond = std::move(cond),
            .uncond = std::move(uncond),
            .scale = job_.settings.scale,
            .constrain = std::move(begun.constrain),
            .rewrite = std::move(begun.rewrite)};
  }

  // `enlarged`: latents of the second pass's size.
  SampleJob second_pass(const Tensor& enlarged, models::Conditioning cond, models::Conditioning uncond) {
    const Entry& entry = job_.second->entry;
    const Tensor noise = second_noise_.first(enlarged.shape());
    if (job_.nine_channels) cond.channels = uncond.channels = all_anew(enlarged.shape());
    return {.grid = *job_.second->grid,
            .start = {.x = diffusion::mix(enlarged, noise, entry.level), .first_step = entry.first_step, .mixed = true},
            .cond = std::move(cond),
            .uncond = std::move(uncond),
            .scale = job_.second->scale};
  }

  // Of the second pass of a denoiser of nine channels: the mask is white all over, and grey is what is left.
  Tensor all_anew(const Shape& latent) {
    if (!all_anew_) {
      const ContextScope scope = scope_of(1);
      const int64_t f = model_.config().autoencoder.downsampling();
      const Tensor grey = mean_of(encode(Tensor::zeros({1, latent[1] * f, latent[2] * f, 3})), job_.second->latent);
      all_anew_ = concat_channels(Tensor::full({1, latent[1], latent[2], 1}, 1.0f).to(model_.device()), grey);
    }
    return concat_rows(std::vector<Tensor>(static_cast<size_t>(latent[0]), all_anew_));
  }

  // The noise of the encoder's variance would be another draw: its mean is what all draws lie around.
  Tensor mean_of(const Encoded& encoded, LatentSize size) const {
    return encoded.sample(1, [&] { return Tensor::zeros(latent_shape(1, size)).to(model_.device()); });
  }

  // Another process draws this one.
  void pass_over_batch(size_t pictures) {
    if (job_.seeds_by_picture()) return;
    pass_over_latent(first_pass(pictures, {}, {}), [this](const Shape& s) { return noise_.next(s); });
    if (!job_.second) return;
    const Tensor nothing = Tensor::zeros(latent_shape(pictures, job_.second->latent));
    pass_over_latent(second_pass(nothing.to(model_.device()), {}, {}),
                     [this](const Shape& s) { return second_noise_.next(s); });
  }

  void run_batch(const std::vector<size_t>& prompts) {
    done_ = 0;
    show();
    Tensor latents = sample_first(prompts);
    if (job_.second) latents = sample_second(prompts, enlarged(latents));
    if (with_.denoised && batch_ + job_.share_of >= batches()) with_.denoised();
    for (size_t i = 0; i < prompts.size(); ++i) {
      check_cancelled(with_.cancel);
      const auto row = static_cast<int64_t>(i);
      hand_out(decode(latents.rows(row, row + 1)), prompts[i], number_ + row);
    }
  }

  PromptPair encode_prompts(const std::vector<size_t>& prompts, size_t negative, bool guided) {
    std::vector<const TokenizedPrompt*> texts;
    for (const size_t i : prompts) texts.push_back(&job_.texts[i]);
    return encoder_(texts, job_.texts[negative], guided);
  }

  Tensor sample_first(const std::vector<size_t>& prompts) {
    const ContextScope scope = scope_of(job_.guided() ? 2 : 1);
    PromptPair text = encode_prompts(prompts, job_.negative, job_.guided());
    SampleJob sampled = first_pass(prompts.size(), std::move(text.cond), std::move(text.uncond));
    if (with_.encoded && job_.encodes() && !std::exchange(encoded_, true)) with_.encoded();
    return sample(std::move(sampled), job_.latent, first_steps(), noise_);
  }

  Tensor sample_second(const std::vector<size_t>& prompts, const Tensor& larger) {
    const SecondPass& second = *job_.second;
    const bool guided = second.scale != 1.0;
    const ContextScope scope = scope_of(guided ? 2 : 1);
    const std::vector<size_t> own(prompts.size(), second.prompt.value_or(0));
    PromptPair text = encode_prompts(second.prompt ? own : prompts, second.negative.value_or(job_.negative), guided);
    return sample(second_pass(larger, std::move(text.cond), std::move(text.uncond)), second.latent, second_steps(),
                  second_noise_);
  }

  // With seeding by picture, each picture is computed as if it were alone: as a batch of `samples`.
  ContextScope scope_of(int64_t samples) const {
    return ContextScope([&](Context& context) {
      if (job_.seeds_by_picture()) context.batch_of_choices = samples;
    });
  }

  Tensor sample(SampleJob sampled, LatentSize size, int steps, JobNoise& noise) {
    if (controls_) sampled.control = controls_->at(size, job_.settings.resize, steps, sampled.scale != 1.0);
    const auto on_step = [&](const diffusion::StepInfo& info) {
      ++done_;
      show();
      if (hooks_.preview && with_.preview) show_previews(info);
    };
    return sample_latent(model_, sampled, [&](const Shape& shape) { return noise.next(shape); },
                         {.cancel = with_.cancel, .check_files = with_.check_files, .on_step = on_step});
  }

  // The first pass's latents at the second's size.
  Tensor enlarged(const Tensor& latents) const {
    const SecondPass& second = *job_.second;
    if (second.latent_resize)
      return interpolate(latents, second.latent.height, second.latent.width, *second.latent_resize);
    const ContextScope scope = scope_of(1);
    const int64_t f = model_.config().autoencoder.downsampling();
    std::vector<Tensor> rows;
    for (int64_t i = 0; i < latents.dim(0); ++i) {
      check_cancelled(with_.cancel);
      const Image larger = enlarged(decode(latents.rows(i, i + 1)), second.latent.width * f, second.latent.height * f);
      rows.push_back(mean_of(encode(image::from_images({larger})), second.latent));
    }
    return concat_rows(rows);
  }

  Image enlarged(const Image& image, int64_t width, int64_t height) const {
    const SecondPass& second = *job_.second;
    if (second.pixel_filter) return image::resize(image, width, height, *second.pixel_filter);
    const auto show = [this](int64_t done, int64_t total) {
      if (hooks_.upscaling) hooks_.upscaling(static_cast<double>(done) / static_cast<double>(total));
    };
    const Image larger =
        second.model->upscale(image, {.memory = kUpscalerBytes, .progress = show, .cancel = with_.cancel});
    return image::resize(larger, width, height, image::Filter::kLanczos);
  }

  void show() const {
    if (hooks_.step)
      hooks_.step({.batch = batch_, .batches = batches(), .done = done_, .steps = first_steps() + second_steps()});
  }

  void show_previews(const diffusion::StepInfo& info) const {
    const Tensor latents = info.denoised();
    for (int64_t i = 0; i < latents.dim(0); ++i) {
      hooks_.preview({.image = with_.preview(latents.rows(i, i + 1)),
                      .number = number_ + i,
                      .done = done_,
                      .steps = first_steps() + second_steps()});
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

  // `prompt`: in texts.
  void hand_out(Image&& drawn, size_t prompt, int64_t number) const {
    if (!hooks_.picture) return;
    Image image = job_.canvas ? job_.canvas->finish(drawn) : std::move(drawn);
    const bool flagged = with_.safety && with_.safety->censor(image);
    if (flagged) warn("picture {} was flagged by the safety checker and is black", number + 1);
    if (!job_.settings.watermark.empty()) image::embed_watermark(image, image::watermark_bits(job_.settings.watermark));
    Settings s = job_.settings;
    const bool own_seed = job_.seeds_by_picture();
    const uint64_t seed = own_seed ? noise_.choice().seed_of(number) : s.seed;
    if (s.subseed_strength > 0.0) s.subseed = *s.subseed + static_cast<uint64_t>(number);
    if (!job_.embeddings_of.empty()) s.embeddings = job_.embeddings_of[prompt];
    const std::string& text = job_.texts[prompt].text;
    hooks_.picture({.image = std::move(image),
                    .prompt = text,
                    .number = number,
                    .seed = seed,
                    .parameters = parameters_of(s, text, seed, own_seed || s.pictures == 1 ? -1 : number,
                                                {.iterations = job_.iterations, .fixed_noise = job_.fixed_noise}),
                    .flagged = flagged});
  }

  const models::StableDiffusion& model_;
  const ResolvedJob& job_;
  const Hooks& hooks_;
  const RunWith& with_;
  JobNoise noise_, second_noise_;
  PromptEncoder encoder_;
  std::optional<Beginning> beginning_;
  std::optional<Controls> controls_;
  Tensor fixed_noise_, all_anew_;
  bool encoded_ = false;
  int done_ = 0;        // steps of the batch
  int64_t batch_ = 0;   // done so far
  int64_t number_ = 0;  // of the next batch's first picture
};

}  // namespace

void run_job(const models::StableDiffusion& model, const ResolvedJob& job, const Hooks& hooks, const RunWith& with) {
  const ContextScope scope([&](Context& context) {
    if (with.adapters != nullptr) context.adapters = with.adapters;
    context.wrap_x = job.settings.seamless.find('x') != std::string::npos;
    context.wrap_y = job.settings.seamless.find('y') != std::string::npos;
  });
  Run(model, job, hooks, with)();
}

}  // namespace sumi::engine
