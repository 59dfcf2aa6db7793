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

// A ControlNet and the picture that it follows.                                        (Zhang et al. 2023)
struct Control {
  std::string model = {};         // a file or a diffusers folder
  std::string image = {};         // the hint, a picture as in Request::init; brought to the size by `resize`
  double weight = 1.0;            // how strongly it acts
  double start = 0.0, end = 1.0;  // in which part of the steps it acts: in those that lie wholly within
  std::optional<std::string> preprocess = {};  // how the hint is made of the picture: "none" or "canny"; "none"
};

// A second pass over a larger version of each picture, as the web UI's hires fix. What is left open is as in the first.
struct Hires {
  double scale = 2.0;                        // of width and height, rounded down to whole points of the latent
  std::optional<std::string> upscaler = {};  // "latent" (bilinear), "latent-antialiased", "latent-bicubic",
                                             // "latent-bicubic-antialiased", "latent-nearest",
                                             // "latent-nearest-exact"; pixels by "lanczos", "bicubic", "bilinear",
                                             // "nearest"; or the file of an ESRGAN model; "latent"
  std::optional<int64_t> steps = {};         // that are run; the request's
  std::optional<double> strength = {};       // 0 to 1; 0.7
  std::optional<std::string> sampler = {}, schedule = {};
  std::optional<double> guidance = {};
  std::optional<std::string> prompt = {}, negative_prompt = {};
};

// A job: text to image, or with `init` image to image, with `mask` inpainting. What is left open is decided by the
// model, else by `defaults`; Job::settings() tells the result.
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
  // In place of `seed`, the seed of each picture in the order of drawing: as many as pictures, over all iterations.
  // With seeding "picture" only, which they mean where it is left open; not with `subseed`. Empty: not given.
  std::vector<uint64_t> seeds = {};
  // "run": one generator draws the noise of the whole job in the order of the original's script, so a picture depends
  // on those before it. "picture": picture i has a generator of its own, seeded with seed + i (modulo 2^64) or
  // seeds[i], and is the same, byte for byte, as one drawn alone with that seed, whatever else is drawn with it. "run".
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

  // Pictures are given by a file's path, or whole as "data:image/png;base64,…" (any kind of file that sumi reads, and
  // any media type). `init` is the picture to begin from; its size, rounded down to what the model can draw, is the
  // size where neither width nor height is given.
  std::string init = {};
  std::optional<double> strength = {};  // how far from `init`: 0 to 1, the part of the steps that is run; 0.75
  // How pictures are brought to the size: "stretch"; "crop", covering it, the middle; "fill", fitted inside, the edges
  // drawn out. "stretch".
  std::optional<std::string> resize = {};
  std::optional<std::string> background = {};  // under see-through pixels: "white", "black", "gray", "#rrggbb"; "white"
  // Whose rules a picture comes in by (see docs/pictures.md): "original" (CompVis' scripts), "diffusers", "webui"
  // (A1111's). None: "original" with `defaults` original and ddim, else "diffusers" for samplers on timesteps and
  // "webui" for those on noise levels.
  std::optional<std::string> convention = {};

  std::string mask = {};                  // white is drawn anew, the rest stays; of the size of `init` or brought
                                          // to it; needs `init`
  bool mask_invert = false;               // black is drawn anew
  std::optional<int64_t> mask_blur = {};  // sigma in pixels, 0 to 256, of how its edge is softened; 4
  std::optional<std::string> mask_content = {};  // what is under it at first: "original", "fill" (from around it),
                                                 // "noise", "nothing"; "original"
  // Draw only the mask's surroundings, with so many pixels around it, at the full size, and put them back into the
  // picture; the result has the size of `init`.
  std::optional<int64_t> mask_padding = {};
  std::vector<int64_t> extend = {};  // left, right, top, bottom: pixels that are drawn around `init`; empty or 4

  std::optional<Hires> hires = {};
  std::vector<Control> controls = {};
  bool guess_mode = false;    // controls act on the prompt's half alone, softer towards the fine levels
  std::string seamless = {};  // opposite edges fit: "x", "y" or "xy"; empty: no

  // The first noise is `subseed`'s to the part `subseed_strength`, mixed along the arc with `seed`'s. With seeding
  // "picture" only.
  std::optional<uint64_t> subseed = {};
  std::optional<double> subseed_strength = {};  // 0 to 1; 0

  std::string safety_checker = {};  // a file or folder; flagged pictures come out black, with a warning; empty: none
  std::string watermark = {};       // an invisible text put into each picture (the original's is StableDiffusionV1)

  bool tiled_decode = false;  // decode beyond 1024x1024 in tiles: less memory, more time, a small error

  // This job draws batch number `share` of every `share_of`, with the same result as if it had drawn all: for processes
  // that divide a request among them.
  int64_t share = 0, share_of = 1;

  // Who decides what neither the request nor the model does. "quick": dpmpp_2m on karras, 25 steps, scale 7.5, weighted
  // syntax. "original": the original scripts': ddim, 50 steps, scale 7.5 (5 with `init`), exact syntax. "quick".
  std::optional<std::string> defaults = {};
};

