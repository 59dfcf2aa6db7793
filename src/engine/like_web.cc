// The parameters of sumi and of A1111's web UI as a request.
#include <algorithm>
#include <array>
#include <charconv>

#include "diffusion/sampling.h"
#include "engine/like_readers.h"
#include "engine/resolve.h"
#include "engine/web_words.h"

namespace sumi::engine {
namespace {

using image::GenerationParameters;

// What does not change how a picture is drawn.
constexpr std::array<std::string_view, 16> kInformation{
    "Model hash", "VAE hash",         "Lora hashes", "TI hashes", "Hashes", "Init image hash",
    "User",       "Batch pos",        "Time taken",  "Backend",   "App",    "Civitai resources",
    "Parser",     "Civitai metadata", "Pipeline",    "Operations"};

// "8 0 16 24"
std::vector<int64_t> numbers_of(const std::string& text) {
  std::vector<int64_t> numbers;
  const char *at = text.data(), *end = at + text.size();
  while (at < end && numbers.size() < 5) {
    int64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc()) return {};
    numbers.push_back(value);
    at = next < end && *next == ' ' ? next + 1 : next;
  }
  return numbers;
}

std::optional<std::string> given(const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); }

class WebReader {
 public:
  WebReader(const GenerationParameters& p, std::optional<image::PictureSize> picture, Like& like)
      : p_(p), picture_(picture), like_(like), r_(like.request), own_(p.version.starts_with("sumi ")) {}

  void operator()() {
    like_.from = own_ ? "sumi" : "A1111's web UI";
    like_.model = p_.model;
    take_model();
    take_prompts();
    take_sampling();
    take_size();
    take_noise();
    take_picture();
    take_hires();
    take_controls();
    take_finish();
    leave_rest();
  }

 private:
  void take_model() {
    like_.precision = p_.precision;
    if (p_.vae != "None" && p_.vae != "Automatic") like_.vae = base_name(p_.vae);
    like_.config = base_name(p_.config);
    like_.prediction = p_.prediction;
    like_.dtype = p_.weights;
    like_.exact = p_.exact;
  }

  void take_prompts() {
    r_.prompts = {p_.prompt};
    r_.negative_prompt = p_.negative_prompt;
    r_.syntax = p_.prompt_syntax == "exact" ? "exact" : "weighted";
    r_.embeddings = p_.embeddings;
    if (!own_) leave_prompt_editing();
    take_tags(like_);
  }

