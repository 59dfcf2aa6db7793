#include "app/cli/probe_sets.h"

#include <functional>
#include <set>

#include "app/cli/process.h"
#include "base/check.h"
#include "base/parse_number.h"
#include "engine/beginning.h"
#include "engine/noise.h"
#include "engine/resolve.h"
#include "engine/sample_latent.h"
#include "ops/elementwise.h"
#include "ops/layout.h"

namespace sumi::app {
namespace {

using engine::Convention;

double number_in(const ProbeInput& in, const std::string& key) {
  const auto value = sumi::number_in<double>(in.metadata(key));
  SUMI_CHECK(value, "{}: its metadata has no number \"{}\"", in.path(), key);
  return *value;
}

// How a set names a sampler.
struct NamedSampler {
  std::string name, sampler, schedule;
  bool discard = false;
};

const std::vector<NamedSampler> kDiffusers{
    {"ddim", "ddim", "leading"},         {"plms", "plms", "leading"},
    {"euler", "euler", "leading"},       {"euler_ancestral", "euler_ancestral", "leading"},
    {"dpmpp_2m", "dpmpp_2m", "leading"}, {"dpmpp_2m_karras", "dpmpp_2m", "linspace_karras"},
    {"heun", "heun", "leading"}};
const std::vector<NamedSampler> kWebui{{"euler", "euler", "discrete"},
                                       {"dpmpp_2m_karras", "dpmpp_2m", "karras"},
                                       {"euler_ancestral", "euler_ancestral", "discrete"},
                                       {"heun", "heun", "discrete"},
                                       {"dpm_2_karras_discard", "dpm_2", "karras", true}};

class Sets {
 public:
  Sets(const models::StableDiffusion& model, const ProbeInput& in, ProbeOutput& out, Tensor picture)
      : model_(model), in_(in), out_(out), seed_(static_cast<uint64_t>(number_in(in, "seed"))), picture_(picture) {
    steps_ = static_cast<int>(number_in(in, "steps"));
    scale_ = number_in(in, "scale");
    cond_ = in.floats("cond", 3).to(model.device());
    uncond_ = in.floats("uncond", 3).to(model.device());
  }

  void img2img(Convention convention, const std::vector<NamedSampler>& samplers) {
    for (const NamedSampler& named : samplers) {
      for (const std::string picture : {"a", "b"}) {
        if (!in_.has("init_latent_" + picture)) continue;
        for (const std::string strength : {"0.75", "0.3"}) {
          const std::string name = named.name + "_" + picture + "_" + strength;
          if (wanted(name)) from_picture(name, convention, named, picture, strength);
        }
      }
    }
    if (convention != Convention::kDiffusers) return;
    if (wanted("ddim_a_0.75_n2")) from_picture("ddim_a_0.75_n2", convention, kDiffusers[0], "a", "0.75", 2);
    if (wanted("ddim_a_0.75_n2_generators")) of_two_generators("ddim_a_0.75_n2_generators");
  }

