// Drawing a picture again: the settings that a picture file carries, as a request.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "sumi/request.h"

namespace sumi::engine {

// What a picture tells about how it was drawn.
struct Like {
  std::string from = {};  // "sumi", "A1111's web UI", "ComfyUI", "InvokeAI"
  // What was found; the rest is open. Files (init, mask, controls, LoRAs, embeddings, upscaler, safety checker; and
  // below vae and config) have their names without folders: whoever uses it finds them.
  Request request = {};
  int64_t number = 0;          // of the pictures that the request draws, the one that this is
  std::string model = {};      // its name; empty: not told
  std::string precision = {};  // what the networks computed in: "f32", "f16", "bf16"; empty: not told
  // How the model was opened, in the words of ModelOptions; empty: not told, or as the model has it.
  std::string vae = {}, config = {}, prediction = {}, dtype = {};
  bool exact = false;
  std::string init_hash = {}, mask_hash = {};
  std::vector<std::string> control_hashes = {};  // of the pictures of the request's controls
  std::vector<std::string> untaken = {};         // in words, what else it tells: "Clip skip 2", "node 17 FaceDetailer"
};

// Reads a PNG, JPEG or WebP file: the `parameters` of sumi and of A1111's web UI and its kin, ComfyUI's `prompt`,
// InvokeAI's metadata of all versions. Programs that draw each picture from its own seed give seeding "picture". Throws
// Error(kData) for a file that is no such picture or carries no settings in one of these forms. `name` is what messages
// call the file.
Like read_like(std::span<const std::byte> file, const std::string& name);

// Takes from `other` what is open in `request`: prompts, lists and texts that are empty too. Of two second passes, what
// is open in the request's. A request that names its sampler keeps its own schedule and eta; one with `seeds` or
// `fixed_noise`, its seeding.
void fill_open(Request& request, const Request& other);

// Takes out what means nothing without a picture to begin from, a mask, or controls, if the request has none. Whether
// there was any.
bool drop_without_picture(Request& request);

}  // namespace sumi::engine
