// The settings text of a picture. Declared in resolve.h; like.cc reads it back.
#include <algorithm>
#include <array>
#include <string_view>

#include "diffusion/sampling.h"
#include "engine/resolve.h"
#include "engine/web_words.h"
#include "image/metadata.h"

namespace sumi::engine {
namespace {

using image::GenerationParameters;

std::string file_name(const std::string& path) {
  const std::filesystem::path file(path);
  return (file.has_filename() ? file : file.parent_path()).filename().string();
}

// A1111's order is the text encoder first.
std::string tag_of(const Lora& lora) {
  const std::string name = std::filesystem::path(lora.file).stem().string();
  const double unet = lora.unet.value_or(lora.weight), text = lora.text.value_or(lora.weight);
  return unet == text ? fmt::format(" <lora:{}:{}>", name, text) : fmt::format(" <lora:{}:{}:{}>", name, text, unet);
}

// A text that is written only where it is not what its absence means.
std::string unless(const std::string& value, std::string_view usual) { return value == usual ? "" : value; }

template <class T> std::optional<T> unless_zero(T value) { return value == T{} ? std::nullopt : std::optional(value); }

// "8 0 16 24"
std::string spaced(const std::vector<int64_t>& numbers) { return fmt::format("{}", fmt::join(numbers, " ")); }

void add_picture(const Settings& s, GenerationParameters& p) {
  if (s.init) {
    p.init = s.init->name;
    p.init_hash = s.init->hash;
    p.strength = s.strength;
    p.convention = s.convention;
  }
  if (s.init || !s.controls.empty()) {
    p.resize = unless(s.resize, "stretch");
    p.background = unless(s.background, "white");
  }
  p.extend = spaced(s.extend);
  if (s.mask) {
    p.mask = s.mask->name;
    p.mask_hash = s.mask->hash;
  }
  if (!s.mask && s.extend.empty()) return;
  p.mask_mode = s.mask_invert ? kWebInverted : "";
  p.mask_blur = s.mask_blur;
  p.mask_content = web_word(kWebMaskContents, s.mask_content);
  p.mask_padding = s.mask_padding;
  if (s.mask_padding) p.inpaint_area = kWebOnlyMasked;
}

void add_hires(const Settings& s, GenerationParameters& p) {
  if (!s.hires) return;
  const HiresSettings& h = *s.hires;
  p.hires_scale = h.scale;
  p.hires_steps = h.steps;
  const std::string upscaler = web_word(kWebUpscalers, h.upscaler);
  p.hires_upscaler = upscaler == h.upscaler ? model_name(h.upscaler) : upscaler;
  (s.init ? p.hires_strength : p.strength) = h.strength;
  if (h.guidance != s.scale) p.hires_guidance = h.guidance;
  if (h.sampler != s.sampler || h.schedule != s.schedule) {
    p.hires_sampler = diffusion::web_name_of_sampler(h.sampler);
    p.hires_schedule = diffusion::web_name_of_schedule(h.schedule, h.sampler);
  }
  p.hires_prompt = h.prompt;
  p.hires_negative = h.negative_prompt;
}

void add_controls(const Settings& s, GenerationParameters& p) {
  for (const ControlSettings& c : s.controls) {
    p.controls.push_back({.module = c.preprocess,
                          .model = model_name(c.model),
                          .resize = web_word(kWebResizes, s.resize.empty() ? "stretch" : s.resize),
                          .mode = std::string(s.guess_mode ? kWebGuess : kWebBalanced),
                          .weight = c.weight,
                          .start = c.start,
                          .end = c.end});
    p.control_images.push_back(c.image.name);
    p.control_hashes.push_back(c.image.hash);
  }
}

// With one generator, a picture depends on those before it. One with a seed of its own has the same text whatever it
// was drawn with.
void add_batch(const Settings& s, int64_t number, const JobParts& parts, GenerationParameters& p) {
  if (s.seeding == "picture" || number < 0) return;
  p.batch_pos = number;
  if (s.batch > 1) p.batch_size = s.batch;
  const int64_t pictures = s.pictures / std::max<int64_t>(1, parts.iterations);
  if (pictures % s.batch != 0) p.pictures = pictures;
  p.fixed_noise = parts.fixed_noise;
}

}  // namespace

std::string model_name(const std::filesystem::path& checkpoint) {
  const std::filesystem::path path = checkpoint.has_filename() ? checkpoint : checkpoint.parent_path();
  const std::string ending = path.extension().string();
  const bool known = std::find(kModelEndings.begin(), kModelEndings.end(), ending) != kModelEndings.end();
  return known ? path.stem().string() : path.filename().string();
}

std::string parameters_of(const Settings& s, const std::string& prompt, uint64_t seed, int64_t number,
                          const JobParts& parts) {
  std::string text = prompt;
  for (const Lora& lora : s.loras) text += tag_of(lora);
  GenerationParameters p{.prompt = text,
                         .negative_prompt = s.negative_prompt,
                         .steps = s.steps,
                         .sampler = diffusion::web_name_of_sampler(s.sampler),
                         .schedule = diffusion::web_name_of_schedule(s.schedule, s.sampler),
                         .guidance = s.scale,
                         .seed = seed,
                         .size = image::PictureSize{s.width, s.height},
                         .eta_ddim = unless_zero(s.eta),
                         .prompt_syntax = unless(s.syntax, "weighted"),
                         .rng = web_word(kWebRandom, s.rng),
                         .precision = unless(s.precision, "f32"),
                         .tiling = s.seamless == "xy",
                         .tiled_decode = s.tiled_decode,
                         .seamless = unless(s.seamless, "xy"),
                         .safety_checker = file_name(s.safety_checker),
                         .watermark = s.watermark,
                         .vae = file_name(s.vae),
                         .config = file_name(s.config),
                         .prediction = s.prediction,
                         .weights = s.dtype,
                         .exact = s.exact,
                         .model = model_name(s.model),
                         .version = "sumi " SUMI_VERSION};
  if (s.subseed_strength > 0.0) {
    p.subseed = s.subseed;
    p.subseed_strength = s.subseed_strength;
  }
  for (const std::string& file : s.embeddings) p.embeddings.push_back(file_name(file));
  add_picture(s, p);
  add_hires(s, p);
  add_controls(s, p);
  add_batch(s, number, parts, p);
  return image::format_parameters(p);
}

}  // namespace sumi::engine
