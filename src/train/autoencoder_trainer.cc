#include "train/autoencoder_trainer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/rng.h"
#include "core/autograd.h"
#include "image/convert.h"
#include "image/grid.h"
#include "image/png.h"
#include "io/safetensors.h"
#include "models/loading/prefixes.h"
#include "models/lpips.h"
#include "ops/activation.h"
#include "ops/elementwise.h"
#include "ops/gaussian.h"
#include "ops/layout.h"
#include "ops/loss.h"
#include "train/gradient_sum.h"
#include "train/host_noise.h"
#include "train/picture_batches.h"
#include "train/structural_term.h"

namespace sumi::train {
namespace {

constexpr double kMostAdaptive = 1e4;  // upper limit of the adaptive weight
const std::string kPrefix(models::kVaePrefix);
constexpr int64_t kSheetPictures = 8;

double value_of(const Tensor& scalar) { return scalar.host<float>()[0]; }

double norm_of(const Tensor& x) {
  double sum = 0.0;
  for (const HostView<float> values(x); const float v : values) sum += static_cast<double>(v) * static_cast<double>(v);
  return std::sqrt(sum);
}

Tensor leaf(const Tensor& x) {
  Tensor out = x.detach();
  out.set_requires_grad(true);
  return out;
}

// A copy of the discriminator that shares its values and takes no gradients, for the generator's step.
models::PatchDiscriminator without_gradients(models::PatchDiscriminator& discriminator,
                                             const models::DiscriminatorConfig& config) {
  std::vector<Tensor> values;
  nn::for_each_param(discriminator, "", [&](const std::string&, nn::Param& p) { values.push_back(p.value.detach()); });
  models::PatchDiscriminator out(config);
  size_t next = 0;
  nn::for_each_param(out, "", [&](const std::string&, nn::Param& p) { p.value = values[next++]; });
  return out;
}

models::DiscriminatorConfig discriminator_config(const models::AutoencoderLossConfig& loss) {
  return {.in_channels = 3, .width = loss.disc_width, .layers = loss.disc_layers};
}

// mean(max(0, 1 ± D))
Tensor hinge(const Tensor& judged, float sign) {
  return mean(activate(affine(sign, judged, 0.0f, {}, 1.0f), Act::kRelu));
}

// The hinge loss of a discriminator that should be above 1 for pictures and below -1 for reconstructions.
double discriminator_gradients(const models::PatchDiscriminator& discriminator, const Tensor& x, const Tensor& made,
                               const BatchPart& part) {
  Tape tape;
  const Tensor loss = 0.5f * (hinge(discriminator(x), -1.0f) + hinge(discriminator(made), 1.0f));
  tape.backward(loss, part.share, part.after_judging);
  return value_of(loss);
}

}  // namespace

AutoencoderLosses autoencoder_gradients(const models::AutoencoderKL& model, models::PatchDiscriminator* discriminator,
                                        const Tensor& x, const Tensor& noise, const PerceptualTerm& perceptual,
                                        const models::AutoencoderLossConfig& loss, int64_t step,
                                        const BatchPart& part) {
  AutoencoderLosses out;
  Tape tape;
  const Tensor moments = model.encode(x);
  const Tensor features = model.features(sample_gaussian(moments, noise));
  const Tensor made = model.last_layer()(features);
  Tensor seen = leaf(made);
  Tensor gradient;  // of the loss by the reconstruction
  {
    Tape inner;
    const Tensor reconstruction = mean_absolute_error(seen, x), term = perceptual(x, seen);
    const int64_t values = x.numel() / x.dim(0);  // the loss sums over a picture
    const Tensor nll =
        static_cast<float>(values) * affine(1.0f, reconstruction, static_cast<float>(loss.perceptual_weight), term);
    inner.backward(nll);
    gradient = seen.grad();
    seen.clear_grad();
    out.reconstruction = value_of(reconstruction);
    out.perceptual = value_of(term);
    out.total = value_of(nll);
  }
  const bool judged = discriminator != nullptr && step >= loss.disc_start;
  if (judged) {
    const models::PatchDiscriminator judge = without_gradients(*discriminator, discriminator_config(loss));
    Tape inner;
    const Tensor adversarial = -1.0f * mean(judge(seen));
    inner.backward(adversarial);
    const Tensor features_seen = features.detach(), pull = seen.grad();
    const auto at_last_layer = [&](const Tensor& by_reconstruction) {
      Tensor of_weight = model.last_layer().weight_gradient(features_seen, by_reconstruction).to(Device::kCpu);
      if (part.ranks == nullptr) return norm_of(of_weight);
      const HostEdit<float> values(of_weight);
      part.ranks->sum(values.span());
      return norm_of(of_weight) / part.ranks->size();
    };
    const double of_nll = at_last_layer(gradient), of_judge = at_last_layer(pull);
    out.adversarial = value_of(adversarial);
    out.adversarial_weight = loss.disc_weight * std::clamp(of_nll / (of_judge + 1e-4), 0.0, kMostAdaptive);
    gradient = affine(1.0f, gradient, static_cast<float>(out.adversarial_weight), pull);
    out.total += out.adversarial_weight * out.adversarial;
  }
  {
    Tensor own = leaf(moments);
    Tape inner;
    const Tensor kl = kl_divergence(own);
    inner.backward(kl, static_cast<float>(loss.kl_weight) * part.share);
    add_grad(moments, own.grad());
    out.kl = value_of(kl);
    out.total += loss.kl_weight * out.kl;
  }
  tape.backward(made, gradient * part.share, part.after);
  if (judged) out.discriminator = discriminator_gradients(*discriminator, x, made.detach(), part);
  return out;
}

namespace {

PerceptualTerm perceptual_term(const AutoencoderOptions& options, Device device) {
  if (options.vgg.empty()) return structural_term;
  auto lpips =
      std::make_shared<models::Lpips>(*io::open_checkpoint(options.vgg), *io::open_checkpoint(options.lpips), device);
  return [lpips](const Tensor& x, const Tensor& y) { return (*lpips)(x, y); };
}

class AutoencoderTrainer {
 public:
  AutoencoderTrainer(models::AutoencoderKL& model, const models::AutoencoderConfig& config, Device device,
                     const AutoencoderOptions& options, const RunHooks& hooks)
      : model_(model),
        device_(device),
        options_(options),
        hooks_(with_sheets(hooks)),
        latent_{options.batch * Ranks::world().size(), side() / config.downsampling(), side() / config.downsampling(),
                config.embed_dim},
        discriminator_(discriminator_config(options.loss)),
        perceptual_(perceptual_term(options, device)),
        examples_(find_examples(options.data, &left_out_)),  // before the output folder is created
        run_(options, hooks_),
        share_(run_.ranks(), options.batch),
        batches_(examples_, {.size = options.size,
                             .crop = options.crop,
                             .flip = options.flip,
                             .share = share_,
                             .seed = options.seed,
                             .background = options.background}),
        trained_(run_.add(make_trainable(model, kPrefix), adam(), options.ema)),
        sum_(run_.ranks(), trained_.params) {
    for (const std::string& line : describe_examples(examples_, left_out_)) {
      if (hooks_.note) hooks_.note(line);
    }
    if (options.loss.disc_weight > 0.0) {
      TorchCpuGenerator generator(stream_seed(options.seed, Stream::kOrder, -1));
      models::initialise_discriminator(discriminator_, generator, device);
      judge_ = &run_.add(make_trainable(discriminator_, "discriminator."), adam());
      judge_sum_.emplace(run_.ranks(), judge_->params);
    }
    run_.restore({{"data", fingerprint(examples_, options.data)},
                  {"model configuration", fingerprint(config)},
                  {"crop", std::to_string(options.crop)},
                  {"disc_start", std::to_string(judge_ == nullptr ? -1 : options.loss.disc_start)},
                  {"disc_weight", fmt::format("{}", options.loss.disc_weight)},
                  {"kl_weight", fmt::format("{}", options.loss.kl_weight)},
                  {"perceptual_weight", fmt::format("{}", options.loss.perceptual_weight)},
                  {"perceptual_term", options.vgg.empty() ? "structural" : "LPIPS"},
                  {"beta1", fmt::format("{}", options.beta1)},
                  {"beta2", fmt::format("{}", options.beta2)},
                  {"ema", fmt::format("{}", options.ema)}});
  }

