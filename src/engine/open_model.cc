#include "engine/open_model.h"

#include "models/loading/open.h"
#include "ops/conv.h"
#include "engine/cast_checkpoint.h"

namespace sumi::engine {

std::vector<Device> available_devices() {
  std::vector<Device> devices;
  for (int i = 0; i < kDeviceCount; ++i) {
    const auto device = static_cast<Device>(i);
    if (conv2d_slot.has(device)) devices.push_back(device);
  }
  return devices;
}

OpenModel open_model(const ModelOptions& options) {
  SUMI_CHECK_KIND(kUnavailable, conv2d_slot.has(options.device), "this program was built without the backend {}",
                  name_of(options.device));
  OpenModel model;
  model.device = options.device;
  model.exact = options.exact;
  model.activations = options.activations;
  model.stored = models::open_model_files(options.checkpoint);
  model.checkpoint = options.dtype ? cast_checkpoint(model.stored, *options.dtype) : model.stored;
  model.config = models::config_for(*model.stored, options.config);
  for (const LoraChoice& lora : options.loras) model.loras.push_back({io::open_checkpoint(lora.file), lora.weight});
  if (options.prediction) model.config.prediction = *options.prediction;
  return model;
}

models::StableDiffusion load_model(const OpenModel& model, models::LoadOptions options) {
  options.device = model.device;
  options.exact = model.exact;
  options.activations = model.activations;
  return models::StableDiffusion::load(model.checkpoint, model.config, options);
}

nn::Adapters load_adapters(const OpenModel& model, const models::StableDiffusion& networks) {
  nn::Adapters adapters;
  for (const OpenModel::Lora& lora : model.loras) networks.adapt(adapters, *lora.file, lora.weight);
  adapters.finish();
  return adapters;
}

}  // namespace sumi::engine
