#include "train/ldm_trainer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "base/fnv1a.h"
#include "base/rng.h"
#include "core/autograd.h"
#include "io/safetensors.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/loading/prefixes.h"
#include "models/lora.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/gaussian.h"
#include "ops/layout.h"
#include "train/gradient_sum.h"
#include "train/host_noise.h"
#include "train/latent_cache.h"
#include "train/ldm_setup.h"

namespace sumi::train {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kLatentsForScale = 256;            // for the scale factor
constexpr int64_t kContextBytes = int64_t{1} << 30;  // of encoded captions kept

class LdmTrainer {
 public:
  LdmTrainer(models::StableDiffusion& model, const io::Checkpoint& checkpoint, const text::ClipTokenizer& tokenizer,
             const LdmOptions& options, const std::vector<Example>& examples, const RunHooks& hooks)
      : model_(model),
        checkpoint_(checkpoint),
        tokenizer_(tokenizer),
        options_(options),
        hooks_(hooks),
        run_(options, hooks),
        trained_(run_.add(begin_training(model, options, adapters_),
                          {.beta2 = options.beta2, .weight_decay = options.weight_decay}, options.ema)),
        sum_(run_.ranks(), trained_.params),
        share_(run_.ranks(), options.batch) {
    Fnv1a of_vocabulary;
    of_vocabulary.add(tokenizer.text().vocabulary);
    of_vocabulary.add(tokenizer.text().merges);
    run_.restore({{"data", fingerprint(examples, options.data)},
                  {"model configuration", fingerprint(model.config())},
                  {"vocabulary", of_vocabulary.hex()},
                  {"weights that are not trained", hash_of_frozen()},
                  {"crops", std::to_string(options.crops)},
                  {"lora_rank", std::to_string(options.lora_rank)},
                  {"lora_alpha", fmt::format("{}", options.lora_rank > 0 ? lora_alpha(options) : 0.0)},
                  {"train_text", std::to_string(static_cast<int>(options.train_text))},
                  {"from_scratch", std::to_string(static_cast<int>(options.from_scratch))},
                  {"caption_dropout", fmt::format("{}", options.caption_dropout)},
                  {"min_snr", fmt::format("{}", options.min_snr_gamma)},
                  {"timestep_shift", fmt::format("{}", options.timestep_shift)},
                  {"beta2", fmt::format("{}", options.beta2)},
                  {"ema", fmt::format("{}", options.ema)},
                  {"exact", std::to_string(static_cast<int>(options.exact))},
                  {"word", options.embedding.word},
                  {"vectors", std::to_string(embeds() ? options.embedding.vectors.dim(0) : 0)}});
  }

  // `captions`: of the examples, as they are trained.
  RunResult run(const std::vector<Example>& examples, std::vector<std::string> captions) {
    const ConvAlgorithmScope convolutions(options_.exact ? ConvAlgorithm::kDirect : ConvAlgorithm::kAuto);
    const nn::AdaptersScope adapted(&adapters_);  // samples are drawn in it too
    captions_ = std::move(captions);
    if (!run_.ranks().first()) run_.ranks().wait_for_all();  // until the first rank has written the cache
    latents_ = std::make_unique<LatentCache>(options_.out / "latents.safetensors", examples, model_,
                                             LatentCacheOptions{.size = picture_size(options_, model_.config()),
                                                                .flip = options_.flip,
                                                                .crops = options_.crops,
                                                                .seed = options_.seed,
                                                                .background = options_.background,
                                                                .cancel = hooks_.cancel,
                                                                .on_picture = hooks_.on_latent});
    if (run_.ranks().first()) run_.ranks().wait_for_all();
    if (model_.config().scale_by_std) {
      const double deviation = latents_->deviation(kLatentsForScale);
      model_.set_scale_factor(1.0 / deviation);
      if (hooks_.note)
        hooks_.note(
            fmt::format("scale factor {:.5f}: the latents' standard deviation is {:.5f}", 1.0 / deviation, deviation));
    }
    order_.emplace(static_cast<int64_t>(latents_->usable().size()), options_.seed);
    const RunResult result = run_.run({.more_columns = {},
                                       .step = [this](int64_t number) { return step(number); },
                                       .facts =
                                           [this] {
                                             return std::map<std::string, std::string>{
                                                 {"pictures", std::to_string(latents_->usable().size())},
                                                 {"trained values", std::to_string(count_values(trained_.params))}};
                                           },
                                       .skipped_pictures = [this] { return latents_->skipped(); }});
    if (!result.stopped && run_.ranks().first())
      embeds()                 ? write_embedding(result.steps)
      : options_.lora_rank > 0 ? write_lora(result.steps)
                               : write_model(result.steps);
    return result;
  }