  void blend() {
    for (const std::string eta : {"0.0", "1.0"}) {
      const std::string name = "compvis_ddim_eta" + eta;
      if (!wanted(name)) continue;
      const diffusion::Grid grid = grid_of({"", "ddim", "uniform"}, eta == "1.0" ? 1.0 : 0.0);
      run(name, Convention::kOriginal, grid, {.from_noise = true}, masked("compvis_x0", keep()), 1, false);
    }
    for (const std::string sampler : {"ddim", "euler"}) {
      for (const std::string strength : {"1.0", "0.75"}) {
        const std::string name = "diffusers_" + sampler + "_" + strength;
        if (!wanted(name)) continue;
        diffusion::Grid grid = grid_of({"", sampler, "leading"});
        const engine::Entry entry = engine::enter(grid, steps_, std::stod(strength), Convention::kDiffusers, true);
        run(name, Convention::kDiffusers, grid, entry, masked("compvis_x0", keep()), 1, false);
      }
    }
    for (const std::string content : {"fill", "original", "latent_noise", "latent_nothing", "original_onlymasked"}) {
      const std::string name = "a1111_" + content;
      if (!wanted(name) || !in_.has(name + "_init_latent")) continue;
      diffusion::Grid grid = grid_of({"", "euler", "discrete"});
      const engine::Entry entry = engine::enter(grid, steps_, number_in(in_, "strength"), Convention::kWebui, true);
      const Tensor mask = in_.floats(name + "_nmask", 3);
      engine::PictureLatents latents =
          masked(name + "_init_latent", mask.reshape({1, mask.dim(1), mask.dim(2), 1}).to(model_.device()));
      latents.content = content == "latent_noise"     ? engine::MaskContent::kNoise
                        : content == "latent_nothing" ? engine::MaskContent::kNothing
                                                      : engine::MaskContent::kOriginal;
      run(name, Convention::kWebui, grid, entry, std::move(latents), 1, true);
    }
  }

  // The masked picture's posterior is the generator's first draw, given or not.
  void nine_channels() {
    for (const std::string eta : {"1.0", "0.0"}) {
      const std::string name = "ddim_eta" + eta;
      if (!wanted(name)) continue;
      engine::JobNoise noise({.seed = seed_}, model_.device());
      const Tensor x = in_.image("x_T").to(model_.device());
      noise.next(x.shape());
      engine::BatchBeginning begun{.start = {x}};
      begun.channels = concat_channels(in_.image("mask_latent"), in_.image("masked_latent")).to(model_.device());
      sample(name, grid_of({"", "ddim", "uniform"}, eta == "1.0" ? 1.0 : 0.0), std::move(begun), noise);
    }
  }

  void hires() {
    const int64_t count = static_cast<int64_t>(number_in(in_, "n"));
    const double strength = number_in(in_, "strength"), larger = number_in(in_, "hr_scale");
    const int64_t f = model_.config().autoencoder.downsampling();
    const auto width = static_cast<int64_t>(number_in(in_, "W")), height = static_cast<int64_t>(number_in(in_, "H"));
    const NamedSampler named{"", in_.metadata("sampler"), "discrete"};
    engine::JobNoise noise({.seed = seed_, .by_picture = true}, model_.device());
    noise.begin(0, count);
    const Shape shape{count, height / f, width / f, model_.config().autoencoder.embed_dim};
    const Tensor first = sample("latent_first", grid_of(named), {.start = {noise.first(shape)}}, noise);
    const diffusion::Grid grid =
        grid_of(named, 0.0, static_cast<int>(engine::grid_steps(static_cast<int64_t>(steps_), strength)));
    const engine::Entry entry = engine::last_steps(grid, steps_);
    out_.add("sigmas_second", sigmas(grid, 0));
    for (const auto& [mode, resize] : {std::pair{"bilinear", "latent"},
                                       {"bilinear_antialias", "latent-antialiased"},
                                       {"bicubic", "latent-bicubic"},
                                       {"bicubic_antialias", "latent-bicubic-antialiased"},
                                       {"nearest", "latent-nearest"},
                                       {"nearest-exact", "latent-nearest-exact"}}) {
      const std::string name = std::string("latent_") + mode;
      if (!wanted(name)) continue;
      const auto side = [&](int64_t pixels) { return static_cast<int64_t>(static_cast<double>(pixels) * larger) / f; };
      const Tensor enlarged = interpolate(first, side(height), side(width), *engine::latent_resize_of(resize));
      out_.add_image(std::string("upscaled_") + mode, enlarged);
      engine::JobNoise again({.seed = seed_, .by_picture = true}, model_.device());
      again.begin(0, count);
      const Tensor x = diffusion::mix(enlarged, again.first(enlarged.shape()), entry.level);
      sample(name, grid, {.start = {.x = x, .first_step = entry.first_step, .mixed = true}}, again);
    }
  }

