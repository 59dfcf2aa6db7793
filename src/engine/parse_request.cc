// A request as far as no model is needed: its numbers and words checked, its prompts parsed, its pictures read.
// Declared in resolve.h.
#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/text_util.h"
#include "engine/resolve.h"
#include "image/upright.h"
#include "image/watermark.h"

namespace sumi::engine {
namespace {

constexpr size_t kMostControls = 16;
constexpr double kImageToImageScale = 5.0;  // of the original's scripts/img2img.py

void check_side(std::string_view name, const std::optional<int64_t>& pixels) {
  SUMI_CHECK_KIND(kUsage, !pixels || (*pixels > 0 && *pixels <= kMaxSide && *pixels % 8 == 0),
                  "`{}` must be a multiple of 8 from 8 to {}, not {}", name, kMaxSide, pixels.value_or(0));
}

void check_count(std::string_view name, int64_t count, int64_t most) {
  SUMI_CHECK_KIND(kUsage, count >= 1 && count <= most, "{} must be from 1 to {}, not {}", name, most, count);
}

void check_part(std::string_view name, const std::optional<double>& part) {
  SUMI_CHECK_KIND(kUsage, !part || (std::isfinite(*part) && *part >= 0 && *part <= 1),
                  "`{}` must be a number from 0 to 1, not {}", name, part.value_or(0));
}

void check_word(std::string_view name, const std::optional<std::string>& word, std::string_view words) {
  if (!word) return;
  for (std::string_view rest = words; !rest.empty();) {
    const size_t end = std::min(rest.find(", "), rest.size());
    if (rest.substr(0, end) == *word) return;
    rest.remove_prefix(std::min(end + 2, rest.size()));
  }
  fail(ErrorKind::kUsage, "`{}` must be one of {}, not {}", name, words, excerpt(*word));
}

void check_control(const Control& control) {
  SUMI_CHECK_KIND(kUsage, !control.model.empty() && !control.image.empty(),
                  "a control needs `model`, the ControlNet's file, and `image`, the picture to follow");
  SUMI_CHECK_KIND(kUsage, std::isfinite(control.weight) && std::abs(control.weight) <= 100,
                  "a control's `weight` must be a number from -100 to 100, not {}", control.weight);
  check_part("start", control.start);
  check_part("end", control.end);
  SUMI_CHECK_KIND(kUsage, control.start < control.end, "a control's `start`, {}, must be below its `end`, {}",
                  control.start, control.end);
  check_word("preprocess", control.preprocess, "none, canny");
}

void check_hires(const Hires& hires) {
  SUMI_CHECK_KIND(kUsage, std::isfinite(hires.scale) && hires.scale >= 1 && hires.scale <= 16,
                  "the `scale` of `hires` must be a number from 1 to 16, not {}", hires.scale);
  check_count("the `steps` of `hires`", hires.steps.value_or(1), kMaxSteps);
  check_part("strength", hires.strength);
  SUMI_CHECK_KIND(kUsage, hires.strength.value_or(1.0) > 0.0, "the `strength` of `hires` must be above 0");
  const double guidance = hires.guidance.value_or(1.0);
  SUMI_CHECK_KIND(kUsage, std::isfinite(guidance) && guidance >= 0 && guidance <= kMaxScale,
                  "the `guidance` of `hires` must be a number from 0 to {}, not {}", kMaxScale, guidance);
}

// Of pictures that are given, and what is made with them.
void check_pictures(const Request& r) {
  check_part("strength", r.strength);
  check_part("subseed_strength", r.subseed_strength);
  if (r.resize) image::fit_of(*r.resize);
  if (r.convention) convention_of(*r.convention);
  if (r.mask_content) mask_content_of(*r.mask_content);
  if (!r.seamless.empty()) check_word("seamless", r.seamless, "x, y, xy");
  if (r.background) image::colour_of(*r.background);
  SUMI_CHECK_KIND(kUsage, r.mask_blur.value_or(0) >= 0 && r.mask_blur.value_or(0) <= 256,
                  "`mask_blur` must be from 0 to 256 pixels, not {}", r.mask_blur.value_or(0));
  SUMI_CHECK_KIND(kUsage, r.mask_padding.value_or(0) >= 0 && r.mask_padding.value_or(0) <= kMaxSide,
                  "`mask_padding` must be from 0 to {} pixels, not {}", kMaxSide, r.mask_padding.value_or(0));
  SUMI_CHECK_KIND(kUsage, r.extend.empty() || r.extend.size() == 4,
                  "`extend` must be four numbers of pixels, left, right, top and bottom, not {}", r.extend.size());
  for (const int64_t pixels : r.extend) {
    SUMI_CHECK_KIND(kUsage, pixels >= 0 && pixels <= kMaxSide, "`extend` must have numbers from 0 to {}, not {}",
                    kMaxSide, pixels);
  }
  const bool extends = std::any_of(r.extend.begin(), r.extend.end(), [](int64_t pixels) { return pixels > 0; });
  SUMI_CHECK_KIND(kUsage, r.extend.empty() || extends, "`extend` has no pixels to add on any side");
  if (!r.watermark.empty()) image::watermark_bits(r.watermark);
  if (r.hires) check_hires(*r.hires);
  SUMI_CHECK_KIND(kUsage, r.controls.size() <= kMostControls, "there may be {} `controls`, not {}", kMostControls,
                  r.controls.size());
  for (const Control& control : r.controls) check_control(control);
}

// Counts that are within their bounds, and seeds.
void check_seeds(const Request& r) {
  SUMI_CHECK_KIND(kUsage, !r.seed,
                  "`seed` and `seeds` exclude one another: the first of `seeds` is the first picture's");
  SUMI_CHECK_KIND(kUsage, r.seeding.value_or("picture") == "picture",
                  "`seeds` need `seeding` picture: with run, one generator draws for all pictures");
  SUMI_CHECK_KIND(kUsage, !r.subseed && r.subseed_strength.value_or(0.0) == 0.0,
                  "`seeds` and `subseed` exclude one another: a variation of each seed is a request of its own");
  const auto given = static_cast<int64_t>(r.seeds.size());
  const int64_t pictures = static_cast<int64_t>(r.prompts.size()) * r.copies.value_or(1) * r.iterations.value_or(1);
  SUMI_CHECK_KIND(kUsage, given == pictures,
                  "`seeds` must have one for each picture, {} (prompts times `copies` times `iterations`), not {}",
                  pictures, given);
}

// Reads a request's words.
class Parser {
 public:
  Parser(Request request, const std::optional<Form>& form) {
    check_request(request);
    out_.form = form ? *form : form_of(request.defaults.value_or("quick"));
    const bool script = !form && request.defaults.value_or("quick") == "original";
    if (script && !request.init.empty()) out_.form.drawing.scale = kImageToImageScale;
    out_.request = std::move(request);
  }

