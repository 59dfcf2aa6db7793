#include "models/defaults.h"

namespace sumi::models {

DrawingDefaults resolve_defaults(const ModelConfig& config, DrawingDefaults form) {
  DrawingDefaults out = std::move(form);
  out.size = config.default_size;
  out.prediction = config.prediction;
  const SamplingDefaults& own = config.sampling;
  if (!own.sampler.empty()) {
    out.sampler = own.sampler;
    out.schedule.clear();
  }
  if (own.steps > 0) out.steps = own.steps;
  if (own.scale > 0.0) out.scale = own.scale;
  return out;
}

}  // namespace sumi::models
