// Tiny autoencoders in files of their own.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "io/checkpoint.h"
#include "models/loading/bind.h"
#include "models/taesd/taesd.h"

namespace sumi::models {

// The tensors of a tiny autoencoder under `first_stage_model.taesd_encoder.` and `first_stage_model.taesd_decoder.`,
// then the number of the layer. `file` may have them as the original's file of one half does (`1.weight`,
// `3.conv.0.weight`), with `encoder.`, `decoder.`, `taesd_encoder.` or `taesd_decoder.` before, or as diffusers has
// them
// (`decoder.layers.0.…`). Null: it is something else. Throws Error(kData) where the layers are not those of one half.
std::shared_ptr<const io::Checkpoint> taesd_of(std::shared_ptr<const io::Checkpoint> file);

// The same for a file of one half at `path`, with the other half where that lies beside it: `taesd_encoder.pth` beside
// `taesd_decoder.pth`, or the reverse. Null: it is not a tiny autoencoder.
std::shared_ptr<const io::Checkpoint> open_taesd(const std::filesystem::path& path);

// Reads diffusers' config.json. False: it is of another class. Throws Error(kData) for settings of an AutoencoderTiny
// that would change what it computes.
bool is_tiny_config(const std::filesystem::path& config);

// Which halves `file` holds under `prefix`, and their sizes; nullopt: no tiny autoencoder is there. Throws Error(kData)
// for layers that lack the first and last convolution, which tell the sizes.
std::optional<TaesdConfig> taesd_in(const io::Checkpoint& file, std::string_view prefix);

// The network that taesd_in() found, with its values.
std::unique_ptr<Taesd> bind_taesd(const io::Checkpoint& file, std::string_view prefix, const TaesdConfig& config,
                                  BindReport& report, const BindOptions& options = {});

}  // namespace sumi::models
