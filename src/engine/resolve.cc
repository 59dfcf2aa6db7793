#include "engine/resolve.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <random>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "engine/controls.h"
#include "engine/embeddings.h"
#include "engine/find_lora.h"
#include "engine/safety.h"
#include "image/hints.h"
#include "image/png.h"
#include "image/watermark.h"

namespace sumi::engine {
namespace {

// Decides a request's fields one after the other.
class Resolver {
 public:
  Resolver(const Facts& facts, const ParsedRequest& parsed)
      : facts_(facts),
        parsed_(parsed),
        request_(parsed.request),
        drawing_(models::resolve_defaults(facts.config, parsed.form.drawing)) {}

  ResolvedJob operator()() {
    decide_numbers();
    decide_sampling();
    decide_canvas();
    decide_size();
    decide_entry();
    decide_second();
    check_finished();
    find_controls();
    find_loras();
    find_embeddings();
    take_prompts();
    return std::move(job_);
  }

 private:
  Settings& settings() { return job_.settings; }

  // The sampler that will be used, before there is a grid.
  std::string sampler() const { return parsed_.sampler.empty() ? drawing_.sampler : parsed_.sampler; }

  void decide_convention() {
    if (request_.convention) {
      job_.convention = convention_of(*request_.convention);
    } else if (!diffusion::uses_timesteps(sampler())) {
      job_.convention = Convention::kWebui;
    } else {
      const bool original = request_.defaults.value_or("quick") == "original" && sampler() == "ddim";
      job_.convention = original ? Convention::kOriginal : Convention::kDiffusers;
    }
    SUMI_CHECK_KIND(kUsage, job_.convention != Convention::kOriginal || diffusion::uses_timesteps(sampler()),
                    "`convention` original is for samplers on timesteps, as ddim; {} needs diffusers or webui",
                    sampler());
  }

  // What only means something beside a picture must not be dropped in silence.
  void refuse_without_picture() const {
    const auto needs = [](bool given, std::string_view what, std::string_view other) {
      SUMI_CHECK_KIND(kUsage, !given, "`{}` means nothing without `{}`: give that too, or leave it out", what, other);
    };
    const Request& r = request_;
    const bool init = parsed_.pictures->init.has_value(), mask = parsed_.pictures->mask || !r.extend.empty();
    needs(!init && parsed_.pictures->mask, "mask", "init");
    needs(!init && !r.extend.empty(), "extend", "init");
    needs(!init && r.strength, "strength", "init");
    needs(!init && r.convention, "convention", "init");
    needs(!init && r.resize && r.controls.empty(), "resize", "init");
    needs(!init && r.background && r.controls.empty(), "background", "init");
    needs(!mask && r.mask_invert, "mask_invert", "mask");
    needs(!mask && r.mask_blur, "mask_blur", "mask");
    needs(!mask && r.mask_content, "mask_content", "mask");
    needs(!mask && r.mask_padding, "mask_padding", "mask");
    needs(r.controls.empty() && r.guess_mode, "guess_mode", "controls");
    SUMI_CHECK_KIND(kUsage, !r.mask_padding || r.extend.empty(),
                    "`mask_padding` and `extend` exclude one another: what is around the picture has no surroundings");
  }

