// make_emoji_dataset: renders the captioned pictures from which the default model is trained.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/rng.h"
#include "image/png.h"
#include "tools/emoji_set.h"

namespace {

namespace fs = std::filesystem;
using namespace sumi;
using namespace sumi::tools;

struct Options {
  std::string out, font = default_emoji_font(), names = default_emoji_test();
  std::vector<std::string> groups = default_groups();
  int64_t size = 128, plain = 4, seed = 1, limit = 0, jitter = 1;
  bool all_pairs = false;
};

struct Picture {
  size_t emoji, colour;
  std::string caption, file;
  Placement placement;
};

// Every emoji `plain` times on white, by its name, with an article, or with the background named; and once on each
// colour that is not held out.
std::vector<Picture> plan(const std::vector<Emoji>& emoji, const Options& options) {
  std::vector<Picture> pictures;
  TorchCpuGenerator generator(static_cast<uint64_t>(options.seed));
  const int64_t move = options.jitter, grow = options.jitter + options.jitter / 3;
  const auto place = [&] {
    std::vector<int64_t> chance(3);
    generator.randint(0, 1 << 20, chance);
    return Placement{.canvas = Placement().canvas - grow + chance[0] % (2 * grow + 1),
                     .right = chance[1] % (2 * move + 1) - move,
                     .down = chance[2] % (2 * move + 1) - move};
  };
  for (size_t i = 0; i < emoji.size(); ++i) {
    const std::string& name = emoji[i].name;
    const auto add = [&](size_t colour, const std::string& caption, int64_t number) {
      pictures.push_back(
          {i, colour, caption, fmt::format("{:04}-{}-{}.png", i, kColours[colour].name, number), place()});
    };
    for (int64_t k = 0; k < options.plain; ++k)
      add(0, k % 4 == 2 ? caption_on(name, 0) : k % 4 == 3 ? with_article(name) : name, k);
    for (size_t colour = 1; colour < kColours.size(); ++colour) {
      if (options.all_pairs || !is_held_out(i, colour)) add(colour, caption_on(name, colour), 0);
    }
  }
  return pictures;
}

void run(const Options& options) {
  std::vector<Emoji> emoji = read_emoji(options.names, options.groups);
  if (options.limit > 0) emoji.resize(std::min<size_t>(emoji.size(), static_cast<size_t>(options.limit)));
  const EmojiFont font(options.font);
  std::vector<Glyph> glyphs;
  for (const Emoji& e : emoji) glyphs.push_back(font.draw(e.code_points));
  const std::vector<Picture> pictures = plan(emoji, options);
  const fs::path folder = options.out;
  fs::create_directories(folder);
  Progress bar({.label = "drawing", .total = static_cast<int64_t>(pictures.size())});
  constexpr size_t kAtOnce = 256;
  for (size_t begin = 0; begin < pictures.size(); begin += kAtOnce) {
    const size_t end = std::min(pictures.size(), begin + kAtOnce);
    parallel_for(static_cast<int64_t>(end - begin), [&](int64_t i) {
      const Picture& p = pictures[begin + static_cast<size_t>(i)];
      image::write_png(folder / p.file, draw_emoji(glyphs[p.emoji], kColours[p.colour], options.size, p.placement));
    });
    bar.update(static_cast<int64_t>(end));
  }
  // Written last: a folder without it is not finished.
  AtomicFile metadata(folder / "metadata.jsonl");
  for (const Picture& p : pictures)
    metadata.write(nlohmann::json{{"file_name", p.file}, {"text", p.caption}}.dump() + "\n");
  metadata.commit();
  std::printf("%zu pictures of %zu emoji in %s\n", pictures.size(), emoji.size(), folder.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Renders the colour emoji of the system's font, with captions: a set of pictures to train on");
  Options options;
  app.add_option("out", options.out, "Folder to fill with pictures and metadata.jsonl")->required();
  app.add_option("--size", options.size, "Pixels a side")->check(CLI::Range(16, 1024))->capture_default_str();
  app.add_option("--plain", options.plain, "Pictures of each emoji on white")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--limit", options.limit, "Only this many emoji; 0: all")->capture_default_str();
  app.add_option("--jitter", options.jitter, "Largest shift of a glyph, and a little more of its size, of 148 pixels")
      ->check(CLI::Range(0, 5))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Seed of placements and sizes")->capture_default_str();
  app.add_flag("--all-pairs", options.all_pairs, "Also the held-out name-colour pairs");
  app.add_option("--group", options.groups, "Groups of emoji-test.txt; may be repeated")->capture_default_str();
  app.add_option("--font", options.font, "A font of colour bitmaps")->capture_default_str();
  app.add_option("--names", options.names, "Unicode's emoji-test.txt")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "make_emoji_dataset: %s\n", error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_emoji_dataset: %s\n", error.what());
    return static_cast<int>(ErrorKind::kInternal);
  }
}