  RunResult run(const std::map<std::string, std::string>& metadata) {
    const RunResult result = run_.run(
        {.more_columns = {"reconstruction", "perceptual", "kl", "adversarial", "adversarial_weight", "discriminator"},
         .step = [this](int64_t number) { return step(number); },
         .facts =
             [this] {
               return std::map<std::string, std::string>{
                   {"perceptual term", options_.vgg.empty() ? "structural" : "LPIPS"},
                   {"trained values", std::to_string(count_values(trained_.params))}};
             },
         .skipped_pictures = [this] { return batches_.skipped(); }});
    if (!result.stopped && run_.ranks().first()) write(result.steps, metadata);
    return result;
  }

 private:
  AdamWOptions adam() const { return {.beta1 = options_.beta1, .beta2 = options_.beta2, .weight_decay = 0.0}; }

  int64_t side() const { return options_.crop > 0 ? options_.crop : options_.size; }

  RunHooks with_sheets(RunHooks hooks) {
    hooks.on_sample = [this](int64_t step) { write_sheet(step); };
    return hooks;
  }

  StepResult step(int64_t number) {
    TorchCpuGenerator generator(stream_seed(options_.seed, Stream::kStep, number));
    AutoencoderLosses sum;
    const double share = 1.0 / static_cast<double>(options_.accumulate);
    const bool judged = judge_ != nullptr && number >= options_.loss.disc_start;
    for (int64_t part = 0; part < options_.accumulate; ++part) {
      const Tensor x = batches_(number * options_.accumulate + part).to(device_);
      const Tensor noise = host_noise(generator, latent_);
      BatchPart how{.share = static_cast<float>(share / static_cast<double>(run_.ranks().size())),
                    .ranks = &run_.ranks()};
      if (part + 1 == options_.accumulate) {
        how.after = sum_.watch();
        if (judged) how.after_judging = judge_sum_->watch();
      }
      const AutoencoderLosses l = autoencoder_gradients(
          model_, judge_ == nullptr ? nullptr : &discriminator_, x,
          noise.rows(share_.begin, share_.begin + share_.count).to(device_), perceptual_, options_.loss, number, how);
      sum.total += share * l.total;
      sum.reconstruction += share * l.reconstruction;
      sum.perceptual += share * l.perceptual;
      sum.kl += share * l.kl;
      sum.adversarial += share * l.adversarial;
      sum.adversarial_weight += share * l.adversarial_weight;
      sum.discriminator += share * l.discriminator;
    }
    sum_.finish();
    if (judged) judge_sum_->finish();
    std::array<double, 7> means{sum.total,       sum.reconstruction,     sum.perceptual,   sum.kl,
                                sum.adversarial, sum.adversarial_weight, sum.discriminator};
    run_.mean_over_ranks(means);
    StepResult did{.loss = means[0],
                   .grad_norm = trained_.optimizer->grad_norm(),
                   .lr = options_.lr.at(number),
                   .more = {means.begin() + 1, means.end()}};
    const double of_judge = judge_ == nullptr ? 0.0 : judge_->optimizer->grad_norm();
    did.usable =
        std::isfinite(did.loss) && std::isfinite(did.grad_norm) && std::isfinite(of_judge) && std::isfinite(means[6]);
    if (!did.usable) return did;
    trained_.optimizer->step(did.lr, clip_scale(did.grad_norm, options_.clip));
    if (trained_.ema) trained_.ema->update();
    if (judged) judge_->optimizer->step(did.lr, clip_scale(of_judge, options_.clip));
    return did;
  }