  void decide_canvas() {
    refuse_without_picture();
    if (!request_.controls.empty()) {  // of the hints
      settings().resize = request_.resize.value_or("stretch");
      settings().background = request_.background.value_or("white");
    }
    if (!parsed_.pictures->init) return;
    decide_convention();
    const bool masked = parsed_.pictures->mask || !request_.extend.empty();
    const char* content = !request_.extend.empty() ? "fill" : "original";
    Settings& s = settings();
    s.init = parsed_.pictures->init->source;
    s.convention = name_of(job_.convention);
    s.resize = request_.resize.value_or("stretch");
    s.background = request_.background.value_or("white");
    s.extend = request_.extend;
    const bool from_noise = masked && job_.convention != Convention::kWebui;
    s.strength = request_.strength.value_or(from_noise || !s.extend.empty() ? 1.0 : 0.75);
    if (masked) {
      if (parsed_.pictures->mask) s.mask = parsed_.pictures->mask->source;
      s.mask_invert = request_.mask_invert;
      s.mask_blur = request_.mask_blur.value_or(4);
      s.mask_content = request_.mask_content.value_or(content);
      s.mask_padding = request_.mask_padding;
      job_.content = mask_content_of(s.mask_content);
    }
    job_.canvas = make_canvas(*parsed_.pictures, {.width = request_.width,
                                                  .height = request_.height,
                                                  .default_size = drawing_.size,
                                                  .multiple = facts_.config.autoencoder.downsampling(),
                                                  .resize = s.resize,
                                                  .invert = s.mask_invert,
                                                  .blur = s.mask_blur,
                                                  .content = job_.content,
                                                  .padding = s.mask_padding,
                                                  .extend = s.extend,
                                                  .convention = job_.convention});
  }

  void decide_entry() {
    if (!job_.canvas) return;
    if (job_.canvas->mask) check_latent_mask(*job_.canvas, job_.latent.height, job_.latent.width, job_.convention);
    job_.entry =
        enter(*job_.grid, settings().steps, settings().strength, job_.convention, job_.canvas->mask.has_value());
    if (job_.entry.from_noise && request_.mask_content.value_or("original") != "original")
      warn("`mask_content` {} has no effect where the drawing begins from noise alone, as at strength 1",
           *request_.mask_content);
    settings().timesteps = job_.grid->timesteps();
    auto& timesteps = settings().timesteps;
    timesteps.erase(timesteps.begin(), timesteps.begin() + job_.entry.first_step);
  }

  void decide_second() {
    if (!request_.hires) return;
    const Hires& r = *request_.hires;
    SUMI_CHECK_KIND(kUsage, !job_.canvas || !job_.canvas->mask,
                    "`hires` and `mask` exclude one another: repaint first, then enlarge the result with `init`");
    const Settings& s = settings();
    HiresSettings h{.scale = r.scale,
                    .upscaler = r.upscaler.value_or("latent"),
                    .steps = r.steps.value_or(s.steps),
                    .strength = r.strength.value_or(0.7),
                    .guidance = r.guidance.value_or(s.scale)};
    SUMI_CHECK_KIND(kUsage, static_cast<double>(h.steps) / std::min(h.strength, 0.999) <= kMaxSteps,
                    "{} `steps` of `hires` at its `strength` {} need a schedule of more than {} steps; raise the "
                    "strength",
                    h.steps, h.strength, kMaxSteps);
    if (parsed_.hires_prompt) h.prompt = parsed_.hires_prompt->text;
    if (parsed_.hires_negative) h.negative_prompt = parsed_.hires_negative->text;
    const int64_t f = facts_.config.autoencoder.downsampling();
    SecondPass second{.scale = h.guidance};
    const auto larger = [&](int64_t pixels) { return static_cast<int64_t>(static_cast<double>(pixels) * h.scale) / f; };
    second.latent = {larger(s.height), larger(s.width)};
    h.width = second.latent.width * f;
    h.height = second.latent.height * f;
    SUMI_CHECK_KIND(kUsage, h.width <= kMaxSide && h.height <= kMaxSide,
                    "`hires` would make pictures of {}x{}; the largest side is {}", h.width, h.height, kMaxSide);
    check_seamless(h.width, h.height);
    choose_upscaler(h.upscaler, second);
    const bool named = !parsed_.hires_sampler.empty();
    const std::string& sampler = named ? parsed_.hires_sampler : s.sampler;
    second.grid = make_grid(sampler, named ? parsed_.hires_schedule : s.schedule, grid_steps(h.steps, h.strength),
                            sampler == s.sampler ? s.eta : 0.0, discards_last_level(sampler));
    second.entry = last_steps(*second.grid, h.steps);
    h.sampler = second.grid->sampler_name();
    h.schedule = second.grid->schedule_name();
    settings().hires = h;
    job_.second = std::move(second);
  }