  void control(const std::vector<engine::ControlJob>& jobs) {
    SUMI_CHECK_KIND(kUsage, jobs.size() == 1, "this set needs its ControlNet: --control FILE");
    for (const auto& [name, weight, guess] :
         {std::tuple{"strength1.0", 1.0, false}, {"strength0.6", 0.6, false}, {"guess1.0", 1.0, true}}) {
      if (!wanted(name)) continue;
      std::vector<engine::ControlJob> own = jobs;
      own[0].weight = weight;
      engine::Controls controls(own, model_, guess);
      const diffusion::Grid grid = grid_of({"", "ddim", "uniform"});
      engine::JobNoise noise({.seed = seed_}, model_.device());
      const Tensor x = in_.image("x_T").to(model_.device());
      noise.next(x.shape());
      sample(name, grid, {.start = {x}}, noise,
             controls.with({in_.image("hint").to(model_.device())}, grid.steps(), true));
    }
  }

 private:
  // Names of the results in the file, if it has any: a part of a set gives that part.
  bool wanted(const std::string& name) {
    if (!any_)
      any_ = in_.has("ddim_a_0.75") || in_.has("euler_a_0.75") || in_.has("compvis_ddim_eta0.0") ||
             in_.has("ddim_eta0.0") || in_.has("latent_first") || in_.has("strength1.0");
    return !*any_ || in_.has(name);
  }

  diffusion::Grid grid_of(const NamedSampler& named, double eta = 0.0, int steps = 0) const {
    return diffusion::make_grid(model_.noise_schedule(), {.sampler = named.sampler,
                                                          .schedule = named.schedule,
                                                          .steps = steps > 0 ? steps : steps_,
                                                          .eta = eta,
                                                          .prediction = model_.config().prediction,
                                                          .discard_last_level = named.discard});
  }

  static Tensor sigmas(const diffusion::Grid& grid, int first) {
    const std::vector<double>& all = grid.points().sigmas;
    const std::vector<float> rest(all.begin() + first, all.end());
    return Tensor::from(rest, {static_cast<int64_t>(rest.size())});
  }

  // A latent as the encoder's posterior with no width: its noise is drawn as in the original, and changes nothing.
  engine::Encoded posterior(const Tensor& latent) const {
    return {.moments = concat_channels(latent, Tensor::full(latent.shape(), -30.0f).to(latent.device()))};
  }

  Tensor keep() const {
    const Tensor keep = in_.image("compvis_keep");
    return affine(-1.0f, keep, 0.0f, {}, 1.0f).to(model_.device());
  }

  engine::PictureLatents masked(const std::string& picture, Tensor mask) const {
    return {.picture = posterior(in_.image(picture).to(model_.device())), .mask = std::move(mask)};
  }

  // Each picture's latent has its own noise, so one latent is not enough.
  void of_two_generators(const std::string& name) {
    if (!picture_) return note(name + " is left out: it needs the picture itself, --init FILE");
    diffusion::Grid grid = grid_of(kDiffusers[0]);
    const engine::Entry entry = engine::enter(grid, steps_, 0.75, Convention::kDiffusers, false);
    const engine::Encoded encoded{.moments = model_.encode(picture_.to(model_.device())),
                                  .scale_factor = model_.config().autoencoder.scale_factor};
    run(name, Convention::kDiffusers, grid, entry, {.picture = encoded}, 2, true);
  }

  void from_picture(const std::string& name, Convention convention, const NamedSampler& named,
                    const std::string& picture, const std::string& strength, int64_t count = 0,
                    bool by_picture = false) {
    diffusion::Grid grid = grid_of(named);
    const engine::Entry entry = engine::enter(grid, steps_, std::stod(strength), convention, false);
    const Tensor init = in_.image("init_latent_" + picture).to(model_.device());
    const bool web = convention == Convention::kWebui;
    if (web) out_.add("sigmas_" + name, sigmas(grid, entry.first_step));
    run(name, convention, grid, entry, {.picture = posterior(web ? init : init.rows(0, 1))},
        web ? init.dim(0) : std::max<int64_t>(count, 1), web || by_picture);
  }