 private:
  bool embeds() const { return !options_.embedding.word.empty(); }

  // A hash of the weights that are not trained, as rounded to their type.
  std::string hash_of_frozen() const {
    Fnv1a hash;
    add_frozen_values(hash, model_.denoiser());
    add_frozen_values(hash, model_.autoencoder_kl());
    if (model_.config().unet.context_dim > 0) add_frozen_values(hash, model_.text_encoder());
    return hash.hex();
  }

  Tensor encode(const std::vector<std::string>& captions) const {
    const int64_t length = model_.config().text.max_positions;
    std::vector<int64_t> ids;
    for (const std::string& caption : captions) {
      const std::vector<int64_t> more = tokenizer_.encode_padded(caption, length);
      ids.insert(ids.end(), more.begin(), more.end());
    }
    models::TextQuery query;
    if (embeds()) query.added = {options_.embedding.vectors};
    return model_.encode_text(Tensor::from(ids, {static_cast<int64_t>(captions.size()), length}), query).hidden;
  }

  Tensor contexts_of(const std::vector<std::string>& captions) {
    if (options_.train_text || embeds()) return encode(captions);
    std::vector<Tensor> contexts;
    contexts.reserve(captions.size());
    for (const std::string& caption : captions) contexts.push_back(context_of(caption));
    return concat_rows(contexts);
  }

  // For a frozen encoder: each caption is encoded once and kept, up to kContextBytes.
  Tensor context_of(const std::string& caption) {
    const auto known = contexts_.find(caption);
    if (known != contexts_.end()) return known->second;
    Tensor context = encode({caption});
    if (context_bytes_ + context.bytes() <= kContextBytes) {
      context_bytes_ += context.bytes();
      contexts_.emplace(caption, context);
    }
    return context;
  }

  // This rank's share of the run's batch `number`.
  DiffusionBatch batch(TorchCpuGenerator& generator, int64_t number) {
    std::vector<int64_t> timesteps(static_cast<size_t>(share_.all));
    generator.randint(0, model_.noise_schedule().timesteps(), timesteps);
    timesteps = shift_timesteps(std::move(timesteps), model_.noise_schedule().timesteps(), options_.timestep_shift);
    std::vector<float> chances(static_cast<size_t>(3 * share_.all));
    generator.rand(chances);
    DiffusionBatch out;
    std::vector<Tensor> latents;
    std::vector<std::string> captions;
    for (int64_t i = 0; i < share_.all; ++i) {
      const Tensor noise = host_noise(generator, latent_shape(1));
      if (i < share_.begin || i >= share_.begin + share_.count) continue;
      const int64_t index = latents_->usable()[static_cast<size_t>((*order_)(number * share_.all + i))];
      const bool mirrored = options_.flip && chances[static_cast<size_t>(3 * i)] < 0.5f;
      const bool dropped = chances[static_cast<size_t>(3 * i + 1)] < static_cast<float>(options_.caption_dropout);
      const Tensor moments = latents_->moments(index, mirrored, chances[static_cast<size_t>(3 * i + 2)]);
      latents.push_back(sample_gaussian(moments, noise) * static_cast<float>(model_.config().autoencoder.scale_factor));
      captions.push_back(dropped ? "" : captions_[static_cast<size_t>(index)]);
      out.timesteps.push_back(timesteps[static_cast<size_t>(i)]);
    }
    out.z = concat_rows(latents).to(model_.device());
    const Tensor noise = host_noise(generator, latent_shape(share_.all));
    out.noise = noise.rows(share_.begin, share_.begin + share_.count).to(model_.device());
    if (model_.config().unet.context_dim > 0) out.context = contexts_of(captions);
    return out;
  }

  Shape latent_shape(int64_t pictures) const {
    const Tensor moments = latents_->moments(latents_->usable()[0], false);
    return {pictures, moments.dim(1), moments.dim(2), moments.dim(3) / 2};
  }