  // An upscaler is a way to resize latents or pixels, or the file of a model.
  void choose_upscaler(const std::string& name, SecondPass& second) const {
    second.latent_resize = latent_resize_of(name);
    if (second.latent_resize) return;
    second.pixel_filter = image::find_filter(name);
    if (second.pixel_filter) return;
    SUMI_CHECK_KIND(kUsage, std::filesystem::exists(name),
                    "the upscaler \"{}\" is no file; choose one of {}, {} or give the file of an ESRGAN model", name,
                    kLatentResizes, image::kFilterNames);
    second.model = std::make_shared<const models::Upscaler>(models::Upscaler::open(name));
    const int64_t s = second.model->scale(), width = job_.settings.width, height = job_.settings.height;
    SUMI_CHECK_KIND(kUsage, width * height <= image::kMaxPixels / (s * s),
                    "{} makes pictures {} times as large, {}x{} of {}x{}: more than {} megapixels", name, s, s * width,
                    s * height, width, height, image::kMaxPixels >> 20);
    const int64_t unit = second.model->multiple();
    SUMI_CHECK_KIND(kUsage, request_.seamless.empty() || (width % unit == 0 && height % unit == 0),
                    "{} enlarges `seamless` pictures whose sides are multiples of {} pixels, not {}x{}", name, unit,
                    width, height);
  }

  bool acts_ever(const Control& control) const {
    const auto in = [&](int steps) {
      for (int step = 0; step < steps; ++step)
        if (acts_in(control.start, control.end, step, steps)) return true;
      return false;
    };
    return in(job_.entry.steps_of(*job_.grid)) || (job_.second && in(job_.second->entry.steps_of(*job_.second->grid)));
  }

  void find_controls() {
    for (size_t i = 0; i < request_.controls.size(); ++i) {
      const Control& r = request_.controls[i];
      const GivenPicture& given = parsed_.pictures->hints[i];
      ControlSettings used{.model = r.model,
                           .image = given.source,
                           .weight = r.weight,
                           .start = r.start,
                           .end = r.end,
                           .preprocess = r.preprocess.value_or("none")};
      job_.controls.push_back({.file = models::open_control(r.model, facts_.config),
                               .hint = used.preprocess == "canny" ? image::canny(given.image) : given.image,
                               .weight = r.weight,
                               .start = r.start,
                               .end = r.end});
      settings().controls.push_back(std::move(used));
      if (!acts_ever(r))
        warn(
            "the control {} acts in none of the steps: it acts in those that lie wholly between its `start`, {}, and "
            "its `end`, {}",
            model_name(r.model), r.start, r.end);
    }
    settings().guess_mode = request_.guess_mode;
  }

  void decide_size() {
    const models::ModelConfig& config = facts_.config;
    Settings& s = settings();
    s.model = facts_.model.string();
    s.width = job_.canvas ? job_.canvas->picture.width : request_.width.value_or(drawing_.size);
    s.height = job_.canvas ? job_.canvas->picture.height : request_.height.value_or(drawing_.size);
    const int64_t f = config.autoencoder.downsampling(), z = config.autoencoder.embed_dim;
    SUMI_CHECK_KIND(kUsage, s.width % f == 0 && s.height % f == 0,
                    "this model draws pictures whose sides are multiples of {} pixels, not {}x{}", f, s.width,
                    s.height);
    job_.nine_channels = config.unet.in_channels == 2 * z + 1;
    SUMI_CHECK(config.unet.in_channels == z || job_.nine_channels,
               "this UNet takes {} channels and latents have {}: neither a model that draws (as many) nor one for "
               "inpainting ({}); others, as InstructPix2Pix, are not supported",
               config.unet.in_channels, z, 2 * z + 1);
    SUMI_CHECK(config.unet.context_dim > 0, "this model takes no text");
    job_.latent = {s.height / f, s.width / f};
    check_seamless(s.width, s.height);
    s.tiled_decode = request_.tiled_decode;
    s.seamless = request_.seamless;
    s.safety_checker = request_.safety_checker;
    s.watermark = request_.watermark;
  }

