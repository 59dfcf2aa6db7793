// eval_default_model: checks whether the default model draws the requested emoji on the requested colour.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/rng.h"
#include "evaluate/retrieval.h"
#include "image/grid.h"
#include "image/png.h"
#include "sumi/engine.h"
#include "tools/emoji_set.h"

namespace {

using namespace sumi;
using namespace sumi::tools;

struct Options {
  std::string checkpoint, font = default_emoji_font(), names = default_emoji_test(), sheet;
  int64_t count = 200, batch = 8, threads = 0, steps = 0;
  uint64_t seed = 1;
  double scale = 0.0;
  bool json = false;
};

struct Question {
  size_t emoji, colour;
  std::string prompt;
};

// The colour in the palette that most of the frame around a picture is nearest to.
size_t background_of(const image::Image& picture) {
  std::array<int64_t, kColours.size()> votes{};
  const auto vote = [&](int64_t x, int64_t y) {
    const uint8_t* pixel = picture.row(y) + 3 * x;
    int64_t least = 1 << 30;
    size_t nearest = 0;
    for (size_t i = 0; i < kColours.size(); ++i) {
      int64_t distance = 0;
      for (size_t c = 0; c < 3; ++c) {
        const int64_t d = int64_t{pixel[c]} - kColours[i].rgb[c];
        distance += d * d;
      }
      if (distance < least) {
        least = distance;
        nearest = i;
      }
    }
    ++votes[nearest];
  };
  for (int64_t i = 0; i < picture.width; ++i) {
    vote(i, 0);
    vote(i, picture.height - 1);
  }
  for (int64_t i = 0; i < picture.height; ++i) {
    vote(0, i);
    vote(picture.width - 1, i);
  }
  return static_cast<size_t>(std::max_element(votes.begin(), votes.end()) - votes.begin());
}

class Evaluation {
 public:
  explicit Evaluation(const Options& options)
      : options_(options),
        emoji_(read_emoji(options.names)),
        engine_({.threads = options.threads, .pin_threads = true}),
        model_(engine_.open({.path = options.checkpoint})),
        size_(model_.info().default_size) {
    if (emoji_.size() != kEmojiTrainedOn)
      std::fprintf(stderr,
                   "eval_default_model: this list has %zu emoji and the model was trained on %zu: other pairs are held "
                   "out here, and training may have seen them\n",
                   emoji_.size(), kEmojiTrainedOn);
    const EmojiFont font(options.font);
    for (const Emoji& e : emoji_) glyphs_.push_back(font.draw(e.code_points));
    request_ = {.batch = options.batch, .seed = options.seed, .syntax = "weighted", .defaults = "original"};
    if (options.steps > 0) request_.steps = options.steps;
    if (options.scale > 0.0) request_.scale = options.scale;
  }

  void run() {
    const evaluate::Retrieval plain = ask(plain_questions(), "names", nullptr);
    int64_t right_colour = 0;
    const evaluate::Retrieval held_out = ask(held_out_questions(), "held-out pairs", &right_colour);
    const double colours = static_cast<double>(right_colour) / static_cast<double>(held_out.drawn);
    if (options_.json) {
      std::printf("%s\n", nlohmann::ordered_json{{"names", plain.drawn},
                                                 {"top1", plain.top1()},
                                                 {"top5", plain.top5()},
                                                 {"held_out_pairs", held_out.drawn},
                                                 {"background", colours},
                                                 {"held_out_top1", held_out.top1()},
                                                 {"held_out_top5", held_out.top5()}}
                              .dump()
                              .c_str());
    } else {
      std::printf("%lld names, among %zu emoji: nearest %.1f %%, among the nearest five %.1f %%\n",
                  static_cast<long long>(plain.drawn), emoji_.size(), 100.0 * plain.top1(), 100.0 * plain.top5());
      std::printf(
          "%lld name-colour pairs that training never saw: background right %.1f %%, nearest %.1f %%, among the "
          "nearest five %.1f %%\n",
          static_cast<long long>(held_out.drawn), 100.0 * colours, 100.0 * held_out.top1(), 100.0 * held_out.top5());
    }
  }