  void run(const std::string& name, Convention convention, const diffusion::Grid& grid, const engine::Entry& entry,
           engine::PictureLatents latents, int64_t count, bool by_picture) {
    engine::JobNoise noise({.seed = seed_, .by_picture = by_picture}, model_.device());
    noise.begin(0, count);
    const Tensor& moments = latents.picture.moments;
    const Shape shape{count, moments.dim(1), moments.dim(2), moments.dim(3) / 2};
    engine::Beginning beginning(std::move(latents), entry, convention, count);
    engine::BatchBeginning begun =
        beginning(shape, {.first = [&](const Shape& s) { return noise.first(s); },
                          .next = [&](const Shape& s) { return noise.next(s); },
                          .apart = [&](const Shape& s) { return noise.apart(s, "cpu"); },
                          .channels_last = [&](const Shape& s) { return noise.next_channels_last(s); },
                          .by_picture = by_picture});
    sample(name, grid, std::move(begun), noise);
  }

  Tensor sample(const std::string& name, const diffusion::Grid& grid, engine::BatchBeginning begun,
                engine::JobNoise& noise, engine::Controls::Control control = {}) {
    const auto count = static_cast<size_t>(begun.start.x.dim(0));
    engine::SampleJob job{.grid = grid,
                          .start = std::move(begun.start),
                          .scale = scale_,
                          .constrain = std::move(begun.constrain),
                          .rewrite = std::move(begun.rewrite),
                          .control = std::move(control)};
    job.cond = {.sequence = concat_rows(std::vector<Tensor>(count, cond_.rows(0, 1))), .channels = begun.channels};
    job.uncond = {.sequence = concat_rows(std::vector<Tensor>(count, uncond_.rows(0, 1))), .channels = begun.channels};
    const Tensor latent = engine::sample_latent(model_, job, [&](const Shape& s) { return noise.next(s); },
                                                {.cancel = &stop_requested()});
    out_.add_image(name, latent);
    return latent;
  }

  const models::StableDiffusion& model_;
  const ProbeInput& in_;
  ProbeOutput& out_;
  uint64_t seed_;
  int steps_ = 0;
  double scale_ = 1.0;
  Tensor cond_, uncond_;
  Tensor picture_;  // undefined: not given
  std::optional<bool> any_;
};

}  // namespace

std::string set_of(const ProbeInput& in) {
  if (in.has("compvis_x0")) return "inpaint-blend";
  if (in.has("masked_latent") && in.has("x_T")) return "inpaint";
  if (in.has("hint") && in.has("x_T")) return "control";
  if (!in.metadata("hr_scale").empty()) return "hires";
  if (in.has("init_latent_a")) return in.metadata("n").empty() ? "img2img-diffusers" : "img2img-webui";
  return "";
}

void run_set(const std::string& set, const models::StableDiffusion& model, const ProbeInput& in, ProbeOutput& out,
             const SetInputs& inputs) {
  Sets sets(model, in, out, inputs.picture);
  if (set == "inpaint-blend") return sets.blend();
  if (set == "inpaint") return sets.nine_channels();
  if (set == "control") return sets.control(inputs.controls);
  if (set == "hires") return sets.hires();
  if (set == "img2img-diffusers") return sets.img2img(Convention::kDiffusers, kDiffusers);
  SUMI_CHECK_KIND(kUsage, set == "img2img-webui",
                  "--set must be img2img-diffusers, img2img-webui, inpaint-blend, inpaint, hires or control, not {}",
                  set);
  sets.img2img(Convention::kWebui, kWebui);
}

}  // namespace sumi::app
