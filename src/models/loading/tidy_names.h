// Tensor names as the engine knows them, from what wrappers and older or newer programs made of them.
//
// - `_orig_mod.` of torch.compile, `module.` of DataParallel: left out, before the whole name and before a component's
// - a text encoder without `text_model.`: old checkpoints of anime models, folders written by newer versions of
//   transformers
// - a UNet alone, as `diffusion_model.…` or bare: under the checkpoint's prefix
#pragma once

#include <memory>
#include <string>

#include "io/checkpoint.h"

namespace sumi::models {

// Of a file with CompVis names. Other names are returned unchanged.
std::string tidy_name(const std::string& name);

// Of a file of a single component in diffusers' names; `text`: it is a text encoder.
std::string tidy_component_name(const std::string& name, bool text);

// The file under tidy names: itself where all are. Of two tensors that get one name, that which has it already is kept,
// with a warning; two of which none has it are an Error(kData).
std::unique_ptr<io::Checkpoint> with_tidy_names(std::unique_ptr<io::Checkpoint> file);

}  // namespace sumi::models