  StepResult step(int64_t number) {
    TorchCpuGenerator generator(stream_seed(options_.seed, Stream::kStep, number));
    StepResult did{.lr = options_.lr.at(number)};
    for (int64_t part = 0; part < options_.accumulate; ++part) {
      Tape tape;
      const Tensor value = diffusion_loss(
          model_.denoiser(), model_.noise_schedule(), batch(generator, number * options_.accumulate + part),
          {.prediction = model_.config().prediction, .min_snr_gamma = options_.min_snr_gamma});
      did.loss += value.host<float>()[0] / static_cast<double>(options_.accumulate);
      const bool last = part + 1 == options_.accumulate;
      tape.backward(value, 1.0f / static_cast<float>(options_.accumulate * run_.ranks().size()),
                    last ? sum_.watch() : Tape::AfterRecord());
    }
    sum_.finish();
    run_.mean_over_ranks(std::span(&did.loss, 1));
    did.grad_norm = trained_.optimizer->grad_norm();
    did.usable = std::isfinite(did.loss) && std::isfinite(did.grad_norm);
    if (!did.usable) return did;
    trained_.optimizer->step(did.lr, clip_scale(did.grad_norm, options_.clip));
    if (trained_.ema) trained_.ema->update();
    return did;
  }

  // Tensors of the starting model that are not written to the trained one.
  bool is_replaced(const std::string& name) const {
    return name.starts_with("model_ema.") || (options_.from_scratch && name.starts_with(models::kUNetPrefix)) ||
           (options_.from_scratch && options_.train_text && name.starts_with(models::kConditionerPrefix));
  }

  void write_model(int64_t steps) {
    std::map<std::string, Tensor> trained;
    for (const NamedTensor& value : trained_.results()) trained.emplace(value.name, value.value);
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const io::TensorInfo& info : checkpoint_.tensors()) {
      if (is_replaced(info.name)) continue;
      const auto found = trained.find(info.name);
      Tensor value = found != trained.end() ? found->second : checkpoint_.tensor(info.name);
      if (is_quantized(value.dtype()))
        value = cast(cast(value, DType::kF32), DType::kF16);  // safetensors has no blocks
      tensors.emplace_back(info.name, std::move(value));
      if (found != trained.end()) trained.erase(found);
    }
    for (const auto& [name, value] : trained) tensors.emplace_back(name, value);
    io::write_safetensors(options_.out / "model.safetensors", tensors, metadata(steps));
  }

  // The file carries the configuration, and the vocabulary if the text encoder was trained on its own.
  std::map<std::string, std::string> metadata(int64_t steps) const {
    models::ModelConfig config = model_.config();
    config.scale_by_std = false;
    std::map<std::string, std::string> out{{models::kConfigKey, models::config_to_yaml(config)},
                                           {"trained_from", options_.model},
                                           {"steps", std::to_string(steps)}};
    if ((options_.from_scratch && options_.train_text) || checkpoint_.metadata().contains(models::kVocabularyKey)) {
      out[models::kVocabularyKey] = tokenizer_.text().vocabulary;
      out[models::kMergesKey] = tokenizer_.text().merges;
      if (!tokenizer_.text().added.empty()) out[models::kAddedTokensKey] = tokenizer_.text().added;
    }
    return out;
  }

  // Other tools expect the change of a 1x1 convolution as two 1x1 convolutions, [r,in,1,1] and [out,r,1,1].
  Tensor as_stored(const NamedTensor& change) const {
    const io::TensorInfo* weight = checkpoint_.find(change.name.substr(0, change.name.rfind('.')));
    if (weight == nullptr || weight->shape.rank() != 4) return change.value;
    return change.value.reshape({change.value.dim(0), change.value.dim(1), 1, 1});
  }

  void write_lora(int64_t steps) {
    const models::LoraNames names(model_.denoiser());
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const NamedTensor& value : trained_.results()) {
      const size_t dot = value.name.rfind('.');
      const std::string module = names(value.name.substr(0, dot));
      tensors.emplace_back(module + value.name.substr(dot) + ".weight", as_stored(value));
      if (value.name.ends_with(".lora_up"))
        tensors.emplace_back(module + ".alpha", Tensor::full({}, static_cast<float>(lora_alpha(options_))));
    }
    io::write_safetensors(options_.out / "lora.safetensors", tensors,
                          {{"ss_network_dim", std::to_string(options_.lora_rank)},
                           {"ss_network_alpha", fmt::format("{}", lora_alpha(options_))},
                           {"ss_network_module", "networks.lora"},
                           {"trained_from", options_.model},
                           {"steps", std::to_string(steps)}});
  }

  void write_embedding(int64_t steps) {
    io::write_safetensors(
        options_.out / (options_.embedding.word + ".safetensors"), {{"emb_params", trained_.results().front().value}},
        {{"name", options_.embedding.word}, {"trained_from", options_.model}, {"steps", std::to_string(steps)}});
  }

  models::StableDiffusion& model_;
  const io::Checkpoint& checkpoint_;
  text::ClipTokenizer tokenizer_;
  const LdmOptions& options_;
  const RunHooks& hooks_;
  nn::Adapters adapters_;
  Run run_;
  TrainedGroup& trained_;
  GradientSum sum_;
  BatchShare share_;
  std::unique_ptr<LatentCache> latents_;
  std::vector<std::string> captions_;
  std::map<std::string, Tensor> contexts_;
  int64_t context_bytes_ = 0;
  std::optional<ExampleOrder> order_;
};

}  // namespace