  // Every level must meet its own edge.
  void check_seamless(int64_t width, int64_t height) const {
    const auto halvings = static_cast<int>(facts_.config.unet.channel_mult.size()) - 1;
    const int64_t multiple = facts_.config.autoencoder.downsampling() << halvings;
    SUMI_CHECK_KIND(kUsage, request_.seamless.empty() || (width % multiple == 0 && height % multiple == 0),
                    "`seamless` pictures need sides that are multiples of {} pixels, not {}x{}", multiple, width,
                    height);
  }

  // What the pictures that come out are asked for.
  void check_finished() const {
    const Settings& s = job_.settings;
    const bool whole = job_.canvas && job_.canvas->mask;
    const int64_t width = s.hires ? s.hires->width : whole ? job_.canvas->whole.width : s.width;
    const int64_t height = s.hires ? s.hires->height : whole ? job_.canvas->whole.height : s.height;
    SUMI_CHECK_KIND(kUsage, s.watermark.empty() || width * height >= image::kLeastWatermarkPixels,
                    "a `watermark` needs pictures of at least {} pixels (256x256), not {}x{}",
                    image::kLeastWatermarkPixels, width, height);
    SUMI_CHECK_KIND(
        kUsage, s.safety_checker.empty() || std::max(width, height) / std::min(width, height) < kMostSafetyRatio,
        "the safety checker takes pictures whose sides are within {}:1, not {}x{}", kMostSafetyRatio, width, height);
  }

  void decide_numbers() {
    Settings& s = settings();
    s.steps = request_.steps.value_or(drawing_.steps);
    s.scale = request_.scale.value_or(drawing_.scale);
    s.eta = request_.eta.value_or(0.0);
    s.seeds = request_.seeds;
    s.seed = !s.seeds.empty() ? s.seeds[0] : request_.seed ? *request_.seed : random_seed();
    decide_subseed();
    s.seeding = request_.seeding.value_or(s.subseed || !s.seeds.empty() ? "picture" : "run");
    SUMI_CHECK_KIND(kUsage, !s.subseed || s.seeding == "picture",
                    "`subseed` needs `seeding` picture: with run, a picture depends on those before it");
    SUMI_CHECK_KIND(kUsage, !s.subseed || !request_.fixed_noise,
                    "`fixed_noise` and `subseed` exclude one another: each picture has a first noise of its own");
    s.rng = request_.rng.value_or("cpu");
    job_.iterations = request_.iterations.value_or(1);
    job_.fixed_noise = request_.fixed_noise;
    job_.share = request_.share;
    job_.share_of = request_.share_of;
  }

  void decide_subseed() {
    Settings& s = settings();
    s.subseed_strength = request_.subseed_strength.value_or(0.0);
    if (s.subseed_strength > 0.0) {
      s.subseed = request_.subseed ? *request_.subseed : random_seed();
    } else if (request_.subseed) {
      warn("the subseed has no effect at subseed strength 0");
    }
  }

  // By the web UI's rules for pictures, as its own dpm_2.
  bool discards_last_level(const std::string& sampler) const {
    const bool web = request_.convention.value_or("webui") == "webui" && parsed_.pictures->init;
    return web && sampler.starts_with("dpm_2");
  }

  diffusion::Grid make_grid(const std::string& sampler, const std::string& schedule, int64_t steps, double eta,
                            bool discard) const {
    // What the network predicts is a property of the model.
    return diffusion::make_grid(facts_.noise_schedule, {.sampler = sampler,
                                                        .schedule = schedule,
                                                        .steps = static_cast<int>(steps),
                                                        .eta = eta,
                                                        .prediction = facts_.config.prediction,
                                                        .discard_last_level = discard});
  }