  ParsedRequest operator()() {
    const Request& r = out_.request;
    const std::string& own = out_.form.drawing.sampler;
    std::tie(out_.sampler, out_.schedule) = choose_sampler(r.sampler, r.schedule, own, out_.form.drawing.schedule);
    out_.syntax = syntax_of(out_.request.syntax.value_or(out_.form.syntax));
    out_.negative = parse_prompt(out_.request.negative_prompt.value_or(""), out_.syntax);
    for (const std::string& prompt : out_.request.prompts) take(prompt);
    if (r.hires) parse_hires(*r.hires);
    out_.pictures = std::make_shared<const GivenPictures>(read_pictures(r));
    return std::move(out_);
  }

 private:
  // A sampler's name or alias may bring its schedule. The form's schedule belongs to the form's sampler.
  static std::pair<std::string, std::string> choose_sampler(const std::optional<std::string>& sampler,
                                                            const std::optional<std::string>& schedule,
                                                            const std::string& own, const std::string& own_schedule) {
    if (!sampler && !schedule) return {};
    std::string implied;
    const std::string chosen = diffusion::resolve_sampler(sampler.value_or(own), &implied);
    const std::string asked = schedule ? diffusion::resolve_schedule(*schedule, chosen) : std::string();
    SUMI_CHECK_KIND(kUsage, !schedule || implied.empty() || asked == implied,
                    "\"{}\" means the schedule {}, but `schedule` says {}", sampler.value_or(own), implied, *schedule);
    const std::string decided = schedule ? asked : chosen == own && implied.empty() ? own_schedule : implied;
    diffusion::check_sampler(chosen, decided);
    return {chosen, decided};
  }

  // The second pass has the first's sampler where it names none, and its schedule with that.
  void parse_hires(const Hires& hires) {
    const models::DrawingDefaults& form = out_.form.drawing;
    const std::string first = out_.sampler.empty() ? form.sampler : out_.sampler;
    const std::string schedule = out_.sampler.empty() ? form.schedule : out_.schedule;
    std::tie(out_.hires_sampler, out_.hires_schedule) = choose_sampler(hires.sampler, hires.schedule, first, schedule);
    if (hires.prompt) {
      const text::TaggedPrompt tagged = text::take_lora_tags(*hires.prompt);
      SUMI_CHECK_KIND(kUsage, tagged.loras.empty() || tagged.loras == out_.loras,
                      "the `prompt` of `hires` names other LoRAs than the prompt does; both passes are drawn with the "
                      "same ones");
      out_.hires_prompt = parse_prompt(tagged.prompt, out_.syntax);
    }
    if (hires.negative_prompt) out_.hires_negative = parse_prompt(*hires.negative_prompt, out_.syntax);
  }

