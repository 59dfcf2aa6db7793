// The sets of reference trajectories that begin from a picture: `sumi probe sample` on a whole set.
#pragma once

#include <string>

#include "app/cli/probe_io.h"
#include "engine/controls.h"
#include "models/stable_diffusion.h"

namespace sumi::app {

// The set whose inputs the file holds: "img2img-diffusers", "img2img-webui", "inpaint-blend", "inpaint", "hires",
// "control"; empty: none of them, but one trajectory's.
std::string set_of(const ProbeInput& in);

// What a set needs beside its file.
struct SetInputs {
  Tensor picture = {};                            // [1,H,W,3] in [-1, 1], of init_latent_a; undefined: not given
  std::vector<engine::ControlJob> controls = {};  // one, for "control"
};

// Draws every trajectory of the set, or those whose results the file holds too, under the names of the set. The seed,
// steps, guidance and strength are the file's metadata.
void run_set(const std::string& set, const models::StableDiffusion& model, const ProbeInput& in, ProbeOutput& out,
             const SetInputs& inputs);

}  // namespace sumi::app
