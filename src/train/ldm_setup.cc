#include "train/ldm_setup.h"

#include <algorithm>

#include "base/rng.h"
#include "core/autograd.h"
#include "models/family.h"
#include "models/init.h"
#include "models/lora.h"
#include "train/adamw.h"
#include "train/host_noise.h"

namespace sumi::train {
double lora_alpha(const LdmOptions& options) {
  return options.lora_alpha > 0.0 ? options.lora_alpha : static_cast<double>(options.lora_rank);
}

std::vector<NamedTensor> begin_training(models::StableDiffusion& model, const LdmOptions& options,
                                        nn::Adapters& adapters) {
  const Device device = model.device();
  TorchCpuGenerator generator(options.seed);
  std::vector<NamedTensor> params;
  if (!options.embedding.word.empty()) {
    adapters.finish();
    model.denoiser().set_checkpointing(options.checkpoint_activations);
    return {{.name = "emb_params", .value = options.embedding.vectors}};
  }
  const models::Recipe recipe = models::family_for(model.config()).recipe;
  SUMI_CHECK_KIND(kUnavailable, recipe.text_encoders.size() == 1, "a model of {} text encoders cannot be trained yet",
                  recipe.text_encoders.size());
  struct Part {
    nn::Module& module;
    std::string_view prefix;
    double lr_scale;
  };
  std::vector<Part> parts{{model.denoiser(), recipe.denoiser.prefix, 1.0}};
  if (options.from_scratch) models::initialise_unet(model.denoiser(), generator, device);
  if (options.train_text) {
    if (options.from_scratch) models::initialise_text_encoder(model.text_encoder(), generator, device);
    parts.push_back({model.text_encoder(), recipe.text_encoders.front().prefix, options.text_lr_scale});
  }
  const bool is_lora = options.lora_rank > 0;
  for (const Part& part : parts) {
    if (is_lora) models::begin_lora(part.module, options.lora_rank, lora_alpha(options), generator, device, adapters);
  }
  adapters.finish();
  for (const Part& part : parts) {
    const std::string prefix(part.prefix);
    for (NamedTensor& param :
         is_lora ? low_rank_parameters(adapters, part.module, prefix) : make_trainable(part.module, prefix)) {
      param.lr_scale = part.lr_scale;
      params.push_back(std::move(param));
    }
  }
  model.denoiser().set_checkpointing(options.checkpoint_activations);
  return params;
}

int64_t state_bytes(const models::StableDiffusion& model, const LdmOptions& options) {
  if (options.lora_rank > 0 || !options.embedding.word.empty()) return 0;
  int64_t values = 0;
  const auto count = [&](const std::string&, nn::Param& param) { values += param.shape.numel(); };
  nn::for_each_param(model.denoiser(), "", count);
  if (options.train_text) nn::for_each_param(model.text_encoder(), "", count);
  return values * (options.ema > 0.0 ? 5 : 4) * static_cast<int64_t>(sizeof(float));
}

RunPlan plan_ldm(models::StableDiffusion& model, const LdmOptions& options) {
  const models::ModelConfig& config = model.config();
  nn::Adapters adapters;
  const std::vector<NamedTensor> params = begin_training(model, options, adapters);
  const nn::AdaptersScope adapted(&adapters);
  const AdamW optimizer(params);
  std::optional<Ema> ema;
  if (options.ema > 0.0) ema.emplace(params, options.ema);
  RunPlan plan{.trained_values = count_values(params)};
  const int64_t side = picture_size(options, config) / config.autoencoder.downsampling();
  TorchCpuGenerator generator(options.seed);
  DiffusionBatch batch{
      .z = host_noise(generator, {options.batch, side, side, config.unet.in_channels}).to(model.device()),
      .timesteps = std::vector<int64_t>(static_cast<size_t>(options.batch), config.timesteps / 2)};
  batch.noise = batch.z;
  const bool embeds = !options.embedding.word.empty();
  const Tensor ids =
      embeds ? Tensor::from(std::vector<int64_t>(static_cast<size_t>(options.batch * config.text.max_positions),
                                                 config.text.vocab_size),
                            {options.batch, config.text.max_positions})
             : Tensor::zeros({options.batch, config.text.max_positions}, DType::kI64);
  models::TextQuery query;
  if (embeds) query.added = {options.embedding.vectors};
  measure(plan, [&] {
    for (int64_t part = 0; part < options.accumulate; ++part) {
      Tape tape;
      if (config.unet.context_dim > 0) batch.context = model.encode_text(ids, query).hidden;
      tape.backward(diffusion_loss(model.denoiser(), model.noise_schedule(), batch));
    }
  });
  const NoGrad off;
  const int64_t pixels = picture_size(options, config);
  const Tensor picture = Tensor::zeros({1, pixels, pixels, 3}, DType::kF32, model.device());
  RunPlan encoding;
  measure(encoding, [&] { model.encode(picture); });
  plan.seconds_a_picture =
      encoding.seconds * static_cast<double>(std::max<int64_t>(1, options.crops) * (options.flip ? 2 : 1));
  return plan;
}

}  // namespace sumi::train
