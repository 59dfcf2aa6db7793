#include "engine/txt2img.h"

#include <algorithm>

#include "base/check.h"
#include "image/convert.h"
#include "io/mapped_file.h"
#include "engine/prompt_encoder.h"
#include "engine/sample_latent.h"

namespace sumi::engine {
namespace {

// What the network predicts is a property of the model.
diffusion::SampleOptions sampling_for(const Txt2ImgRequest& request, const models::ModelConfig& config) {
  diffusion::SampleOptions options = request.sampling;
  options.prediction = config.prediction;
  return options;
}

class Txt2Img {
 public:
  Txt2Img(const models::StableDiffusion& model, const text::ClipTokenizer& tokenizer, const Txt2ImgRequest& request,
          const Txt2ImgHooks& hooks)
      : model_(model),
        request_(request),
        hooks_(hooks),
        noise_(request.rng, request.seed, model.device()),
        encoder_(model, tokenizer, request.syntax) {}

  void operator()() {
    if (request_.fixed_code) {
      size_t largest = 0;
      for (const auto& batch : request_.batches) largest = std::max(largest, batch.size());
      fixed_noise_ = noise_(latent_shape(largest));
    }
    for (int64_t iteration = 0; iteration < request_.n_iter; ++iteration) {
      for (const auto& prompts : request_.batches) run_batch(prompts);
    }
  }

 private:
  Shape latent_shape(size_t pictures) const {
    const LatentSize size = latent_size(request_, model_.config());
    return {static_cast<int64_t>(pictures), size.height, size.width, model_.config().unet.in_channels};
  }

  void run_batch(const std::vector<std::string>& prompts) {
    check_cancelled(hooks_.cancel);
    if (batch_ % request_.share_of != request_.share) {
      if (!fixed_noise_) noise_.pass_over(latent_shape(prompts.size()));
      pass_over_latent(model_.noise_schedule(), latent_shape(prompts.size()), sampling_for(request_, model_.config()),
                       noise_);
      number_ += static_cast<int64_t>(prompts.size());
      ++batch_;
      return;
    }
    PromptPair text = encoder_(prompts, request_.negative_prompt, request_.scale != 1.0);
    const auto count = static_cast<int64_t>(prompts.size());
    SampleJob job{.start = {fixed_noise_ ? fixed_noise_.rows(0, count) : noise_(latent_shape(prompts.size()))},
                  .cond = std::move(text.cond),
                  .uncond = std::move(text.uncond),
                  .scale = request_.scale,
                  .options = sampling_for(request_, model_.config())};
    const auto show = [&](int done, int steps) {
      if (hooks_.on_step) hooks_.on_step({batch_, batches(), done, steps});
    };
    show(0, diffusion::make_grid(model_.noise_schedule(), job.options).steps());
    const auto on_step = [&](const diffusion::StepInfo& info) { show(info.step + 1, info.steps); };
    const Tensor latents = sample_latent(model_, job, noise_, hooks_.cancel, on_step);
    if (batch_ + request_.share_of >= batches()) io::release_mapped_pages();  // the denoiser's, for the last time
    for (int64_t i = 0; i < count; ++i) {
      check_cancelled(hooks_.cancel);
      std::vector<image::Image> images = draw(latents.rows(i, i + 1));
      io::check_mappings_intact();
      if (hooks_.on_picture) hooks_.on_picture({std::move(images.at(0)), prompts[static_cast<size_t>(i)], number_});
      ++number_;
    }
    ++batch_;
  }

  // The decoded floats are gone before the picture is handed out.
  std::vector<image::Image> draw(const Tensor& latent) const {
    const Tensor decoded = request_.tiled_decode ? model_.decode_tiled(latent) : model_.decode(latent);
    const Tensor picture = decoded.to(Device::kCpu);
    if (!is_host(decoded.device())) check_picture(picture);
    return image::to_images(picture);
  }

  int64_t batches() const { return request_.n_iter * static_cast<int64_t>(request_.batches.size()); }

  const models::StableDiffusion& model_;
  const Txt2ImgRequest& request_;
  const Txt2ImgHooks& hooks_;
  NoiseStream noise_;
  PromptEncoder encoder_;
  Tensor fixed_noise_;
  int64_t batch_ = 0;   // done so far
  int64_t number_ = 0;  // pictures returned so far
};

}  // namespace

LatentSize latent_size(const Txt2ImgRequest& request, const models::ModelConfig& config) {
  const int64_t f = config.autoencoder.downsampling();
  return {request.height / f, request.width / f};
}

void check_request_for(const Txt2ImgRequest& request, const models::ModelConfig& config) {
  const int64_t f = config.autoencoder.downsampling();
  SUMI_CHECK_KIND(kUsage, request.downsampling == 0 || request.downsampling == f,
                  "this model's latents stand for {}x{} pixels, not {}x{}", f, f, request.downsampling,
                  request.downsampling);
  SUMI_CHECK_KIND(kUsage, request.width % f == 0 && request.height % f == 0,
                  "this model draws pictures whose sides are multiples of {} pixels, not {}x{}", f, request.width,
                  request.height);
  SUMI_CHECK_KIND(kUsage, request.channels == 0 || request.channels == config.unet.in_channels,
                  "this model's latents have {} channels, not {}", config.unet.in_channels, request.channels);
  SUMI_CHECK(config.unet.in_channels == config.autoencoder.embed_dim,
             "text to image starts from noise alone, but this UNet takes {} channels and latents have {}; is it an "
             "inpainting checkpoint?",
             config.unet.in_channels, config.autoencoder.embed_dim);
  SUMI_CHECK(config.unet.context_dim > 0, "this model takes no text");
  diffusion::make_grid(
      diffusion::make_noise_schedule(config.beta_schedule, config.timesteps, config.linear_start, config.linear_end),
      sampling_for(request, config));
}

void txt2img(const models::StableDiffusion& model, const text::ClipTokenizer& tokenizer, const Txt2ImgRequest& request,
             const Txt2ImgHooks& hooks) {
  check_request(request);
  check_request_for(request, model.config());
  Txt2Img(model, tokenizer, request, hooks)();
}

}  // namespace sumi::engine
