#include "engine/resolve.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "base/check.h"
#include "base/log.h"
#include "engine/embeddings.h"
#include "engine/find_lora.h"

namespace sumi::engine {
namespace {

void check_side(std::string_view name, const std::optional<int64_t>& pixels) {
  SUMI_CHECK_KIND(kUsage, !pixels || (*pixels > 0 && *pixels <= kMaxSide && *pixels % 8 == 0),
                  "`{}` must be a multiple of 8 from 8 to {}, not {}", name, kMaxSide, pixels.value_or(0));
}

void check_count(std::string_view name, int64_t count, int64_t most) {
  SUMI_CHECK_KIND(kUsage, count >= 1 && count <= most, "{} must be from 1 to {}, not {}", name, most, count);
}

// Reads a request's words.
class Parser {
 public:
  Parser(Request request, const std::optional<Form>& form) {
    check_request(request);
    out_.form = form ? *form : form_of(request.defaults.value_or("quick"));
    out_.request = std::move(request);
  }

  ParsedRequest operator()() {
    choose_sampler();
    out_.syntax = syntax_of(out_.request.syntax.value_or(out_.form.syntax));
    out_.negative = parse_prompt(out_.request.negative_prompt.value_or(""), out_.syntax);
    for (const std::string& prompt : out_.request.prompts) take(prompt);
    return std::move(out_);
  }