int64_t picture_size(const LdmOptions& options, const models::ModelConfig& config) {
  return options.size > 0 ? options.size : config.default_size;
}

void check_ldm_options(const LdmOptions& o, const models::ModelConfig& config) {
  check_run_options(o, config.autoencoder.downsampling() << (config.unet.channel_mult.size() - 1));
  check_range("lora", static_cast<double>(o.lora_rank), 0, 4096);
  check_range("lora_alpha", o.lora_alpha, 0, 1e6);
  const bool embeds = !o.embedding.word.empty();
  SUMI_CHECK_KIND(kUsage, !embeds || (o.lora_rank == 0 && !o.from_scratch && !o.train_text),
                  "an embedding is trained alone, without `lora`, `from_scratch` and `train_text`");
  SUMI_CHECK_KIND(kUsage, !embeds || o.caption_dropout == 0.0, "an embedding learns nothing from empty captions");
  SUMI_CHECK_KIND(kUsage, !embeds || config.unet.context_dim > 0, "this model reads no text");
  SUMI_CHECK_KIND(kUsage, o.lora_rank == 0 || !o.from_scratch, "`lora` and `from_scratch` exclude one another");
  check_range("clip", o.clip, 0, 1e9);
  check_range("weight_decay", o.weight_decay, 0, 1);
  check_range("text_lr_scale", o.text_lr_scale, 0, 1000);
  SUMI_CHECK_KIND(kUsage, o.text_lr_scale == 1.0 || o.train_text, "`text_lr_scale` needs `train_text`");
  check_range("beta2", o.beta2, 0, 0.999999);
  check_range("ema", o.ema, 0, 1);
  check_range("crops", static_cast<double>(o.crops), 0, 1000);
  check_range("caption_dropout", o.caption_dropout, 0, 1);
  check_range("min_snr", o.min_snr_gamma, 0, 1e6);
  check_range("timestep_shift", o.timestep_shift, 0.01, 100);
  SUMI_CHECK_KIND(kUsage, o.lora_alpha == 0.0 || o.lora_rank > 0, "`lora_alpha` needs `lora`");
  SUMI_CHECK(config.unet.in_channels == config.autoencoder.embed_dim,
             "this UNet takes {} channels, but latents have {}; inpainting models cannot be trained",
             config.unet.in_channels, config.autoencoder.embed_dim);
}

RunResult train_ldm(models::StableDiffusion& model, const io::Checkpoint& checkpoint,
                    const text::ClipTokenizer& own_tokenizer, const LdmOptions& options, const RunHooks& hooks) {
  check_ldm_options(options, model.config());
  model.autoencoder_kl();  // throws for another kind
  LeftOut left_out;
  const std::vector<Example> examples = find_examples(options.data, &left_out);  // before the output folder is created
  const bool reads = model.config().unet.context_dim > 0 && options.caption_dropout < 1.0;
  const bool embeds = !options.embedding.word.empty();
  if (reads && !embeds) check_captions(examples, options.data);
  const text::ClipTokenizer tokenizer =
      embeds ? with_embedding(own_tokenizer, options.embedding, model.config()) : own_tokenizer;
  std::vector<std::string> captions;
  captions.reserve(examples.size());
  for (const Example& example : examples)
    captions.push_back(embeds ? caption_with_word(tokenizer, options.embedding, model.config(), example.caption)
                              : example.caption);
  if (hooks.note) {
    const int64_t most = model.config().text.max_positions - 2;  // without the two marks
    std::optional<int64_t> cut;
    if (reads)
      cut = std::count_if(captions.begin(), captions.end(), [&](const std::string& caption) {
        return static_cast<int64_t>(tokenizer.encode(caption).size()) > most;
      });
    for (const std::string& line : describe_examples(examples, left_out, cut)) hooks.note(line);
  }
  return LdmTrainer(model, checkpoint, tokenizer, options, examples, hooks).run(examples, std::move(captions));
}

}  // namespace sumi::train