  // [from:to:0.5], [a|b], AND: parts of the web UI's syntax that sumi takes for text.
  void leave_prompt_editing() {
    const std::string& text = p_.prompt;
    if (text.find(" AND ") != std::string::npos) leave(like_, "AND in the prompt");
    size_t open = std::string::npos;
    bool edits = false;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\') {
        ++i;
      } else if (text[i] == '[') {
        open = i;
        edits = false;
      } else if (text[i] == ':' || text[i] == '|') {
        edits = true;
      } else if (text[i] == ']') {
        if (open != std::string::npos && edits) leave(like_, text.substr(open, i + 1 - open) + " in the prompt");
        open = std::string::npos;
      }
    }
  }

  // Versions before 1.9 name the schedule with the sampler or mean the sampler's plain one; none tells of a choice.
  void take_sampling() {
    r_.steps = p_.steps;
    r_.scale = p_.guidance;
    if (!p_.sampler.empty()) {
      take_sampler(r_, p_.sampler, p_.schedule, like_);
      if (p_.schedule.empty() && !r_.schedule && r_.sampler) take_sampler(r_, *r_.sampler, "Uniform", like_);
    }
    const auto eta = p_.eta_ddim ? p_.eta_ddim : p_.eta;
    if (!eta) return;
    if (r_.sampler == "ddim") {
      r_.eta = eta;
    } else if (*eta != 1.0) {
      leave(like_, fmt::format("Eta {}", *eta));
    }
  }

  // A mask leaves the picture its own size, which need not be what is drawn.
  void take_size() {
    const bool masked = !p_.mask.empty() || !p_.mask_hash.empty() || !p_.extend.empty();
    const bool kept = own_ && masked && !p_.mask_padding && picture_ && p_.size && *picture_ != *p_.size;
    if (!p_.size || kept) return;
    r_.width = p_.size->width;
    r_.height = p_.size->height;
  }

  void take_noise() {
    r_.seed = p_.seed;
    // A picture that has no place among others is the same drawn alone.
    r_.seeding = own_ && p_.batch_pos && p_.seeding != "picture" ? "run" : "picture";
    const std::string usual = own_ ? "cpu" : "cuda";  // the web UI's default is the graphics card's
    r_.rng = p_.rng.empty() || p_.rng == "GPU" ? usual : own_word(kWebRandom, p_.rng);
    if (r_.rng != "cpu" && r_.rng != "cuda") {
      leave(like_, "RNG " + p_.rng);
      r_.rng = usual;
    }
    r_.subseed = p_.subseed;
    r_.subseed_strength = p_.subseed_strength;
    if (own_ && r_.seeding == "run") take_batch();
  }

  // Draws the batch that the picture was in, and no other.
  void take_batch() {
    r_.fixed_noise = p_.fixed_noise;
    const int64_t number = p_.batch_pos.value_or(0), batch = p_.batch_size.value_or(1);
    if (!p_.batch_pos) return;
    const bool bearable = number >= 0 && number < kMostPictures && batch >= 1 && batch <= kMaxBatch;
    const int64_t pictures = bearable ? p_.pictures.value_or((number / batch + 1) * batch) : 0;
    if (!bearable || pictures < 1 || pictures > kMostPictures / 10 || number / pictures >= kMaxIterations)
      return leave(like_, fmt::format("Batch pos {}", number));
    const int64_t in_iteration = number % pictures, iteration = number / pictures;
    r_.copies = pictures;
    r_.batch = batch;
    r_.iterations = iteration + 1;
    r_.share = iteration * ((pictures + batch - 1) / batch) + in_iteration / batch;
    r_.share_of = iteration * ((pictures + batch - 1) / batch) + (pictures + batch - 1) / batch;
    like_.number = number;
  }

  void take_picture() {
    r_.init = base_name(p_.init);
    like_.init_hash = p_.init_hash;
    r_.convention = given(p_.convention);
    r_.resize = given(p_.resize);
    r_.background = given(p_.background);
    r_.extend = numbers_of(p_.extend);
    r_.mask = base_name(p_.mask);
    like_.mask_hash = p_.mask_hash;
    r_.mask_invert = p_.mask_mode == kWebInverted;
    r_.mask_blur = p_.mask_blur;
    if (!p_.mask_content.empty()) r_.mask_content = own_word(kWebMaskContents, p_.mask_content);
    if (p_.mask_padding || p_.inpaint_area == kWebOnlyMasked) r_.mask_padding = p_.mask_padding.value_or(32);
    if (!hires() || own_picture()) r_.strength = p_.strength;
    if (own_) leave_picture_without_name();
    // The web UI names no pictures; who gives one by hand wants its rules.
    if (!own_ && p_.strength && !hires()) {
      leave(like_, "the picture that it began from, which is not named (Denoising strength)");
      if (p_.mask_blur || !p_.mask_content.empty() || !p_.inpaint_area.empty()) leave(like_, "its mask");
    }
  }

  // Pictures that were given whole have a hash alone.
  void leave_picture_without_name() {
    if (p_.init.empty() && !p_.init_hash.empty()) leave(like_, "the picture that it began from, which had no name");
    if (p_.mask.empty() && !p_.mask_hash.empty()) leave(like_, "its mask, which had no name");
  }

  bool own_picture() const { return !p_.init.empty() || !p_.init_hash.empty(); }
  bool hires() const { return p_.hires_scale || p_.hires_size; }

  static bool is_bearable(const image::PictureSize& size) {
    return size.width > 0 && size.height > 0 && size.width <= 16 * kMaxSide && size.height <= 16 * kMaxSide;
  }

  void take_hires() {
    if (!hires()) return;
    Hires h;
    if (p_.hires_scale) {
      h.scale = *p_.hires_scale;
    } else if (p_.size && is_bearable(*p_.size) && is_bearable(*p_.hires_size) &&
               p_.hires_size->width * p_.size->height == p_.hires_size->height * p_.size->width) {
      h.scale = static_cast<double>(p_.hires_size->width) / static_cast<double>(p_.size->width);
    } else {
      return leave(like_, fmt::format("Hires resize {}x{}", p_.hires_size->width, p_.hires_size->height));
    }
    if (!p_.hires_upscaler.empty()) h.upscaler = own_word(kWebUpscalers, p_.hires_upscaler);
    if (p_.hires_steps.value_or(0) != 0) h.steps = p_.hires_steps;
    h.strength = own_picture() ? p_.hires_strength : p_.strength;
    h.guidance = p_.hires_guidance;
    if (!p_.hires_sampler.empty() || !p_.hires_schedule.empty()) {
      Request second{.sampler = r_.sampler};
      take_sampler(second, p_.hires_sampler.empty() ? r_.sampler.value_or(p_.sampler) : p_.hires_sampler,
                   p_.hires_schedule, like_);
      h.sampler = second.sampler;
      h.schedule = second.schedule;
    }
    h.prompt = p_.hires_prompt;
    h.negative_prompt = p_.hires_negative;
    r_.hires = h;
  }

  void take_controls() {
    for (size_t i = 0; i < p_.controls.size(); ++i) {
      const image::ControlParameters& c = p_.controls[i];
      const std::string hash = i < p_.control_hashes.size() ? p_.control_hashes[i] : "";
      const std::string image = i < p_.control_images.size() ? base_name(p_.control_images[i]) : "";
      const std::string shown = fmt::format("ControlNet {} {}", i, c.model);
      const bool known_module = c.module.empty() || c.module == "none" || c.module == "canny";
      const bool known_mode = c.mode.empty() || c.mode == kWebBalanced || c.mode == kWebGuess;
      if (c == image::ControlParameters{}) continue;  // none of that number
      if (image.empty()) {
        leave(like_, shown + ", whose picture is not named");
        continue;
      }
      if (!known_module) leave(like_, fmt::format("{}: the preprocessor {}", shown, c.module));
      if (!known_mode) leave(like_, fmt::format("{}: {}", shown, c.mode));
      r_.guess_mode |= c.mode == kWebGuess;
      if (!own_ && !r_.resize) r_.resize = own_word(kWebResizes, c.resize);
      r_.controls.push_back({.model = base_name(without_hash(c.model)),
                             .image = image,
                             .weight = c.weight.value_or(1.0),
                             .start = c.start.value_or(0.0),
                             .end = c.end.value_or(1.0),
                             .preprocess = c.module == "canny" ? std::optional<std::string>("canny") : std::nullopt});
      like_.control_hashes.push_back(hash);
    }
  }

  // "control_v11p_sd15_canny [d14c016b]"
  static std::string without_hash(const std::string& model) {
    const size_t open = model.rfind(" [");
    return open != std::string::npos && model.ends_with("]") ? model.substr(0, open) : model;
  }

  void take_finish() {
    r_.seamless = p_.tiling ? "xy" : p_.seamless;
    r_.tiled_decode = p_.tiled_decode;
    r_.safety_checker = base_name(p_.safety_checker);
    r_.watermark = p_.watermark;
  }

  void leave_rest() {
    if (p_.clip_skip.value_or(1) != 1) leave(like_, fmt::format("Clip skip {}", *p_.clip_skip));
    if (p_.noise_seed_delta.value_or(0) != 0) leave(like_, fmt::format("ENSD {}", *p_.noise_seed_delta));
    for (const auto& [key, value] : p_.other) {
      if (std::find(kInformation.begin(), kInformation.end(), key) == kInformation.end())
        leave(like_, fmt::format("{} {}", key, value));
    }
  }

  const GenerationParameters& p_;
  std::optional<image::PictureSize> picture_;
  Like& like_;
  Request& r_;
  bool own_;  // sumi's
};

}  // namespace

void take_parameters(const GenerationParameters& parameters, std::optional<image::PictureSize> picture, Like& like) {
  WebReader(parameters, picture, like)();
}

}  // namespace sumi::engine
