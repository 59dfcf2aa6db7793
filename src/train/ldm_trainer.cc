#include "train/ldm_trainer.h"

#include <chrono>
#include <cmath>
#include <map>
#include <memory>

#include "base/rng.h"
#include "core/autograd.h"
#include "io/safetensors.h"
#include "models/lora.h"
#include "ops/elementwise.h"
#include "ops/gaussian.h"
#include "ops/layout.h"
#include "train/latent_cache.h"
#include "train/ldm_setup.h"
#include "train/report.h"
#include "train/run_folder.h"

namespace sumi::train {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostSkipped = 20;                 // losses in a row that are no numbers
constexpr int64_t kContextBytes = int64_t{1} << 30;  // of encoded captions kept

// One stream of random numbers for each step, and one for each pass over the data: nothing has to be saved of them.
uint64_t stream_seed(uint64_t seed, uint64_t purpose, int64_t number) {
  uint64_t x = seed + 0x9E3779B97F4A7C15ull * (2 * static_cast<uint64_t>(number) + purpose + 1);  // splitmix64
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

class Trainer {
 public:
  Trainer(models::StableDiffusion& model, const io::Checkpoint& checkpoint, Device device,
          const text::ClipTokenizer& tokenizer, const LdmOptions& options, const LdmHooks& hooks)
      : model_(model),
        checkpoint_(checkpoint),
        device_(device),
        tokenizer_(tokenizer),
        options_(options),
        hooks_(hooks),
        folder_(options.out) {
    const std::vector<int64_t> there = folder_.checkpoints();
    SUMI_CHECK_KIND(kUsage, there.empty() || options.resume,
                    "{} holds a run already; go on with it with --resume, or choose another --out",
                    options.out.string());
    params_ = begin_training(model, options, device);
    optimizer_ = std::make_unique<AdamW>(params_, AdamWOptions{.weight_decay = options.weight_decay});
    if (options.ema > 0.0) ema_ = std::make_unique<Ema>(params_, options.ema);
    if (!there.empty()) go_on(there.back());
  }

  LdmResult run(const std::vector<Example>& examples) {
    captions_.reserve(examples.size());
    for (const Example& example : examples) captions_.push_back(example.caption);
    latents_ = std::make_unique<LatentCache>(options_.out / "latents.safetensors", examples, model_, device_,
                                             LatentCacheOptions{.size = picture_size(options_, model_.config()),
                                                                .flip = options_.flip,
                                                                .model = options_.model,
                                                                .cancel = hooks_.cancel,
                                                                .on_picture = hooks_.on_latent});
    result_.skipped_pictures = latents_->skipped();
    folder_.begin_metrics("step,loss,grad_norm,lr,seconds", step_);
    while (step_ < options_.lr.steps) {
      if (hooks_.cancel != nullptr && hooks_.cancel->load()) {
        save();
        result_.stopped = true;
        break;
      }
      step();
      const bool last = step_ == options_.lr.steps;
      if (step_ % options_.save_every == 0 || last) save();
      if (hooks_.on_sample && (step_ % options_.sample_every == 0 || last)) sample();
    }
    result_.steps = step_;
    write_report(options_.out, facts());
    if (!result_.stopped) options_.lora_rank > 0 ? write_lora() : write_model();
    return result_;
  }

 private:
  // What must be the same for the bytes to be the same.
  std::map<std::string, std::string> notes() const {
    return {{"batch", std::to_string(options_.batch)},
            {"accumulate", std::to_string(options_.accumulate)},
            {"seed", std::to_string(options_.seed)},
            {"model", options_.model},
            {"size", std::to_string(options_.size)},
            {"lora_rank", std::to_string(options_.lora_rank)},
            {"skipped_steps", std::to_string(result_.skipped_steps)}};
  }

  std::map<std::string, std::string> facts() const {
    return {{"from", options_.model},
            {"pictures", std::to_string(latents_->usable().size())},
            {"steps", fmt::format("{} of {}", step_, options_.lr.steps)},
            {"batch", fmt::format("{} × {}", options_.batch, options_.accumulate)},
            {"learning rate", fmt::format("{:g}, {}", options_.lr.peak, options_.lr.shape)},
            {"trained values", std::to_string(count_values(params_))},
            {"seed", std::to_string(options_.seed)},
            {"skipped steps", std::to_string(result_.skipped_steps)},
            {"skipped pictures", std::to_string(result_.skipped_pictures)}};
  }

  void go_on(int64_t step) {
    std::map<std::string, std::string> kept = folder_.restore(step, params_, *optimizer_, ema_.get());
    for (const auto& [key, value] : notes()) {
      if (key == "skipped_steps") continue;
      SUMI_CHECK_KIND(kUsage, kept[key] == value, "this run had {} {}, not {}; a run goes on as it began", key,
                      kept[key], value);
    }
    result_.skipped_steps = std::stoll(kept["skipped_steps"]);
    step_ = step;
    if (hooks_.note) hooks_.note(fmt::format("going on after step {}", step));
  }

  void save() {
    if (saved_ == step_) return;
    folder_.save(step_, params_, *optimizer_, ema_.get(), notes());
    saved_ = step_;
  }

  // The number-th picture of the run: every pass over the data has an order of its own.
  int64_t example(int64_t number) {
    const auto count = static_cast<int64_t>(latents_->usable().size());
    const int64_t pass = number / count;
    if (pass != pass_ || order_.empty()) {
      TorchCpuGenerator generator(stream_seed(options_.seed, 1, pass));
      order_ = generator.randperm(count);
      pass_ = pass;
    }
    return latents_->usable()[static_cast<size_t>(order_[static_cast<size_t>(number % count)])];
  }

  Tensor encode(const std::string& caption) const {
    const int64_t length = model_.config().text.max_positions;
    const std::vector<int64_t> ids = tokenizer_.encode_padded(caption, length);
    return model_.encode_text(Tensor::from(ids, {1, length}).to(device_));
  }

  // The encoder does not change: captions are encoded once, as long as there is room.
  Tensor context_of(const std::string& caption) {
    if (options_.train_text) return encode(caption);
    const auto known = contexts_.find(caption);
    if (known != contexts_.end()) return known->second;
    Tensor context = encode(caption);
    if (context_bytes_ + context.bytes() <= kContextBytes) {
      context_bytes_ += context.bytes();
      contexts_.emplace(caption, context);
    }
    return context;
  }

  DiffusionBatch batch(TorchCpuGenerator& generator, int64_t part) {
    const int64_t n = options_.batch;
    DiffusionBatch out;
    out.timesteps.resize(static_cast<size_t>(n));
    generator.randint(0, model_.noise_schedule().timesteps(), out.timesteps);
    std::vector<float> chances(static_cast<size_t>(2 * n));
    generator.rand(chances);
    std::vector<Tensor> latents, contexts;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t index = example((step_ * options_.accumulate + part) * n + i);
      const bool mirrored = options_.flip && chances[static_cast<size_t>(2 * i)] < 0.5f;
      const bool dropped = chances[static_cast<size_t>(2 * i + 1)] < static_cast<float>(options_.caption_dropout);
      const Tensor moments = latents_->moments(index, mirrored);
      Tensor noise = Tensor::empty({1, moments.dim(1), moments.dim(2), moments.dim(3) / 2});
      generator.randn(noise.span<float>());
      latents.push_back(sample_gaussian(moments, noise) * static_cast<float>(model_.config().autoencoder.scale_factor));
      contexts.push_back(context_of(dropped ? "" : captions_[static_cast<size_t>(index)]));
    }
    out.z = concat_rows(latents).to(device_);
    out.noise = Tensor::empty(out.z.shape());
    generator.randn(out.noise.span<float>());
    out.noise = out.noise.to(device_);
    if (model_.config().unet.context_dim > 0) out.context = concat_rows(contexts);
    return out;
  }

  void step() {
    const auto begin = std::chrono::steady_clock::now();
    TorchCpuGenerator generator(stream_seed(options_.seed, 0, step_));
    double loss = 0.0;
    for (int64_t part = 0; part < options_.accumulate; ++part) {
      Tape tape;
      const Tensor value =
          diffusion_loss(model_.unet(), model_.noise_schedule(), batch(generator, part),
                         {.prediction = model_.config().prediction, .min_snr_gamma = options_.min_snr_gamma});
      loss += value.data<float>()[0] / static_cast<double>(options_.accumulate);
      tape.backward(value, 1.0f / static_cast<float>(options_.accumulate));
    }
    const double norm = optimizer_->grad_norm(), lr = options_.lr.at(step_);
    const bool usable = std::isfinite(loss) && std::isfinite(norm);
    if (usable) {
      optimizer_->step(lr, options_.clip > 0.0 && norm > options_.clip ? options_.clip / norm : 1.0);
      if (ema_) ema_->update();
      in_a_row_ = 0;
    } else {
      for (NamedTensor& param : params_) param.value.clear_grad();
      ++result_.skipped_steps;
      SUMI_CHECK_KIND(
          kInternal, ++in_a_row_ < kMostSkipped,
          "the loss has not been a number for {} steps; nothing of them is saved. A smaller --lr, or --clip, "
          "may help",
          kMostSkipped);
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    folder_.add_metrics(fmt::format("{},{:.9g},{:.9g},{:.9g},{:.3f}", step_, loss, norm, lr, seconds));
    ++step_;
    result_.last_loss = loss;
    if (hooks_.on_step) hooks_.on_step({step_, options_.lr.steps, loss, norm, lr, seconds, !usable});
  }

  void write_model() {
    std::map<std::string, Tensor> trained;
    const std::vector<NamedTensor>& values = ema_ ? ema_->averages() : params_;
    for (const NamedTensor& value : values) trained.emplace(value.name, value.value);
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const io::TensorInfo& info : checkpoint_.tensors()) {
      if (info.name.starts_with("model_ema.")) continue;  // of the model that training began with
      const auto found = trained.find(info.name);
      tensors.emplace_back(info.name, found != trained.end() ? found->second : checkpoint_.tensor(info.name));
      if (found != trained.end()) trained.erase(found);
    }
    for (const auto& [name, value] : trained) tensors.emplace_back(name, value);
    io::write_safetensors(options_.out / "model.safetensors", tensors,
                          {{"trained_from", options_.model}, {"steps", std::to_string(step_)}});
  }

  void sample() {
    const NoGrad off;
    if (ema_) ema_->swap();
    hooks_.on_sample(step_);
    if (ema_) ema_->swap();
  }

  void write_lora() {
    const models::LoraNames names(model_.unet());
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const NamedTensor& value : ema_ ? ema_->averages() : params_) {
      const size_t dot = value.name.rfind('.');
      const std::string module = names(value.name.substr(0, dot));
      tensors.emplace_back(module + value.name.substr(dot) + ".weight", value.value);
      if (value.name.ends_with(".lora_up"))
        tensors.emplace_back(module + ".alpha", Tensor::full({}, static_cast<float>(lora_alpha(options_))));
    }
    io::write_safetensors(options_.out / "lora.safetensors", tensors,
                          {{"ss_network_dim", std::to_string(options_.lora_rank)},
                           {"ss_network_alpha", fmt::format("{}", lora_alpha(options_))},
                           {"ss_network_module", "networks.lora"},
                           {"trained_from", options_.model},
                           {"steps", std::to_string(step_)}});
  }

