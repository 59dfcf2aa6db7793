// sumi eval: how well a model draws what a folder of captioned pictures shows.
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/generate.h"
#include "app/cli/process.h"
#include "app/places.h"
#include "base/check.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/rng.h"
#include "engine/sample_latent.h"
#include "evaluate/clip_score.h"
#include "evaluate/kernel_distance.h"
#include "evaluate/retrieval.h"
#include "io/checkpoint.h"
#include "ops/layout.h"
#include "text/clip_tokenizer.h"
#include "train/dataset.h"

namespace sumi::app {
namespace {

struct Eval {
  SharedFlags shared{.defaults = "quick", .seed = "1", .syntax = "exact"};
  GenerateJob job;
  std::string data, clip;
  int64_t count = 200, batch = 8;

  int run();
};

// The features that are compared. The pictures are not kept: a folder of photographs may exceed memory.
class Traits {
 public:
  void add(const image::Image& picture) {
    thumbnails_.push_back(evaluate::thumbnail(picture));
    features_.push_back(extract_({picture}));
  }
  const std::vector<std::vector<float>>& thumbnails() const { return thumbnails_; }
  Tensor features() const { return concat_rows(features_); }

 private:
  evaluate::RandomFeatures extract_;
  std::vector<std::vector<float>> thumbnails_;
  std::vector<Tensor> features_;
};

// From the folder's readable pictures, one for each caption.
struct References {
  std::vector<std::string> captions;
  Traits traits;
  int64_t broken = 0;
};

References read_references(const std::string& data, bool quiet) {
  References out;
  std::set<std::string> seen;
  train::LeftOut left_out;
  std::vector<train::Example> examples = train::find_examples(data, &left_out);
  for (const std::string& line : train::describe_examples(examples, left_out)) {
    if (!quiet) note(line);
  }
  Progress bar({.label = "reading pictures", .total = static_cast<int64_t>(examples.size()), .quiet = quiet});
  for (size_t i = 0; i < examples.size(); ++i) {
    const std::string& caption = examples[i].caption;
    if (!caption.empty() && !seen.contains(caption)) {
      const train::LoadedPicture loaded = train::load_picture(examples[i]);
      if (loaded.broken) {
        ++out.broken;
        warn("left out: {}", loaded.why);
      } else {
        seen.insert(caption);
        out.captions.push_back(caption);
        out.traits.add(loaded.picture);
      }
    }
    bar.update(static_cast<int64_t>(i) + 1);
  }
  SUMI_CHECK_KIND(kNoInput, out.captions.size() >= 2,
                  "{}: {} pictures with different captions; evaluation needs at least two", data, out.captions.size());
  return out;
}

int Eval::run() {
  SUMI_CHECK_KIND(kUsage, count >= 2 && count <= 1'000'000, "--count must be from 2 to 1000000, not {}", count);
  SUMI_CHECK_KIND(kUsage, batch >= 1 && batch <= 256, "--batch must be from 1 to 256, not {}", batch);
  job.request.prompts = {std::string()};  // the captions take its place
  job.request.batch = job.request.copies = batch;
  apply_shared_flags(shared, job);
  job.engine.apply();  // the features are computed outside the engine
  if (job.seed_was_drawn && !job.quiet) note(fmt::format("seed {}", *job.request.seed));
  Engine engine(job.engine.options());
  Model model = engine.open(job.model.options(job.engine));
  size_t told = 0;
  tell_warnings(model, told);
  model.prepare(*job.checked);  // finds what is wrong before pictures are read
  std::optional<evaluate::ClipScore> score;
  if (!clip.empty()) {
    const auto file = io::open_checkpoint(clip);
    score.emplace(*file, text::ClipTokenizer::load(text::find_tokenizer({}, clip, find_places())),
                  device_from_name(job.engine.backend));
  }
  const References references = read_references(data, job.quiet);
  model.load();
  tell_warnings(model, told);

  TorchCpuGenerator generator(*job.request.seed);
  const std::vector<int64_t> order = generator.randperm(static_cast<int64_t>(references.captions.size()));
  std::vector<size_t> chosen;
  job.request.prompts.clear();
  job.request.copies.reset();
  for (size_t i = 0; i < order.size() && i < static_cast<size_t>(count); ++i) {
    chosen.push_back(static_cast<size_t>(order[i]));
    job.request.prompts.push_back(references.captions[chosen.back()]);
  }
  evaluate::Retrieval retrieval;
  double scores = 0.0;
  Traits drawn;
  {
    Progress bar({.label = "drawing", .total = static_cast<int64_t>(chosen.size()), .quiet = job.quiet});
    Job drawing = model.prepare(job.request);
    run_job(drawing, {.picture =
                          [&](Picture&& picture) {
                            drawn.add(picture.image);
                            retrieval.add(evaluate::place_of(drawn.thumbnails().back(), references.traits.thumbnails(),
                                                             chosen[static_cast<size_t>(picture.number)]));
                            if (score) scores += (*score)(picture.image, picture.prompt);
                            bar.update(retrieval.drawn);
                          },
                      .warning = [](const std::string& warning) { warn("{}", warning); }});
  }
  const double distance = evaluate::kernel_distance(drawn.features(), references.traits.features());
  const double clip_score = scores / static_cast<double>(retrieval.drawn);
  if (job.json) {
    nlohmann::ordered_json json{{"drawn", retrieval.drawn},    {"references", references.captions.size()},
                                {"broken", references.broken}, {"top1", retrieval.top1()},
                                {"top5", retrieval.top5()},    {"kernel_distance", distance}};
    if (score) json["clip_score"] = clip_score;
    say(json.dump() + "\n");
    return 0;
  }
  say(fmt::format(
      "{} pictures drawn, each compared with {}\n"
      "nearest is the right one (32x32 RGB): {:.1f} %, among the nearest five: {:.1f} %\n"
      "kernel distance of features (sumi's random ones; 0: the same): {:.5f}\n",
      retrieval.drawn, references.captions.size(), 100.0 * retrieval.top1(), 100.0 * retrieval.top5(), distance));
  if (score) say(fmt::format("CLIP score (100 · cosine of picture and caption): {:.2f}\n", clip_score));
  return 0;
}

std::function<int()> declare(CLI::App& app) {
  auto eval = std::make_shared<Eval>();
  app.add_option("--data", eval->data, "Folder of captioned pictures, or of tar archives of them")
      ->required()
      ->type_name("DIR");
  add_integer(app, "--count", eval->count, "Captions to draw, chosen at random");
  add_integer(app, "--batch", eval->batch, "Pictures at once");
  app.add_option(
         "--clip", eval->clip,
         "Also print the CLIP score, by this text and image model (transformers' CLIPModel, tokenizer beside it)")
      ->type_name("FILE");
  add_shared_flags(app, eval->shared, eval->job);
  return [eval] { return eval->run(); };
}

const CommandRegistration kRegistration({.name = "eval",
                                         .help = "Measure how well a model draws captioned pictures",
                                         .examples = R"(Examples:
  sumi eval --ckpt run1/model.safetensors --data pictures/
  sumi eval --ckpt run1/model.safetensors --data held-out.tar --count 500 --steps 20 --json
  sumi eval --ckpt sd-v1-4.ckpt --data pictures/ --clip clip-vit-large-patch14/model.safetensors
Draws a picture of each caption and looks for the picture nearest to it in the folder; and compares the statistics of
drawn and given pictures.
)",
                                         .declare = declare});

}  // namespace
}  // namespace sumi::app
