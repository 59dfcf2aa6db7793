// What to draw (Request), what was decided about it (Settings), and what a running job reports.
//
// The same fields, with the same names, make up the JSON of the C interface and of the server; docs/api.md describes
// them, docs/sumi-request.schema.json is their JSON Schema.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sumi/image.h"

namespace sumi {

// An adapter file (LoRA, LoCon, LoHa, LoKr, DoRA, (IA)³, full differences) and how strongly it acts.
struct Lora {
  std::string file = {};
  double weight = 1.0;
  std::optional<double> unet = {}, text = {};  // on the UNet, on the text encoders; where not given, `weight`
};

// A text-to-image job. What is left open is decided by the model, else by `defaults`; Job::settings() tells the result.
struct Request {
  // The texts to draw, UTF-8, each at most 64 KiB. <lora:NAME:WEIGHT> in a prompt names a LoRA (see `lora_folder`),
  // <lora:NAME:TEXT:UNET> with a weight for each part; all prompts of a request must name the same. At least one
  // prompt, which may be empty text.
  std::vector<std::string> prompts = {};
  std::optional<std::string> negative_prompt = {};  // what pictures should not show; empty
  std::optional<int64_t> copies = {};               // pictures of each prompt; 1
  std::optional<int64_t> batch = {};                // pictures drawn at once, 1 to 1024; 1
  std::optional<int64_t> iterations = {};           // how often everything is drawn; 1

  std::optional<int64_t> width = {}, height = {};  // pixels, a multiple of 8 up to 16384; the model's size
  std::optional<std::string> sampler = {};         // a name or alias of Engine::samplers(): "ddim", "DPM++ 2M Karras"
  std::optional<std::string> schedule = {};        // a name of Engine::schedules(); the sampler's own
  std::optional<int64_t> steps = {};               // 1 to 10000
  std::optional<double> scale = {};                // classifier-free guidance, 0 to 1000; 1 is none
  std::optional<double> eta = {};                  // ddim: fresh noise in each step, 0 to 1; 0

  std::optional<uint64_t> seed = {};  // none: drawn at random
  // "run": one generator draws the noise of the whole job in the order of the original's script, so a picture depends
  // on those before it. "picture": picture i has a generator of its own, seeded with seed + i (modulo 2^64), and is the
  // same, byte for byte, as one drawn alone with that seed. "run".
  std::optional<std::string> seeding = {};
  std::optional<std::string> rng = {};  // whose random numbers: PyTorch's on the "cpu" or on "cuda"; "cpu"
  bool fixed_noise = false;             // every batch starts from the same noise; only with seeding "run"

  // "exact": as the original reads a prompt, every character is text, what does not fit 77 tokens is cut with a
  // warning. "weighted": (word:1.2), [word], BREAK, any length.
  std::optional<std::string> syntax = {};

  std::vector<Lora> loras = {};  // applied to this job alone
  std::string lora_folder = {};  // where LoRAs named in prompts are looked for; empty: beside the model and in its
                                 // loras/, then in the engine's data folder

  // Files of textual inversion for this job. A prompt names one by the file's name without ending, by <NAME>, by
  // embedding:NAME, or by the word that the file gives it. With syntax "weighted" those in embeddings/ beside the model
  // and in the engine's data folder are found by their names without being listed here.
  std::vector<std::string> embeddings = {};
  std::string embedding_folder = {};  // the only folder to look in; empty: those two

  bool tiled_decode = false;  // decode beyond 1024x1024 in tiles: less memory, more time, a small error

  // This job draws batch number `share` of every `share_of`, with the same result as if it had drawn all: for processes
  // that divide a request among them.
  int64_t share = 0, share_of = 1;

  // Who decides what neither the request nor the model does. "quick": dpmpp_2m on karras, 25 steps, scale 7.5, weighted
  // syntax. "original": the original script's: ddim, 50 steps, scale 7.5, exact syntax. "quick".
  std::optional<std::string> defaults = {};
};

// A request after everything was decided.
struct Settings {
  std::string model = {};  // the path
  int64_t width = 0, height = 0;
  std::string sampler = {}, schedule = {};
  int64_t steps = 0;                   // as asked for; some samplers make more
  std::vector<double> timesteps = {};  // of each step's first network call
  double scale = 0.0, eta = 0.0;
  uint64_t seed = 0;
  std::string seeding = {}, rng = {}, syntax = {}, negative_prompt = {};
  int64_t pictures = 0;  // of the whole job
  int64_t batch = 1;     // the most at once
  bool tiled_decode = false;
  std::vector<Lora> loras = {};              // those named in prompts too
  std::vector<std::string> embeddings = {};  // the files in use, those found by name too
  std::string backend = {};
  std::string precision = {};  // what the networks compute in: "f32", "f16" or "bf16"
  int threads = 0;
  int64_t planned_bytes = 0;  // memory that the job will take with its model's weights
  std::string memory = {};    // the same in a sentence
};

// Progress, reported before a batch's first step (done 0) and after each.
struct Step {
  int64_t batch = 0, batches = 0;  // over all iterations
  int done = 0, steps = 0;         // of this batch
};

// A finished picture.
struct Picture {
  Image image = {};
  std::string prompt = {};
  int64_t number = 0;           // in the job, from 0
  uint64_t seed = 0;            // with seeding "picture" its own, else the job's
  std::string parameters = {};  // its settings in the text that A1111 writes into PNG files
};

// The picture in the making, one pixel for each point of the latent (usually an eighth of the size on each side): a
// linear estimate, fitted to the model's decoder by the first preview (the cost of decoding 128x128 pixels).
struct Preview {
  Image image = {};
  int64_t number = 0;  // of the picture
  int done = 0, steps = 0;
};

// What a running job calls, on the thread that called Job::run. An exception thrown from a hook ends the job with it.
struct Hooks {
  std::function<void(const Step&)> step = {};
  std::function<void(Preview&&)> preview = {};  // after each step, one per picture of the batch
  std::function<void(Picture&&)> picture = {};
  std::function<void(const std::string&)> warning = {};  // a sentence; without this hook warnings are dropped
};

}  // namespace sumi