  // The first pictures of the run above their reconstructions.
  void write_sheet(int64_t step) {
    if (!shown_) {
      const Tensor first = batches_(0);
      shown_ = first.rows(0, std::min(kSheetPictures, first.dim(0)));
    }
    const int64_t count = shown_.dim(0);
    std::vector<image::Image> pictures = image::to_images(shown_);
    for (int64_t i = 0; i < count; ++i) {
      const Tensor moments = model_.encode(shown_.rows(i, i + 1).to(device_));
      const Tensor latent = slice_channels(moments, 0, moments.dim(3) / 2);
      pictures.push_back(image::to_images(model_.decode(latent)).front());
    }
    std::error_code ignored;  // reported when the sheet is written
    std::filesystem::create_directories(options_.out / "samples", ignored);
    image::write_png(options_.out / "samples" / fmt::format("{:08}.png", step), image::make_grid(pictures, count));
  }

  void write(int64_t steps, const std::map<std::string, std::string>& metadata) const {
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const NamedTensor& value : trained_.results()) tensors.emplace_back(value.name, value.value);
    std::map<std::string, std::string> all = metadata;
    all["trained_from"] = options_.model;
    all["steps"] = std::to_string(steps);
    io::write_safetensors(options_.out / "autoencoder.safetensors", tensors, all);
  }