 private:
  std::vector<Question> plain_questions() const {
    TorchCpuGenerator generator(options_.seed);
    std::vector<Question> out;
    for (const int64_t i : generator.randperm(static_cast<int64_t>(emoji_.size()))) {
      if (static_cast<int64_t>(out.size()) == options_.count) break;
      out.push_back({static_cast<size_t>(i), 0, emoji_[static_cast<size_t>(i)].name});
    }
    return out;
  }

  std::vector<Question> held_out_questions() const {
    std::vector<Question> all;
    for (size_t i = 0; i < emoji_.size(); ++i) {
      for (size_t colour = 1; colour < kColours.size(); ++colour) {
        if (is_held_out(i, colour)) all.push_back({i, colour, caption_on(emoji_[i].name, colour)});
      }
    }
    TorchCpuGenerator generator(options_.seed + 1);
    std::vector<Question> out;
    for (const int64_t i : generator.randperm(static_cast<int64_t>(all.size()))) {
      if (static_cast<int64_t>(out.size()) == options_.count) break;
      out.push_back(all[static_cast<size_t>(i)]);
    }
    return out;
  }

  // All emoji on that colour.
  const std::vector<std::vector<float>>& references(size_t colour) {
    auto& known = references_[colour];
    if (known.empty()) {
      known.resize(emoji_.size());
      parallel_for(static_cast<int64_t>(emoji_.size()), [&](int64_t i) {
        const auto at = static_cast<size_t>(i);
        known[at] = evaluate::thumbnail(draw_emoji(glyphs_[at], kColours[colour], size_));
      });
    }
    return known;
  }

  evaluate::Retrieval ask(const std::vector<Question>& questions, const std::string& what, int64_t* right_colour) {
    request_.prompts.clear();
    for (const Question& q : questions) request_.prompts.push_back(q.prompt);
    evaluate::Retrieval result;
    std::vector<image::Image> drawn;
    Progress bar({.label = what, .total = static_cast<int64_t>(questions.size()), .quiet = options_.json});
    const auto take = [&](Picture&& picture) {
      const Question& q = questions[static_cast<size_t>(picture.number)];
      result.add(evaluate::place_of(evaluate::thumbnail(picture.image), references(q.colour), q.emoji));
      if (right_colour != nullptr) *right_colour += background_of(picture.image) == q.colour ? 1 : 0;
      drawn.push_back(std::move(picture.image));
      bar.update(static_cast<int64_t>(drawn.size()));
    };
    model_.prepare(request_).run({.picture = take});
    if (!options_.sheet.empty()) image::write_png(options_.sheet + "-" + what + ".png", image::make_grid(drawn, 20));
    return result;
  }

  const Options& options_;
  std::vector<Emoji> emoji_;
  Engine engine_;
  Model model_;
  int64_t size_;
  std::vector<Glyph> glyphs_;
  Request request_;
  std::array<std::vector<std::vector<float>>, kColours.size()> references_;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Draws names and held-out name-colour pairs with the default model, and looks for the rendered emoji nearest to "
      "each picture (32x32 RGB) among all");
  Options options;
  app.add_option("--ckpt", options.checkpoint, "The model")->required();
  app.add_option("--count", options.count, "Number of names, and of pairs")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--batch", options.batch, "Pictures at once")->check(CLI::Range(1, 256))->capture_default_str();
  app.add_option("--seed", options.seed, "Seed of the choice and of the pictures")->capture_default_str();
  app.add_option("--steps", options.steps, "Sampling steps; 0: the model's own");
  app.add_option("--scale", options.scale, "Guidance; 0: the model's own");
  app.add_option("--threads", options.threads, "Threads; 0: one a core")->check(CLI::Range(0, 1024));
  app.add_option("--sheet", options.sheet, "Also write the pictures to SHEET-names.png and SHEET-held-out pairs.png");
  app.add_option("--font", options.font, "A font of colour bitmaps")->capture_default_str();
  app.add_option("--names", options.names, "Unicode's emoji-test.txt")->capture_default_str();
  app.add_flag("--json", options.json, "As JSON");
  CLI11_PARSE(app, argc, argv);
  try {
    if (options.threads > 0) set_num_threads(static_cast<int>(options.threads));
    Evaluation(options).run();
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "eval_default_model: %s\n", error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "eval_default_model: %s\n", error.what());
    return static_cast<int>(ErrorKind::kInternal);
  }
}
