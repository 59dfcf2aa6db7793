// Which network a file of an upscaling model holds, from the names and shapes of its tensors.
#pragma once

#include <memory>
#include <variant>

#include "io/checkpoint.h"
#include "models/upscaler/compact_net.h"
#include "models/upscaler/rrdb_net.h"

namespace sumi::models {

struct UpscalerFile {
  std::shared_ptr<const io::Checkpoint> file;  // its tensors under the names of RrdbNet or CompactNet
  std::variant<RrdbConfig, CompactConfig> config;
};

// Recognises ESRGAN and Real-ESRGAN under the names of any age, and the compact network; bare, or under `params_ema.`
// or `params.` (the first where a file has both). Throws Error(kData), one sentence, for any other file: what it is
// instead where that can be seen, or what is missing.
UpscalerFile recognise_upscaler(std::shared_ptr<const io::Checkpoint> file);

}  // namespace sumi::models