// A picture that was given, for a job's record: the name of its file without folders (of a picture given whole, empty)
// and a hash of its bytes.
struct Source {
  std::string name = {}, hash = {};
};

// A ControlNet as it is used.
struct ControlSettings {
  std::string model = {};
  Source image = {};
  double weight = 1.0, start = 0.0, end = 1.0;
  std::string preprocess = "none";
};

// A second pass as it is made.
struct HiresSettings {
  int64_t width = 0, height = 0;
  double scale = 2.0;
  std::string upscaler = {}, sampler = {}, schedule = {};
  int64_t steps = 0;
  double strength = 0.0, guidance = 0.0;
  std::optional<std::string> prompt = {}, negative_prompt = {};  // none: the first pass's
};

// A request after everything was decided.
struct Settings {
  std::string model = {};  // the path
  // Of how the model was opened, what its numbers depend on; empty: as the model has it.
  std::string vae = {};  // the autoencoder in place of its own, one found beside it too; "own": none, though one may be
  std::string config = {};  // path of the configuration
  std::string prediction = {}, dtype = {};
  bool exact = false;
  int64_t width = 0, height = 0;
  std::string sampler = {}, schedule = {};
  int64_t steps = 0;                   // as asked for; some samplers make more
  std::vector<double> timesteps = {};  // of each step's first network call
  double scale = 0.0, eta = 0.0;
  uint64_t seed = 0;                 // the first picture's
  std::vector<uint64_t> seeds = {};  // the request's
  std::string seeding = {}, rng = {}, syntax = {}, negative_prompt = {};
  int64_t pictures = 0;  // of the whole job
  int64_t batch = 1;     // the most at once
  bool tiled_decode = false;
  std::optional<Source> init = {}, mask = {};  // none: not given
  double strength = 1.0;
  std::string resize = {}, background = {};  // empty without `init` and controls
  std::string convention = {};               // empty without `init`
  bool mask_invert = false;
  int64_t mask_blur = 0;
  std::string mask_content = {};  // empty without `mask`
  std::optional<int64_t> mask_padding = {};
  std::vector<int64_t> extend = {};
  std::optional<HiresSettings> hires = {};
  std::vector<ControlSettings> controls = {};
  bool guess_mode = false;
  std::string seamless = {};
  std::optional<uint64_t> subseed = {};
  double subseed_strength = 0.0;
  std::string safety_checker = {}, watermark = {};
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
  bool flagged = false;         // by the safety checker, and black
};

// The picture in the making, one pixel for each point of the latent (usually an eighth of the size on each side): a
// linear estimate, fitted to the model's decoder by the first preview (the cost of decoding 128x128 pixels). With
// ModelOptions::preview_vae what that tiny autoencoder makes of it, at full size.
struct Preview {
  Image image = {};
  int64_t number = 0;  // of the picture
  int done = 0, steps = 0;
};

// What a running job calls, on the thread that called Job::run. An exception thrown from a hook ends the job with it.
struct Hooks {
  std::function<void(const Step&)> step = {};
  std::function<void(Preview&&)> preview = {};  // after each step, one per picture of the batch
  // The part, 0 to 1, of the enlarging by a model between two passes that is done; each picture begins anew.
  std::function<void(double)> upscaling = {};
  std::function<void(Picture&&)> picture = {};
  std::function<void(const std::string&)> warning = {};  // a sentence; without this hook warnings are dropped
};

}  // namespace sumi