  models::AutoencoderKL& model_;
  Device device_;
  const AutoencoderOptions& options_;
  const RunHooks hooks_;
  Shape latent_;
  models::PatchDiscriminator discriminator_;
  PerceptualTerm perceptual_;
  LeftOut left_out_;
  std::vector<Example> examples_;
  Run run_;
  BatchShare share_;
  PictureBatches batches_;
  TrainedGroup& trained_;
  GradientSum sum_;
  TrainedGroup* judge_ = nullptr;  // null: no discriminator
  std::optional<GradientSum> judge_sum_;
  Tensor shown_;
};

}  // namespace

void check_autoencoder_options(const AutoencoderOptions& o, const models::AutoencoderConfig& config) {
  check_run_options(o, config.downsampling());
  SUMI_CHECK_KIND(kUsage, o.size > 0, "`size` must be given");
  SUMI_CHECK_KIND(kUsage, o.crop >= 0 && o.crop <= o.size && o.crop % config.downsampling() == 0,
                  "`crop` must be a multiple of {} up to `size`, {}, not {}", config.downsampling(), o.size, o.crop);
  check_range("clip", o.clip, 0, 1e9);
  check_range("ema", o.ema, 0, 1);
  check_range("beta1", o.beta1, 0, 0.999999);
  check_range("beta2", o.beta2, 0, 0.999999);
  check_range("kl_weight", o.loss.kl_weight, 0, 1e6);
  check_range("perceptual_weight", o.loss.perceptual_weight, 0, 1e6);
  check_range("disc_weight", o.loss.disc_weight, 0, 1e6);
  check_range("disc_start", static_cast<double>(o.loss.disc_start), 0, 1e12);
  check_range("disc_width", static_cast<double>(o.loss.disc_width), 1, 1024);
  check_range("disc_layers", static_cast<double>(o.loss.disc_layers), 1, 8);
  SUMI_CHECK_KIND(kUsage, o.vgg.empty() == o.lpips.empty(), "`vgg` and `lpips` must be given together");
  // The discriminator's last two layers shrink the picture by a pixel each.
  const int64_t side = o.crop > 0 ? o.crop : o.size, least = int64_t{1} << (o.loss.disc_layers + 2);
  SUMI_CHECK_KIND(kUsage, o.loss.disc_weight == 0.0 || side >= least,
                  "pictures of {} pixels a side are too small for the discriminator, which needs {}; `disc_layers` "
                  "makes it shallower, `disc_weight` 0 leaves it out",
                  side, least);
  SUMI_CHECK_KIND(kUsage, o.vgg.empty() || side >= 32, "LPIPS needs pictures of 32 pixels a side, not {}", side);
}

RunPlan plan_autoencoder(models::AutoencoderKL& model, const models::AutoencoderConfig& config, Device device,
                         const AutoencoderOptions& options) {
  TorchCpuGenerator generator(options.seed);
  const std::vector<NamedTensor> params = make_trainable(model, kPrefix);
  const AdamW optimizer(params);
  models::PatchDiscriminator discriminator(discriminator_config(options.loss));
  std::vector<NamedTensor> judge;
  const bool judged = options.loss.disc_weight > 0.0 && options.loss.disc_start < options.lr.steps;
  if (judged) {
    models::initialise_discriminator(discriminator, generator, device);
    judge = make_trainable(discriminator, "discriminator.");
  }
  const AdamW of_judge(judge);
  std::optional<Ema> ema;
  if (options.ema > 0.0) ema.emplace(params, options.ema);
  const int64_t side = options.crop > 0 ? options.crop : options.size, latent = side / config.downsampling();
  std::vector<float> values(static_cast<size_t>(options.batch * side * side * config.in_channels));
  generator.rand(values);
  const Tensor x = Tensor::from(values, {options.batch, side, side, config.in_channels}, device),
               noise = host_noise(generator, {options.batch, latent, latent, config.embed_dim}).to(device);
  RunPlan plan{.trained_values = count_values(params)};
  const PerceptualTerm perceptual = perceptual_term(options, device);
  measure(plan, [&] {
    for (int64_t part = 0; part < options.accumulate; ++part)
      autoencoder_gradients(model, judged ? &discriminator : nullptr, x, noise, perceptual, options.loss,
                            options.loss.disc_start);
  });
  return plan;
}

RunResult train_autoencoder(models::AutoencoderKL& model, const models::AutoencoderConfig& config, Device device,
                            const AutoencoderOptions& options, const RunHooks& hooks,
                            const std::map<std::string, std::string>& metadata) {
  check_autoencoder_options(options, config);
  return AutoencoderTrainer(model, config, device, options, hooks).run(metadata);
}

}  // namespace sumi::train