  models::StableDiffusion& model_;
  const io::Checkpoint& checkpoint_;
  Device device_;
  const text::ClipTokenizer& tokenizer_;
  const LdmOptions& options_;
  const LdmHooks& hooks_;
  RunFolder folder_;
  std::vector<NamedTensor> params_;
  std::unique_ptr<AdamW> optimizer_;
  std::unique_ptr<Ema> ema_;
  std::unique_ptr<LatentCache> latents_;
  std::vector<std::string> captions_;
  std::map<std::string, Tensor> contexts_;
  int64_t context_bytes_ = 0;
  std::vector<int64_t> order_;  // of the examples, in pass `pass_`
  int64_t pass_ = -1, step_ = 0, saved_ = -1, in_a_row_ = 0;
  LdmResult result_;
};

void check_range(const char* name, double value, double least, double most) {
  SUMI_CHECK_KIND(kUsage, std::isfinite(value) && value >= least && value <= most, "{} must be from {} to {}, not {}",
                  name, least, most, value);
}

}  // namespace

int64_t picture_size(const LdmOptions& options, const models::ModelConfig& config) {
  return options.size > 0 ? options.size : config.default_size;
}

void check_ldm_options(const LdmOptions& o, const models::ModelConfig& config) {
  o.lr.check();
  const int64_t f = config.autoencoder.downsampling() << (config.unet.channel_mult.size() - 1);
  check_range("--steps", static_cast<double>(o.lr.steps), 1, 1e9);
  check_range("--batch", static_cast<double>(o.batch), 1, 4096);
  check_range("--accumulate", static_cast<double>(o.accumulate), 1, 4096);
  check_range("--save-every", static_cast<double>(o.save_every), 1, 1e9);
  check_range("--sample-every", static_cast<double>(o.sample_every), 1, 1e9);
  check_range("--lora", static_cast<double>(o.lora_rank), 0, 4096);
  check_range("--lora-alpha", o.lora_alpha, 0, 1e6);
  SUMI_CHECK_KIND(kUsage, o.lora_rank == 0 || !o.from_scratch, "--lora and --from-scratch exclude one another");
  check_range("--clip", o.clip, 0, 1e9);
  check_range("--weight-decay", o.weight_decay, 0, 1);
  check_range("--ema", o.ema, 0, 1);
  check_range("--caption-dropout", o.caption_dropout, 0, 1);
  check_range("--min-snr", o.min_snr_gamma, 0, 1e6);
  SUMI_CHECK_KIND(kUsage, o.size == 0 || (o.size > 0 && o.size <= 4096 && o.size % f == 0),
                  "--size must be a multiple of {} up to 4096, not {}", f, o.size);
}

LdmResult train_ldm(models::StableDiffusion& model, const io::Checkpoint& checkpoint, Device device,
                    const text::ClipTokenizer& tokenizer, const LdmOptions& options, const LdmHooks& hooks) {
  check_ldm_options(options, model.config());
  const std::vector<Example> examples = find_examples(options.data);  // before a folder is made
  return Trainer(model, checkpoint, device, tokenizer, options, hooks).run(examples);
}

}  // namespace sumi::train