  void decide_sampling() {
    Settings& s = settings();
    const bool named = !parsed_.sampler.empty();
    job_.grid = make_grid(named ? parsed_.sampler : drawing_.sampler, named ? parsed_.schedule : drawing_.schedule,
                          s.steps, s.eta, discards_last_level(sampler()));
    s.sampler = job_.grid->sampler_name();
    s.schedule = job_.grid->schedule_name();
    s.timesteps = job_.grid->timesteps();
  }

  // Before any text is tokenised.
  void find_embeddings() {
    std::vector<std::string> texts{parsed_.negative.text};
    for (const ParsedPrompt& prompt : parsed_.texts) texts.push_back(prompt.text);
    for (const auto& more : {parsed_.hires_prompt, parsed_.hires_negative}) {
      if (more) texts.push_back(more->text);
    }
    found_ = engine::find_embeddings(
        {.files = request_.embeddings,
         .chosen = request_.embedding_folder,
         .model = facts_.model,
         .data_folder = facts_.data_folder,
         .search = parsed_.syntax == PromptSyntax::kWeighted || !request_.embedding_folder.empty()},
        facts_.config, texts);
    settings().embeddings = found_.files;
    job_.embeddings = found_.vectors;
    const text::ClipTokenizer& own = facts_.tokenizer();
    tokenizer_.emplace(found_.words.empty() ? own : own.with(found_.words));
    job_.end_mark = own.end_id();
  }

  // The request's, and those named in prompts.
  void find_loras() {
    Settings& s = settings();
    s.loras = request_.loras;
    for (const text::LoraTag& tag : parsed_.loras) {
      const std::string file = find_lora(tag.name, request_.lora_folder, facts_.model, facts_.data_folder).string();
      s.loras.push_back({.file = file, .weight = tag.weight, .unet = tag.unet, .text = tag.text});
    }
    for (const Lora& lora : s.loras) {
      auto file = facts_.open_lora ? facts_.open_lora(lora.file) : io::open_checkpoint(lora.file);
      job_.loras.push_back({std::move(file), {lora.unet.value_or(lora.weight), lora.text.value_or(lora.weight)}});
    }
  }

  void take_prompts() {
    Settings& s = settings();
    s.syntax = parsed_.syntax == PromptSyntax::kExact ? "exact" : "weighted";
    s.negative_prompt = parsed_.negative.text;
    if (job_.ever_guided()) {
      job_.negative = text(parsed_.negative);
    } else if (!s.negative_prompt.empty()) {
      warn("the negative prompt has no effect at guidance scale 1");
    }
    take_second_prompts();
    std::vector<size_t> all;
    const auto copies = static_cast<size_t>(request_.copies.value_or(1));
    for (const size_t prompt : parsed_.prompts) all.insert(all.end(), copies, text(parsed_.texts[prompt]));
    make_batches(all);
    tell_embeddings();
    s.pictures = static_cast<int64_t>(all.size()) * job_.iterations;
    s.batch = static_cast<int64_t>(job_.largest_batch());
    const auto rows = [&](size_t i) { return job_.texts[i].rows.size(); };
    const bool more = job_.second && (job_.second->prompt || job_.second->negative);
    if (more) job_.empty = text(ParsedPrompt());
    for (const size_t i : all) {
      if (rows(i) != rows(all[0]) || (job_.ever_guided() && rows(i) != rows(job_.negative))) {
        job_.empty = text(ParsedPrompt());
        break;
      }
    }
  }

  void take_second_prompts() {
    if (!job_.second) return;
    if (parsed_.hires_prompt) job_.second->prompt = text(*parsed_.hires_prompt);
    if (parsed_.hires_negative) job_.second->negative = text(*parsed_.hires_negative);
  }

