// sumi probe safety: the safety checker on given pictures.
#include <memory>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/probe_io.h"
#include "base/check.h"
#include "core/host_view.h"
#include "engine/safety.h"
#include "image/read.h"
#include "ops/layout.h"

namespace sumi::app {
namespace {

constexpr int64_t kRealSide = 224;  // of the published checker
constexpr int64_t kFirstRow = 100, kRows = 4;
constexpr int64_t kAtOnce = 8;  // pictures, for the memory that they take

struct SafetyProbe {
  EngineFlags engine;
  std::string checker, in, out, large;
  std::vector<std::string> pictures;
};

std::vector<float> as_floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

// The pictures as the network takes them, NHWC.
Tensor pixels_of(const SafetyProbe& probe, const ProbeInput* in, int64_t side) {
  if (probe.pictures.empty()) {
    SUMI_CHECK_KIND(kUsage, in != nullptr, "give pictures: --in with \"pixel_values\", or --picture");
    Tensor pixels = in->image("pixel_values");
    SUMI_CHECK(pixels.dim(1) == side && pixels.dim(2) == side && pixels.dim(3) == 3,
               "{}: \"pixel_values\" must be [N,3,{},{}] for this checker, not {}", probe.in, side, side,
               nhwc_to_nchw(pixels).shape().str());
    return pixels;
  }
  std::vector<Image> squares;
  for (const std::string& file : probe.pictures)
    squares.push_back(engine::safety_square(image::read_picture({file}), side));
  return engine::safety_pixels(squares);
}

void set_thresholds(models::SafetyChecker& checker, const ProbeInput& in) {
  const std::string concepts = "concept_embeds_weights", special = "special_care_embeds_weights";
  std::vector<float> of_concepts = checker.concept_thresholds(), of_special = checker.special_thresholds();
  if (in.has(concepts)) of_concepts = as_floats(in.numbers(concepts, static_cast<int64_t>(of_concepts.size())));
  if (in.has(special)) of_special = as_floats(in.numbers(special, static_cast<int64_t>(of_special.size())));
  checker.set_thresholds(std::move(of_concepts), std::move(of_special));
}

// The preparation alone, at the published size.
void add_large(const std::string& file, ProbeOutput& out) {
  const Image square = engine::safety_square(image::read_picture({file}), kRealSide);
  Tensor bytes = Tensor::empty({1, kRealSide, kRealSide, 3}, DType::kU8);
  {
    const HostEdit<uint8_t> to(bytes);
    std::copy(square.pixels.begin(), square.pixels.end(), to.begin());
  }
  out.add_image("large_u8_224", bytes);
  const Tensor pixels = engine::safety_pixels({square});
  out.add_image("large_pixel_rows_100_103", crop(pixels, kFirstRow, kFirstRow + kRows, 0, kRealSide));
}

void add_states(const models::SafetyChecker& checker, const Tensor& pixels, ProbeOutput& out) {
  std::vector<Tensor> hidden, pooled, embeds, special_cos, concept_cos;
  std::vector<float> special, concepts;
  std::vector<int64_t> flags;
  const int64_t count = pixels.dim(0);
  for (int64_t first = 0; first < count; first += kAtOnce) {
    const models::SafetyStates states = checker.look(pixels.rows(first, std::min(first + kAtOnce, count)));
    hidden.push_back(states.last_hidden);
    pooled.push_back(states.pooled);
    embeds.push_back(states.embeds);
    special_cos.push_back(states.special_cos);
    concept_cos.push_back(states.concept_cos);
    for (const models::SafetyReport& report : checker.judge(states)) {
      special.insert(special.end(), report.special.begin(), report.special.end());
      concepts.insert(concepts.end(), report.concepts.begin(), report.concepts.end());
      flags.push_back(report.flagged ? 1 : 0);
    }
  }
  checker.file().check_intact();
  out.add_image("pixel_values", pixels);
  out.add("last_hidden_state", concat_rows(hidden));
  out.add("pooled", concat_rows(pooled));
  out.add("image_embeds", concat_rows(embeds));
  out.add("special_cos", concat_rows(special_cos));
  out.add("concept_cos", concat_rows(concept_cos));
  out.add("special_scores", Tensor::from(special, {count, static_cast<int64_t>(special.size()) / count}));
  out.add("concept_scores", Tensor::from(concepts, {count, static_cast<int64_t>(concepts.size()) / count}));
  out.add("has_nsfw", Tensor::from(flags, {count}));
}

int run(const SafetyProbe& probe) {
  probe.engine.apply();
  ProbeOutput out(probe.out);
  std::unique_ptr<ProbeInput> in;
  if (!probe.in.empty()) in = std::make_unique<ProbeInput>(probe.in);
  models::SafetyChecker checker(probe.checker, engine::device_of({.backend = probe.engine.backend}));
  if (in) set_thresholds(checker, *in);
  if (!probe.large.empty()) add_large(probe.large, out);
  if (in || !probe.pictures.empty() || probe.large.empty())
    add_states(checker, pixels_of(probe, in.get(), checker.side()), out);
  out.write();
  return 0;
}

std::function<int()> declare(CLI::App& app) {
  auto probe = std::make_shared<SafetyProbe>();
  app.add_option(
         "--checker", probe->checker,
         "The safety checker: diffusers' folder safety_checker, a pipeline's folder that has it, or its weights "
         "in one file")
      ->required()
      ->type_name("PATH");
  app.add_option("--in", probe->in,
                 "pixel_values [N,3,S,S], prepared; concept_embeds_weights and special_care_embeds_weights where they "
                 "replace the checker's (safetensors)")
      ->type_name("FILE");
  add_repeatable(app, "--picture", probe->pictures, "FILE",
                 "A picture to check in place of pixel_values; may be given several times");
  app.add_option("--large", probe->large,
                 "A picture that is only prepared, at 224 pixels: large_u8_224, large_pixel_rows_100_103")
      ->type_name("FILE");
  app.add_option("--out", probe->out, "What the checker makes of them: states, cosines, scores and has_nsfw")
      ->required()
      ->type_name("FILE");
  add_engine_options(app, probe->engine, false);
  return [probe] { return run(*probe); };
}

const CommandRegistration kRegistration({"probe safety", "Safety checker: pixel_values or pictures -> scores, has_nsfw",
                                         R"(Example:
  sumi probe safety --checker stable-diffusion-v1-5/safety_checker --picture cat.png --picture dog.jpg \
      --out out.safetensors
)",
                                         declare});

}  // namespace
}  // namespace sumi::app
