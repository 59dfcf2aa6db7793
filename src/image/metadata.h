// The generation parameters that a picture carries, in the text that AUTOMATIC1111's web UI writes and others read:
//
//   prompt
//   Negative prompt: …
//   Steps: 20, Sampler: Euler a, Schedule type: Karras, CFG scale: 7.5, Seed: 42, Size: 512x512, …, Version: …
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sumi::image {

// The PNG text chunk's key.
inline constexpr const char* kParametersKey = "parameters";

struct PictureSize {
  int64_t width = 0, height = 0;
  bool operator==(const PictureSize&) const = default;
};

// One unit of the web UI's ControlNet extension, in its own words. One that is empty stands for a number that the text
// leaves out.
struct ControlParameters {
  std::string module = {}, model = {}, resize = {}, mode = {};
  std::optional<double> weight = {}, start = {}, end = {};
  bool operator==(const ControlParameters&) const = default;
};

// Everything in the words of the text. What is open, empty or false is not in it.
struct GenerationParameters {
  std::string prompt = {}, negative_prompt = {};
  std::optional<int64_t> steps = {};
  std::string sampler = {}, schedule = {};
  std::optional<double> guidance = {};
  std::optional<uint64_t> seed = {};
  std::optional<PictureSize> size = {};
  std::optional<double> strength = {};            // of the picture to begin from, else of the second pass
  std::optional<double> eta = {}, eta_ddim = {};  // of ancestral samplers, of DDIM
  std::optional<int64_t> clip_skip = {}, noise_seed_delta = {};
  std::string prompt_syntax = {}, rng = {}, precision = {};
  std::string seeding = {};  // of files of earlier versions
  std::optional<uint64_t> subseed = {};
  std::optional<double> subseed_strength = {};
  // Of a job with one generator for all pictures: the most at once, the number of this one from 0 on, and how many
  // there are of each iteration, where the last batch has fewer.
  std::optional<int64_t> batch_size = {}, batch_pos = {}, pictures = {};
  bool fixed_noise = false;

  std::string init = {}, init_hash = {}, resize = {}, background = {}, convention = {}, extend = {};
  std::string mask = {}, mask_hash = {}, mask_mode = {}, mask_content = {}, inpaint_area = {};
  std::optional<int64_t> mask_blur = {}, mask_padding = {};

  std::optional<double> hires_scale = {}, hires_strength = {}, hires_guidance = {};
  std::optional<PictureSize> hires_size = {};
  std::optional<int64_t> hires_steps = {};
  std::string hires_upscaler = {}, hires_sampler = {}, hires_schedule = {};
  std::optional<std::string> hires_prompt = {}, hires_negative = {};

  std::vector<ControlParameters> controls = {};
  std::vector<std::string> control_images = {}, control_hashes = {};  // of each of `controls`; may be empty texts
  std::vector<std::string> embeddings = {};

  bool tiling = false, tiled_decode = false;
  std::string seamless = {}, safety_checker = {}, watermark = {};
  std::string vae = {}, config = {}, prediction = {}, weights = {};  // of how the model was opened
  bool exact = false;
  std::string model = {}, version = {};  // names without folders; "sumi 0.1.0"

  std::vector<std::pair<std::string, std::string>> other = {};  // read, of other keys or with values that are wrong

  bool operator==(const GenerationParameters&) const = default;
};

// visit(key, member) for each member but the two prompts and `other`, in the order of the text: what is written and
// what is read both follow this table. Keys are the web UI's where it has them, and its extensions'.
template <class Parameters, class Visit> void visit_parameters(Parameters&& p, Visit&& visit) {
  visit("Steps", p.steps);
  visit("Sampler", p.sampler);
  visit("Schedule type", p.schedule);
  visit("CFG scale", p.guidance);
  visit("Seed", p.seed);
  visit("Size", p.size);
  visit("Denoising strength", p.strength);
  visit("Eta", p.eta);
  visit("Eta DDIM", p.eta_ddim);
  visit("Clip skip", p.clip_skip);
  visit("ENSD", p.noise_seed_delta);
  visit("Prompt syntax", p.prompt_syntax);
  visit("RNG", p.rng);
  visit("Seeding", p.seeding);
  visit("Precision", p.precision);
  visit("Variation seed", p.subseed);
  visit("Variation seed strength", p.subseed_strength);
  visit("Batch size", p.batch_size);
  visit("Batch pos", p.batch_pos);
  visit("Pictures", p.pictures);
  visit("Fixed noise", p.fixed_noise);
  visit("Init", p.init);
  visit("Init hash", p.init_hash);
  visit("Resize", p.resize);
  visit("Background", p.background);
  visit("Convention", p.convention);
  visit("Extend", p.extend);
  visit("Mask", p.mask);
  visit("Mask hash", p.mask_hash);
  visit("Mask mode", p.mask_mode);
  visit("Mask blur", p.mask_blur);
  visit("Masked content", p.mask_content);
  visit("Inpaint area", p.inpaint_area);
  visit("Masked area padding", p.mask_padding);
  visit("Hires upscale", p.hires_scale);
  visit("Hires resize", p.hires_size);
  visit("Hires steps", p.hires_steps);
  visit("Hires upscaler", p.hires_upscaler);
  visit("Hires denoising strength", p.hires_strength);
  visit("Hires sampler", p.hires_sampler);
  visit("Hires schedule type", p.hires_schedule);
  visit("Hires CFG Scale", p.hires_guidance);
  visit("Hires prompt", p.hires_prompt);
  visit("Hires negative prompt", p.hires_negative);
  visit("ControlNet", p.controls);  // "ControlNet 0", …, as are all lists
  visit("Control image", p.control_images);
  visit("Control image hash", p.control_hashes);
  visit("Embedding", p.embeddings);
  visit("Tiling", p.tiling);
  visit("Seamless", p.seamless);
  visit("Tiled decode", p.tiled_decode);
  visit("Safety checker", p.safety_checker);
  visit("Watermark", p.watermark);
  visit("VAE", p.vae);
  visit("Config", p.config);
  visit("Prediction", p.prediction);
  visit("Weight type", p.weights);
  visit("Exact convolutions", p.exact);
  visit("Model", p.model);
  visit("Version", p.version);
}

template <class Control, class Visit> void visit_control(Control& c, Visit&& visit) {
  visit("Module", c.module);
  visit("Model", c.model);
  visit("Weight", c.weight);
  visit("Resize Mode", c.resize);
  visit("Guidance Start", c.start);
  visit("Guidance End", c.end);
  visit("Control Mode", c.mode);
}

// Numbers have the fewest digits that give them back. Control characters other than newlines are left out; a value with
// a comma, colon or newline is quoted as JSON. A prompt that would be read back as another (a line of it begins with
// "Negative prompt:") is given once more, quoted, as "Prompt".
std::string format_parameters(const GenerationParameters& parameters);

// What `text` says, by the rules of the web UI; and where its last line has fewer than three pairs, by Civitai's: the
// last line that begins with "Steps: " has them. A text without either is all prompt. Takes any bytes; linear time.
GenerationParameters parse_parameters(std::string_view text);

// `text` without its control characters (C0, DEL, C1; newline and tab become spaces unless `keep_newlines`), for logs,
// names and metadata.
std::string strip_controls(std::string_view text, bool keep_newlines = false);

}  // namespace sumi::image