  size_t text(const ParsedPrompt& prompt) {
    const auto [known, fresh] = places_.emplace(prompt.text, job_.texts.size());
    if (fresh) job_.texts.push_back(tokenize(facts_.config, *tokenizer_, prompt, parsed_.syntax));
    return known->second;
  }

  // Of several prompts, each picture's settings name the embeddings that it would have alone.
  void tell_embeddings() {
    if (parsed_.texts.size() == 1 || found_.files.size() == found_.given) return;
    std::vector<std::string> texts{"", parsed_.negative.text};
    for (const auto& more : {parsed_.hires_prompt, parsed_.hires_negative}) {
      if (more) texts.push_back(more->text);
    }
    job_.embeddings_of.resize(job_.texts.size());
    for (const ParsedPrompt& prompt : parsed_.texts) {
      texts[0] = prompt.text;
      job_.embeddings_of[text(prompt)] = found_.used_by(texts);
    }
  }

  // Of what a picture of that prompt is conditioned on, in each pass.
  std::pair<size_t, size_t> rows_of(size_t prompt) const {
    const auto rows = [&](size_t text) { return job_.texts[text].rows.size(); };
    const auto in_pass = [&](size_t own, bool guided, size_t negative) {
      return guided ? std::max(rows(own), rows(negative)) : rows(own);
    };
    const auto& second = job_.second;
    return {in_pass(prompt, job_.guided(), job_.negative),
            second ? in_pass(second->prompt.value_or(prompt), second->scale != 1.0,
                             second->negative.value_or(job_.negative))
                   : 0};
  }

  // A text of a batch is padded to the rows of the longest, which changes its picture; so where each picture must be
  // the same as alone, a batch has only texts that take as many rows.
  void make_batches(const std::vector<size_t>& all) {
    const auto most = static_cast<size_t>(request_.batch.value_or(1));
    for (const size_t i : all) {
      auto& batches = job_.batches;
      const bool fits = !batches.empty() && batches.back().size() < most &&
                        (!job_.seeds_by_picture() || rows_of(batches.back().front()) == rows_of(i));
      if (!fits) batches.emplace_back();
      batches.back().push_back(i);
    }
  }

  const Facts& facts_;
  const ParsedRequest& parsed_;
  const Request& request_;
  models::DrawingDefaults drawing_;
  std::map<std::string, size_t> places_;  // of the texts
  JobEmbeddings found_;
  std::optional<text::ClipTokenizer> tokenizer_;
  ResolvedJob job_;
};

}  // namespace

bool is_upscaler_name(const std::string& name) { return latent_resize_of(name) || image::find_filter(name); }

std::optional<Interpolation> latent_resize_of(std::string_view name) {
  if (name == "latent") return Interpolation::kBilinear;
  if (name == "latent-antialiased") return Interpolation::kBilinearAntialias;
  if (name == "latent-bicubic") return Interpolation::kBicubic;
  if (name == "latent-bicubic-antialiased") return Interpolation::kBicubicAntialias;
  if (name == "latent-nearest") return Interpolation::kNearest;
  if (name == "latent-nearest-exact") return Interpolation::kNearestExact;
  return std::nullopt;
}

uint64_t random_seed() {
  std::random_device device;
  return device() & 0xFFFFFFFFu;
}

bool ResolvedJob::encodes() const { return canvas || nine_channels || (second && !second->latent_resize); }

size_t ResolvedJob::largest_batch() const {
  size_t largest = 0;
  for (const auto& batch : batches) largest = std::max(largest, batch.size());
  return largest;
}

int64_t ResolvedJob::longest_context() const {
  int64_t longest = 0;
  for (const TokenizedPrompt& text : texts)
    longest = std::max(longest, static_cast<int64_t>(text.rows.size() * text.rows[0].size()));
  return longest;
}

ResolvedJob resolve(const Facts& facts, const ParsedRequest& parsed) { return Resolver(facts, parsed)(); }

}  // namespace sumi::engine