  void take(const std::string& prompt) {
    text::TaggedPrompt tagged = text::take_lora_tags(prompt);
    SUMI_CHECK_KIND(kUsage, out_.prompts.empty() || tagged.loras == out_.loras,
                    "the prompts name different LoRAs; put only prompts with the same ones into one run");
    out_.loras = std::move(tagged.loras);
    const auto [known, fresh] = places_.emplace(tagged.prompt, out_.texts.size());
    if (fresh) out_.texts.push_back(parse_prompt(tagged.prompt, out_.syntax));
    out_.prompts.push_back(known->second);
  }

  ParsedRequest out_;
  std::map<std::string, size_t> places_;  // of the texts
};

}  // namespace

Form form_of(const std::string& defaults) {
  SUMI_CHECK_KIND(kUsage, defaults == "quick" || defaults == "original", "`defaults` must be quick or original, not {}",
                  defaults);
  if (defaults == "original") return {};
  return {.drawing = {.sampler = "dpmpp_2m", .schedule = "karras", .steps = 25}, .syntax = "weighted"};
}

void check_request(const Request& r) {
  check_side("width", r.width);
  check_side("height", r.height);
  check_count("the number of pictures at once, `batch`,", r.batch.value_or(1), kMaxBatch);
  check_count("the number of pictures of a prompt, `copies`,", r.copies.value_or(1), kMaxIterations);
  check_count("the number of iterations, `iterations`,", r.iterations.value_or(1), kMaxIterations);
  check_count("`steps`", r.steps.value_or(1), kMaxSteps);
  const double scale = r.scale.value_or(1.0), eta = r.eta.value_or(0.0);
  SUMI_CHECK_KIND(kUsage, std::isfinite(scale) && scale >= 0 && scale <= kMaxScale,
                  "the guidance `scale` must be a number from 0 to {}, not {}", kMaxScale, scale);
  SUMI_CHECK_KIND(kUsage, std::isfinite(eta) && eta >= 0 && eta <= 1, "`eta` must be a number from 0 to 1, not {}",
                  eta);
  const std::string rng = r.rng.value_or("cpu"), seeding = r.seeding.value_or(r.seeds.empty() ? "run" : "picture");
  SUMI_CHECK_KIND(kUsage, rng == "cpu" || rng == "cuda", "`rng` must be cpu or cuda, not {}", rng);
  SUMI_CHECK_KIND(kUsage, seeding == "run" || seeding == "picture", "`seeding` must be run or picture, not {}",
                  seeding);
  SUMI_CHECK_KIND(kUsage, seeding == "run" || !r.fixed_noise,
                  "`fixed_noise` is for `seeding` run: with picture, equal seeds start from equal noise");
  SUMI_CHECK_KIND(kUsage, r.share_of >= 1 && r.share >= 0 && r.share < r.share_of,
                  "`share` must be from 0 to `share_of` - 1, not {} of {}", r.share, r.share_of);
  SUMI_CHECK_KIND(kUsage, static_cast<int64_t>(r.prompts.size()) <= kMostPictures / r.copies.value_or(1),
                  "{} prompts times {} `copies` are more than {} pictures", r.prompts.size(), r.copies.value_or(1),
                  kMostPictures);
  SUMI_CHECK_KIND(kUsage, !r.prompts.empty(), "no prompt was given: `prompts` is empty");
  if (!r.seeds.empty()) check_seeds(r);
  for (const Lora& lora : r.loras) {
    const bool finite =
        std::isfinite(lora.weight) && std::isfinite(lora.unet.value_or(0.0)) && std::isfinite(lora.text.value_or(0.0));
    SUMI_CHECK_KIND(kUsage, finite, "a weight of the LoRA {} is not a number", lora.file);
  }
  check_pictures(r);
  if (r.syntax) syntax_of(*r.syntax);
  if (r.defaults) form_of(*r.defaults);
}

ParsedRequest parse_request(Request request, const std::optional<Form>& form) {
  return Parser(std::move(request), form)();
}

}  // namespace sumi::engine