 private:
  // A sampler's name or alias may bring its schedule. The form's schedule belongs to the form's sampler.
  void choose_sampler() {
    const Request& r = out_.request;
    const models::DrawingDefaults& form = out_.form.drawing;
    if (!r.sampler && !r.schedule) return;
    const std::string named = r.sampler.value_or(form.sampler);
    std::string implied;
    out_.sampler = diffusion::resolve_sampler(named, &implied);
    const std::string asked = r.schedule ? diffusion::resolve_schedule(*r.schedule, out_.sampler) : std::string();
    SUMI_CHECK_KIND(kUsage, !r.schedule || implied.empty() || asked == implied,
                    "\"{}\" means the schedule {}, but `schedule` says {}", named, implied, *r.schedule);
    out_.schedule = r.schedule ? asked : out_.sampler == form.sampler && implied.empty() ? form.schedule : implied;
    diffusion::check_sampler(out_.sampler, out_.schedule);
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

// Decides a request's fields one after the other.
class Resolver {
 public:
  Resolver(const Facts& facts, const ParsedRequest& parsed)
      : facts_(facts),
        parsed_(parsed),
        request_(parsed.request),
        drawing_(models::resolve_defaults(facts.config, parsed.form.drawing)) {}

  ResolvedJob operator()() {
    decide_size();
    decide_numbers();
    decide_sampling();
    find_loras();
    find_embeddings();
    take_prompts();
    return std::move(job_);
  }

 private:
  Settings& settings() { return job_.settings; }

  void decide_size() {
    const models::ModelConfig& config = facts_.config;
    Settings& s = settings();
    s.model = facts_.model.string();
    s.width = request_.width.value_or(drawing_.size);
    s.height = request_.height.value_or(drawing_.size);
    const int64_t f = config.autoencoder.downsampling();
    SUMI_CHECK_KIND(kUsage, s.width % f == 0 && s.height % f == 0,
                    "this model draws pictures whose sides are multiples of {} pixels, not {}x{}", f, s.width,
                    s.height);
    SUMI_CHECK(config.unet.in_channels == config.autoencoder.embed_dim,
               "text to image starts from noise alone, but this UNet takes {} channels and latents have {}; is it an "
               "inpainting checkpoint?",
               config.unet.in_channels, config.autoencoder.embed_dim);
    SUMI_CHECK(config.unet.context_dim > 0, "this model takes no text");
    job_.latent = {s.height / f, s.width / f};
    s.tiled_decode = request_.tiled_decode;
  }

  void decide_numbers() {
    Settings& s = settings();
    s.steps = request_.steps.value_or(drawing_.steps);
    s.scale = request_.scale.value_or(drawing_.scale);
    s.eta = request_.eta.value_or(0.0);
    s.seed = request_.seed ? *request_.seed : random_seed();
    s.seeding = request_.seeding.value_or("run");
    s.rng = request_.rng.value_or("cpu");
    job_.iterations = request_.iterations.value_or(1);
    job_.fixed_noise = request_.fixed_noise;
    job_.share = request_.share;
    job_.share_of = request_.share_of;
  }

  void decide_sampling() {
    Settings& s = settings();
    const bool named = !parsed_.sampler.empty();
    // What the network predicts is a property of the model.
    job_.grid = diffusion::make_grid(facts_.noise_schedule, {.sampler = named ? parsed_.sampler : drawing_.sampler,
                                                             .schedule = named ? parsed_.schedule : drawing_.schedule,
                                                             .steps = static_cast<int>(s.steps),
                                                             .eta = s.eta,
                                                             .prediction = facts_.config.prediction});
    s.sampler = job_.grid->sampler_name();
    s.schedule = job_.grid->schedule_name();
    s.timesteps = job_.grid->timesteps();
  }

  // Before any text is tokenised.
  void find_embeddings() {
    std::vector<std::string> texts{parsed_.negative.text};
    for (const ParsedPrompt& prompt : parsed_.texts) texts.push_back(prompt.text);
    JobEmbeddings found = engine::find_embeddings(
        {.files = request_.embeddings,
         .chosen = request_.embedding_folder,
         .model = facts_.model,
         .data_folder = facts_.data_folder,
         .search = parsed_.syntax == PromptSyntax::kWeighted || !request_.embedding_folder.empty()},
        facts_.config, texts);
    settings().embeddings = found.files;
    job_.embeddings = found.vectors;
    const text::ClipTokenizer& own = facts_.tokenizer();
    tokenizer_.emplace(found.words.empty() ? own : own.with(found.words));
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
    if (job_.guided()) {
      job_.negative = text(parsed_.negative);
    } else if (!s.negative_prompt.empty()) {
      warn("the negative prompt has no effect at guidance scale 1");
    }
    std::vector<size_t> all;
    const auto copies = static_cast<size_t>(request_.copies.value_or(1));
    for (const size_t prompt : parsed_.prompts) all.insert(all.end(), copies, text(parsed_.texts[prompt]));
    make_batches(all);
    s.pictures = static_cast<int64_t>(all.size()) * job_.iterations;
    s.batch = static_cast<int64_t>(job_.largest_batch());
    const auto rows = [&](size_t i) { return job_.texts[i].rows.size(); };
    for (const size_t i : all) {
      if (rows(i) != rows(all[0]) || (job_.guided() && rows(i) != rows(job_.negative))) {
        job_.empty = text(ParsedPrompt());
        break;
      }
    }
  }

  size_t text(const ParsedPrompt& prompt) {
    const auto [known, fresh] = places_.emplace(prompt.text, job_.texts.size());
    if (fresh) job_.texts.push_back(tokenize(facts_.config, *tokenizer_, prompt, parsed_.syntax));
    return known->second;
  }

  // A text of a batch is padded to the rows of the longest, which changes its picture; so where each picture must be
  // the same as alone, a batch has only texts that take as many rows.
  void make_batches(const std::vector<size_t>& all) {
    const auto most = static_cast<size_t>(request_.batch.value_or(1));
    const auto rows = [&](size_t i) {
      const size_t own = job_.texts[i].rows.size();
      return job_.guided() ? std::max(own, job_.texts[job_.negative].rows.size()) : own;
    };
    for (const size_t i : all) {
      auto& batches = job_.batches;
      const bool fits = !batches.empty() && batches.back().size() < most &&
                        (!job_.seeds_by_picture() || rows(batches.back().front()) == rows(i));
      if (!fits) batches.emplace_back();
      batches.back().push_back(i);
    }
  }

  const Facts& facts_;
  const ParsedRequest& parsed_;
  const Request& request_;
  models::DrawingDefaults drawing_;
  std::map<std::string, size_t> places_;  // of the texts
  std::optional<text::ClipTokenizer> tokenizer_;
  ResolvedJob job_;
};

}  // namespace

Form form_of(const std::string& defaults) {
  SUMI_CHECK_KIND(kUsage, defaults == "quick" || defaults == "original", "`defaults` must be quick or original, not {}",
                  defaults);
  if (defaults == "original") return {};
  return {.drawing = {.sampler = "dpmpp_2m", .schedule = "karras", .steps = 25}, .syntax = "weighted"};
}

uint64_t random_seed() {
  std::random_device device;
  return device() & 0xFFFFFFFFu;
}

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
  const std::string rng = r.rng.value_or("cpu"), seeding = r.seeding.value_or("run");
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
  for (const Lora& lora : r.loras) {
    const bool finite =
        std::isfinite(lora.weight) && std::isfinite(lora.unet.value_or(0.0)) && std::isfinite(lora.text.value_or(0.0));
    SUMI_CHECK_KIND(kUsage, finite, "a weight of the LoRA {} is not a number", lora.file);
  }
  if (r.syntax) syntax_of(*r.syntax);
  if (r.defaults) form_of(*r.defaults);
}

ParsedRequest parse_request(Request request, const std::optional<Form>& form) {
  return Parser(std::move(request), form)();
}

ResolvedJob resolve(const Facts& facts, const ParsedRequest& parsed) { return Resolver(facts, parsed)(); }

}  // namespace sumi::engine
