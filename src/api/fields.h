// The fields of sumi's structs as JSON has them: one table a struct. Parsing, writing and the JSON Schema all follow
// these tables; a field that is added to a struct is added here and in docs/api.md, and tests say so if it is not.
#pragma once

#include <concepts>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "sumi/engine.h"

namespace sumi::api {

// What a table says about a member beside its type. Of an input, null is the same as absence: the member keeps its
// default.
struct Field {
  std::string_view name;                  // of the member
  std::string_view help;                  // one line
  bool required = false;                  // neither absent nor null
  std::optional<double> min, max;         // of numbers; without, what the type holds
  int64_t multiple_of = 1;                // of whole numbers
  std::vector<std::string_view> choices;  // of texts; empty: any text
  std::string_view alone = {};            // of a list: the name under which one element can be given without a list
  size_t min_items = 0;                   // of lists
  size_t max_items = 0;                   // 0: any number
};

// A finished picture without its pixels, as the C interface's picture callback tells it.
struct PictureInfo {
  std::string prompt;
  int64_t number = 0;
  uint64_t seed = 0;
  int64_t width = 0, height = 0;
  std::string parameters;
  bool flagged = false;
};

inline PictureInfo info_of(const Picture& picture) {
  return {picture.prompt,       picture.number,     picture.seed,   picture.image.width,
          picture.image.height, picture.parameters, picture.flagged};
}

// What messages call a struct that is read: "`x` is no field of a request".
template <class S> inline constexpr std::string_view kCalled;
template <> inline constexpr std::string_view kCalled<EngineOptions> = "engine options";
template <> inline constexpr std::string_view kCalled<ModelOptions> = "model options";
template <> inline constexpr std::string_view kCalled<Request> = "a request";
template <> inline constexpr std::string_view kCalled<Lora> = "a LoRA";
template <> inline constexpr std::string_view kCalled<Control> = "a ControlNet";
template <> inline constexpr std::string_view kCalled<Hires> = "a second pass";

// S or const S.
template <class T, class S>
concept Is = std::same_as<std::remove_const_t<T>, S>;

// visit_fields(struct, visit) calls visit(member, Field) for each member in order.

template <class Visit> void visit_fields(Is<EngineOptions> auto& options, Visit&& visit) {
  visit(
      options.threads,
      {.name = "threads", .help = "threads; 0: one for each core that the process may run on", .min = 0, .max = 1024});
  visit(options.pin_threads, {.name = "pin_threads", .help = "bind each worker thread to a core"});
  visit(options.catch_truncated_files,
        {.name = "catch_truncated_files",
         .help =
             "fail the job instead of the process where a mapped model file is cut short: installs a SIGBUS handler"});
  visit(options.memory_budget, {.name = "memory_budget",
                                .help = "bytes that jobs and weights may take together; 0: what the machine has free",
                                .min = 0});
  visit(options.data_folder, {.name = "data_folder", .help = "folder with tokenizer/ and loras/; empty: none"});
  visit(options.hub_cache,
        {.name = "hub_cache", .help = "cache of Hugging Face, where CLIP's tokenizer may be; empty: none"});
}

template <class Visit> void visit_fields(Is<ModelOptions> auto& options, Visit&& visit) {
  visit(options.path, {.name = "path", .help = ".ckpt, .safetensors or a diffusers folder", .required = true});
  visit(options.name, {.name = "name", .help = "the model's name in its engine; empty: the path"});
  visit(options.variant,
        {.name = "variant", .help = "of a diffusers folder: fp16 reads *.fp16.safetensors; empty: the plain files"});
  visit(options.config,
        {.name = "config", .help = "LDM configuration (YAML); empty: the folder's, else inferred from the tensors"});
  visit(options.vae, {.name = "vae",
                      .help = "an autoencoder in place of the model's, a file or folder; own: the model's; empty: "
                              "NAME.vae.pt or NAME.vae.safetensors beside it, else its own"});
  visit(options.preview_vae,
        {.name = "preview_vae",
         .help = "a tiny autoencoder (TAESD) that draws previews, a file or folder; empty: a linear estimate"});
  visit(options.tokenizer,
        {.name = "tokenizer", .help = "folder with vocab.json and merges.txt, or tokenizer.json; empty: searched for"});
  visit(options.prediction, {.name = "prediction",
                             .help = "what the UNet predicts; auto: as configured",
                             .choices = {"auto", "eps", "v", "x0"}});
  visit(options.backend, {.name = "backend", .help = "a name that sumi_list gives for \"backends\""});
  visit(options.dtype, {.name = "dtype",
                        .help = "type that weights are rounded to; auto: as stored",
                        .choices = {"auto", "f32", "f16", "bf16", "q8_0", "q4_0"}});
  visit(options.precision, {.name = "precision",
                            .help = "what the networks compute in; autocast: full",
                            .choices = {"full", "f16", "bf16", "autocast"}});
  visit(options.exact,
        {.name = "exact", .help = "direct instead of Winograd convolutions: less rounding error, slower"});
}

template <class Visit> void visit_fields(Is<Lora> auto& lora, Visit&& visit) {
  visit(lora.file, {.name = "file", .help = "path of the LoRA file", .required = true});
  visit(lora.weight, {.name = "weight", .help = "how strongly it acts", .min = -1000, .max = 1000});
  visit(lora.unet, {.name = "unet", .help = "the same on the UNet alone; open: weight", .min = -1000, .max = 1000});
  visit(lora.text,
        {.name = "text", .help = "the same on the text encoders alone; open: weight", .min = -1000, .max = 1000});
}

template <class Visit> void visit_fields(Is<Control> auto& control, Visit&& visit) {
  visit(control.model, {.name = "model", .help = "a file or a diffusers folder", .required = true});
  visit(control.image, {.name = "image", .help = "the hint: a file, or whole as a data URI", .required = true});
  visit(control.weight, {.name = "weight", .help = "how strongly it acts", .min = -100, .max = 100});
  visit(control.start, {.name = "start", .help = "the part of the steps from which it acts", .min = 0, .max = 1});
  visit(control.end, {.name = "end", .help = "the part of the steps before which it acts", .min = 0, .max = 1});
  visit(
      control.preprocess,
      {.name = "preprocess", .help = "how the hint is made of the picture; open: none", .choices = {"none", "canny"}});
}

template <class Visit> void visit_fields(Is<Hires> auto& hires, Visit&& visit) {
  visit(hires.scale, {.name = "scale", .help = "of width and height", .min = 1, .max = 16});
  visit(hires.upscaler,
        {.name = "upscaler",
         .help = "latent, latent-antialiased, latent-bicubic, latent-bicubic-antialiased, latent-nearest, "
                 "latent-nearest-exact, lanczos, bicubic, bilinear, box, hamming, nearest, or an ESRGAN model's file; "
                 "open: latent"});
  visit(hires.steps, {.name = "steps", .help = "that are run; open: the request's", .min = 1, .max = 10000});
  visit(hires.strength,
        {.name = "strength", .help = "how far from the enlarged picture; open: 0.7", .min = 0, .max = 1});
  visit(hires.sampler, {.name = "sampler", .help = "open: the request's"});
  visit(hires.schedule, {.name = "schedule", .help = "open: the request's, or the sampler's own"});
  visit(hires.guidance, {.name = "guidance", .help = "open: the request's scale", .min = 0, .max = 1000});
  visit(hires.prompt, {.name = "prompt", .help = "open: the picture's"});
  visit(hires.negative_prompt, {.name = "negative_prompt", .help = "open: the request's"});
}

template <class Visit> void visit_fields(Is<Request> auto& request, Visit&& visit) {
  visit(request.prompts, {.name = "prompts",
                          .help = "the texts to draw, each at most 64 KiB",
                          .required = true,
                          .alone = "prompt",
                          .min_items = 1,
                          .max_items = 65536});
  visit(request.negative_prompt, {.name = "negative_prompt", .help = "what pictures should not show; open: empty"});
  visit(request.copies, {.name = "copies", .help = "pictures of each prompt; open: 1", .min = 1, .max = 1'000'000});
  visit(request.batch, {.name = "batch", .help = "pictures drawn at once; open: 1", .min = 1, .max = 1024});
  visit(request.iterations,
        {.name = "iterations", .help = "how often everything is drawn; open: 1", .min = 1, .max = 1'000'000});
  visit(request.width,
        {.name = "width", .help = "pixels; open: the model's size", .min = 8, .max = 16384, .multiple_of = 8});
  visit(request.height,
        {.name = "height", .help = "pixels; open: the model's size", .min = 8, .max = 16384, .multiple_of = 8});
  visit(request.sampler, {.name = "sampler", .help = "a name or alias that sumi_list gives for \"samplers\""});
  visit(request.schedule,
        {.name = "schedule", .help = "a name that sumi_list gives for \"schedules\"; open: the sampler's own"});
  visit(request.steps, {.name = "steps", .help = "sampling steps", .min = 1, .max = 10000});
  visit(request.scale, {.name = "scale", .help = "classifier-free guidance; 1: none", .min = 0, .max = 1000});
  visit(request.eta, {.name = "eta", .help = "fresh noise in each step of ddim; open: 0", .min = 0, .max = 1});
  visit(request.seed,
        {.name = "seed",
         .help =
             "open: drawn at random; decimal digits as a string are the same, for clients whose numbers are doubles"});
  visit(request.seeds,
        {.name = "seeds",
         .help = "in place of seed: the seed of each picture, in the order of drawing; only with seeding picture"});
  visit(request.seeding,
        {.name = "seeding",
         .help = "run: one generator for the whole job; picture: one for each picture i, from seed + i or seeds[i]; "
                 "open: run, with seeds picture",
         .choices = {"run", "picture"}});
  visit(request.rng, {.name = "rng",
                      .help = "whose random numbers: PyTorch's on the CPU or on CUDA; open: cpu",
                      .choices = {"cpu", "cuda"}});
  visit(request.fixed_noise,
        {.name = "fixed_noise", .help = "every batch starts from the same noise; only with seeding run"});
  visit(request.syntax, {.name = "syntax",
                         .help = "exact: every character is text, cut at 77 tokens with a warning; weighted: "
                                 "(word:1.2), [word], BREAK, any length",
                         .choices = {"exact", "weighted"}});
  visit(request.loras, {.name = "loras", .help = "applied to this job alone"});
  visit(request.lora_folder,
        {.name = "lora_folder",
         .help = "where LoRAs named in prompts are looked for; empty: beside the model, in its loras/, and in the "
                 "engine's data folder"});
  visit(request.embeddings,
        {.name = "embeddings",
         .help = "files of textual inversion; a prompt names one by its file's name, <NAME> or embedding:NAME"});
  visit(request.embedding_folder,
        {.name = "embedding_folder",
         .help = "where embeddings named in prompts are looked for; empty: embeddings/ beside the model, then the "
                 "engine's data folder"});
  visit(request.init,
        {.name = "init",
         .help = "the picture to begin from: a file, or whole as data:image/png;base64,...; empty: none"});
  visit(request.strength, {.name = "strength",
                           .help = "how far from init: the part of the steps that is run; open: 0.75",
                           .min = 0,
                           .max = 1});
  visit(request.resize, {.name = "resize",
                         .help = "how pictures are brought to the size; open: stretch",
                         .choices = {"stretch", "crop", "fill"}});
  visit(request.background,
        {.name = "background", .help = "under see-through pixels: white, black, gray or #rrggbb; open: white"});
  visit(request.convention, {.name = "convention",
                             .help = "whose rules a picture comes in by; open: decided by defaults and sampler",
                             .choices = {"original", "diffusers", "webui"}});
  visit(request.mask, {.name = "mask", .help = "what is drawn anew is white, as init is given; empty: none"});
  visit(request.mask_invert, {.name = "mask_invert", .help = "what is drawn anew is black"});
  visit(request.mask_blur,
        {.name = "mask_blur", .help = "sigma in pixels of how its edge is softened; open: 4", .min = 0, .max = 256});
  visit(request.mask_content, {.name = "mask_content",
                               .help = "what is under it at first; open: original",
                               .choices = {"original", "fill", "noise", "nothing"}});
  visit(request.mask_padding,
        {.name = "mask_padding",
         .help = "draw only the mask's surroundings, so many pixels around it, at the full size; open: everything",
         .min = 0,
         .max = 16384});
  visit(request.extend, {.name = "extend",
                         .help = "left, right, top, bottom: pixels that are drawn around init; empty or 4",
                         .min = 0,
                         .max = 16384,
                         .max_items = 4});
  visit(request.hires, {.name = "hires", .help = "a second pass over a larger version of each picture; open: none"});
  visit(request.controls, {.name = "controls", .help = "ControlNets and their hints"});
  visit(request.guess_mode,
        {.name = "guess_mode", .help = "controls act on the prompt's half alone, softer towards the fine levels"});
  visit(request.seamless,
        {.name = "seamless", .help = "opposite edges fit; empty: no", .choices = {"", "x", "y", "xy"}});
  visit(request.subseed,
        {.name = "subseed",
         .help = "of the noise that is mixed into the seed's; only with seeding picture; digits as a string too"});
  visit(request.subseed_strength, {.name = "subseed_strength", .help = "its part; open: 0", .min = 0, .max = 1});
  visit(request.safety_checker,
        {.name = "safety_checker",
         .help = "a file or folder; flagged pictures come out black, with a warning; empty: none"});
  visit(request.watermark, {.name = "watermark", .help = "an invisible text in each picture; empty: none"});
  visit(request.tiled_decode,
        {.name = "tiled_decode", .help = "decode large pictures in tiles: less memory, more time, a small error"});
  visit(request.share, {.name = "share", .help = "this job draws batch number share of every share_of", .min = 0});
  visit(request.share_of, {.name = "share_of", .help = "jobs that divide the request among them", .min = 1});
  visit(request.defaults,
        {.name = "defaults",
         .help = "what decides beside the request and the model: quick is dpmpp_2m on karras, 25 steps, "
                 "weighted; original is ddim, 50 steps, exact; open: quick",
         .choices = {"quick", "original"}});
}

template <class Visit> void visit_fields(Is<ModelInfo> auto& info, Visit&& visit) {
  visit(info.name, {.name = "name", .help = "in its engine"});
  visit(info.path, {.name = "path", .help = "of the file or folder"});
  visit(info.family, {.name = "family", .help = "kind of model"});
  visit(info.format, {.name = "format", .help = "of the file or folder"});
  visit(info.default_size, {.name = "default_size", .help = "pixels on each side"});
  visit(info.prediction, {.name = "prediction", .help = "what the UNet predicts", .choices = {"eps", "v", "x0"}});
  visit(info.sampler, {.name = "sampler", .help = "the model's own; empty: it names none"});
  visit(info.schedule, {.name = "schedule", .help = "the model's own; empty: it names none"});
  visit(info.steps, {.name = "steps", .help = "the model's own; 0: it names none"});
  visit(info.scale, {.name = "scale", .help = "the model's own; 0: it names none"});
  visit(info.multiple, {.name = "multiple", .help = "of pixels, that width and height must be"});
  visit(info.latent_channels, {.name = "latent_channels", .help = "of a latent"});
  visit(info.loaded, {.name = "loaded", .help = "whether the weights are loaded"});
  visit(info.warnings, {.name = "warnings", .help = "sentences about opening and loading it"});
}

template <class Visit> void visit_fields(Is<Source> auto& source, Visit&& visit) {
  visit(source.name, {.name = "name", .help = "of its file, without folders; empty: it was given whole"});
  visit(source.hash, {.name = "hash", .help = "FNV-1a of its bytes, 64 bits, 16 hexadecimal digits"});
}

template <class Visit> void visit_fields(Is<ControlSettings> auto& control, Visit&& visit) {
  visit(control.model, {.name = "model", .help = "the file or folder"});
  visit(control.image, {.name = "image", .help = "the picture that the hint is or is made of"});
  visit(control.weight, {.name = "weight", .help = "how strongly it acts"});
  visit(control.start, {.name = "start", .help = "the part of the steps from which it acts"});
  visit(control.end, {.name = "end", .help = "the part of the steps before which it acts"});
  visit(control.preprocess, {.name = "preprocess", .help = "how the hint is made of the picture"});
}

template <class Visit> void visit_fields(Is<HiresSettings> auto& hires, Visit&& visit) {
  visit(hires.width, {.name = "width", .help = "pixels"});
  visit(hires.height, {.name = "height", .help = "pixels"});
  visit(hires.scale, {.name = "scale", .help = "of width and height"});
  visit(hires.upscaler, {.name = "upscaler", .help = "its name or file"});
  visit(hires.sampler, {.name = "sampler", .help = "its name, never an alias"});
  visit(hires.schedule, {.name = "schedule", .help = "its name"});
  visit(hires.steps, {.name = "steps", .help = "that are run"});
  visit(hires.strength, {.name = "strength", .help = "how far from the enlarged picture"});
  visit(hires.guidance, {.name = "guidance", .help = "classifier-free guidance; 1: none"});
  visit(hires.prompt, {.name = "prompt", .help = "absent: the picture's"});
  visit(hires.negative_prompt, {.name = "negative_prompt", .help = "absent: the request's"});
}

template <class Visit> void visit_fields(Is<Settings> auto& settings, Visit&& visit) {
  visit(settings.model, {.name = "model", .help = "path of the model"});
  visit(settings.vae,
        {.name = "vae",
         .help = "the autoencoder in place of the model's own, one found beside it too; own: none, though "
                 "one may be there; empty: none"});
  visit(settings.config, {.name = "config", .help = "the configuration's file; empty: the model's"});
  visit(settings.prediction,
        {.name = "prediction", .help = "what the UNet predicts, where that was chosen; empty: as configured"});
  visit(settings.dtype, {.name = "dtype", .help = "type that weights were rounded to; empty: as stored"});
  visit(settings.exact, {.name = "exact", .help = "whether convolutions were direct"});
  visit(settings.width, {.name = "width", .help = "pixels"});
  visit(settings.height, {.name = "height", .help = "pixels"});
  visit(settings.sampler, {.name = "sampler", .help = "its name, never an alias"});
  visit(settings.schedule, {.name = "schedule", .help = "its name"});
  visit(settings.steps, {.name = "steps", .help = "sampling steps"});
  visit(settings.timesteps, {.name = "timesteps", .help = "of each step's first call of the network"});
  visit(settings.scale, {.name = "scale", .help = "classifier-free guidance; 1: none"});
  visit(settings.eta, {.name = "eta", .help = "fresh noise in each step of ddim"});
  visit(settings.seed, {.name = "seed", .help = "the request's, or the one drawn"});
  visit(settings.seeds, {.name = "seeds", .help = "of each picture, where the request gives them; else empty"});
  visit(settings.seeding, {.name = "seeding",
                           .help = "run: one generator for the whole job; picture: one for each picture",
                           .choices = {"run", "picture"}});
  visit(settings.rng,
        {.name = "rng", .help = "whose random numbers: PyTorch's on the CPU or on CUDA", .choices = {"cpu", "cuda"}});
  visit(settings.syntax, {.name = "syntax", .help = "how prompts are read", .choices = {"exact", "weighted"}});
  visit(settings.negative_prompt, {.name = "negative_prompt", .help = "what pictures should not show"});
  visit(settings.pictures, {.name = "pictures", .help = "of the whole job"});
  visit(settings.batch, {.name = "batch", .help = "the most pictures at once"});
  visit(settings.tiled_decode, {.name = "tiled_decode", .help = "whether pictures are decoded in tiles"});
  visit(settings.init, {.name = "init", .help = "the picture to begin from; absent: none"});
  visit(settings.mask, {.name = "mask", .help = "absent: none"});
  visit(settings.strength, {.name = "strength", .help = "how far from init; 1 without"});
  visit(settings.resize,
        {.name = "resize", .help = "how pictures are brought to the size; empty without init and controls"});
  visit(settings.background,
        {.name = "background", .help = "under see-through pixels; empty without init and controls"});
  visit(settings.convention, {.name = "convention", .help = "whose rules a picture comes in by; empty without init"});
  visit(settings.mask_invert, {.name = "mask_invert", .help = "whether black is drawn anew"});
  visit(settings.mask_blur, {.name = "mask_blur", .help = "sigma in pixels"});
  visit(settings.mask_content, {.name = "mask_content", .help = "what is under it at first; empty without mask"});
  visit(settings.mask_padding,
        {.name = "mask_padding", .help = "pixels around the mask, where only its surroundings are drawn"});
  visit(settings.extend, {.name = "extend", .help = "left, right, top, bottom: pixels drawn around init; or empty"});
  visit(settings.hires, {.name = "hires", .help = "the second pass; absent: none"});
  visit(settings.controls, {.name = "controls", .help = "ControlNets in use"});
  visit(settings.guess_mode, {.name = "guess_mode", .help = "controls act on the prompt's half alone"});
  visit(settings.seamless, {.name = "seamless", .help = "which opposite edges fit; empty: none"});
  visit(settings.subseed, {.name = "subseed", .help = "absent: none"});
  visit(settings.subseed_strength, {.name = "subseed_strength", .help = "its part of the first noise"});
  visit(settings.safety_checker, {.name = "safety_checker", .help = "file or folder; empty: none"});
  visit(settings.watermark, {.name = "watermark", .help = "the invisible text; empty: none"});
  visit(settings.loras, {.name = "loras", .help = "the request's and those named in prompts"});
  visit(settings.embeddings, {.name = "embeddings", .help = "files in use, those found by name too"});
  visit(settings.backend, {.name = "backend", .help = "where it computes"});
  visit(settings.precision, {.name = "precision", .help = "what the networks compute in"});
  visit(settings.threads, {.name = "threads", .help = "of the engine"});
  visit(settings.planned_bytes,
        {.name = "planned_bytes", .help = "memory that the job will take, with its model's weights"});
  visit(settings.memory, {.name = "memory", .help = "the same in a sentence"});
}

template <class Visit> void visit_fields(Is<Step> auto& step, Visit&& visit) {
  visit(step.batch, {.name = "batch", .help = "from 0, over all iterations"});
  visit(step.batches, {.name = "batches", .help = "over all iterations"});
  visit(step.done, {.name = "done", .help = "steps of this batch that are done"});
  visit(step.steps, {.name = "steps", .help = "of this batch"});
}

template <class Visit> void visit_fields(Is<PictureInfo> auto& picture, Visit&& visit) {
  visit(picture.prompt, {.name = "prompt", .help = "the text that was drawn"});
  visit(picture.number, {.name = "number", .help = "in the job, from 0"});
  visit(picture.seed, {.name = "seed", .help = "with seeding picture its own, else the job's"});
  visit(picture.width, {.name = "width", .help = "pixels"});
  visit(picture.height, {.name = "height", .help = "pixels"});
  visit(picture.parameters, {.name = "parameters", .help = "its settings, as A1111 writes them into PNG files"});
  visit(picture.flagged, {.name = "flagged", .help = "by the safety checker, and black"});
}

template <class Visit> void visit_fields(Is<NamedHelp> auto& entry, Visit&& visit) {
  visit(entry.name, {.name = "name", .help = "what options and requests call it"});
  visit(entry.help, {.name = "help", .help = "one line"});
  visit(entry.aliases, {.name = "aliases", .help = "other names that requests may use"});
}

}  // namespace sumi::api
