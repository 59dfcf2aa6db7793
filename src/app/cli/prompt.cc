// sumi "PROMPT" [-o FILE]: one picture, the short way.
#include <cctype>
#include <memory>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/generate.h"
#include "app/cli/like.h"
#include "app/cli/output.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "base/nearest.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

struct PromptFlags {
  SharedFlags shared{.defaults = "quick", .seed = "-1"};
  GenerateJob job;
  std::string prompt;
  std::vector<std::string> more_words;
  std::string output;
};

// "a-lighthouse-at-dusk-42", the name in the working folder without its ending.
std::string default_name(const std::string& prompt, uint64_t seed) {
  constexpr size_t kMostLetters = 40;
  std::string name;
  for (const char c : prompt) {
    if (name.size() >= kMostLetters) break;
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  if (name.empty()) name = "sumi";
  if (name.back() != '-') name += '-';
  return name + std::to_string(seed);
}

// Writes to the first unused name of NAME.png, NAME-2.png, ….
fs::path write_as_default(const std::string& name, const image::Image& image, const std::string& parameters) {
  int tried = 0;
  const auto next = [&] { return fs::path(++tried == 1 ? name + ".png" : fmt::format("{}-{}.png", name, tried)); };
  return write_new_picture(next, image, parameters);
}

void refuse_more_words(const PromptFlags& flags) {
  if (flags.more_words.empty()) return;
  std::vector<std::string> names;
  for (const Command* command : commands()) names.push_back(command->name.substr(0, command->name.find(' ')));
  const std::string meant = nearest_of(flags.prompt, names);
  SUMI_CHECK_KIND(kUsage, meant.empty(),
                  "there is no command {}; did you mean sumi {}? Put a prompt of several words in quotes", flags.prompt,
                  meant);
  fail(ErrorKind::kUsage,
       "\"{}\" comes after the prompt \"{}\": put quotes around a prompt of several words; sumi --help lists the "
       "commands",
       flags.more_words[0], flags.prompt);
}

void check_preview(GenerateJob& job) {
  SUMI_CHECK_KIND(kUsage, job.preview || job.model.preview_vae.empty(),
                  "--preview-vae means nothing without --preview: give that too, or leave it out");
  if (!job.preview) return;
  if (*job.preview == "terminal") {
    SUMI_CHECK_KIND(kUsage, !job.quiet, "--preview terminal shows nothing with --quiet: leave one of them out");
    return;
  }
  check_output_file(*job.preview);
  job.outputs.push_back({"--preview", *job.preview});
}

// `several`: pictures, so that -o is a folder.
void check_output(const PromptFlags& flags, bool several, GenerateJob& job) {
  if (several || flags.output.empty()) return check_output_folder(flags.output.empty() ? "." : flags.output);
  check_output_file(flags.output);
  job.outputs.push_back({"-o", flags.output});
}

int run(PromptFlags& flags) {
  refuse_more_words(flags);
  const bool prompted = flags.shared.given("prompt");
  SUMI_CHECK_KIND(kUsage, prompted || !flags.shared.like.empty(),
                  "prompt is required (sumi PROMPT --help lists the options)");
  if (prompted) flags.job.request.prompts = {flags.prompt};
  const bool several = gives_several(flags.shared.pictures);
  check_output(flags, several, flags.job);
  check_preview(flags.job);
  apply_shared_flags(flags.shared, flags.job);
  if (several && !flags.output.empty()) make_output_folder(flags.output);
  const auto write = [&](const Picture& picture, GenerateReport& report) {
    fs::path path = flags.output;
    if (several) {  // names are kept, no file is replaced
      path = write_as_default((path / report.init.stem()).string(), picture.image, picture.parameters);
    } else if (path.empty()) {
      path = write_as_default(default_name(prompted ? flags.prompt : picture.prompt, picture.seed), picture.image,
                              picture.parameters);
    } else {
      write_picture(path, picture.image, picture.parameters);
    }
    report.add(path, picture);
    if (!flags.job.json && !flags.job.quiet) say(path.string() + "\n");
  };
  generate(flags.job, {.begin = {}, .picture = write, .end = {}});
  return 0;
}

std::function<int()> declare(CLI::App& app) {
  auto flags = std::make_shared<PromptFlags>();
  app.add_option("prompt", flags->prompt, "What the picture shows")->type_name("");
  app.add_option("more", flags->more_words, "")->group("");
  app.add_option("-o,--output", flags->output,
                 "Where the picture goes; by default PROMPT-SEED.png here; with several pictures for --init a folder")
      ->type_name("FILE.png");
  app.add_option(
         "--preview", flags->job.preview,
         "Show the picture in the making: terminal (kitty, sixel), or a PNG file that is written after each step")
      ->type_name("WHERE");
  add_preview_vae_option(app, flags->job.model);
  add_picture_flags(app, flags->shared.pictures);
  add_like_option(app, flags->shared);
  add_shared_flags(app, flags->shared, flags->job);
  return [flags] { return run(*flags); };
}

const CommandRegistration kRegistration({
    .name = "",
    .help = "One picture from a prompt",
    .examples = R"(Examples:
  sumi "a lighthouse at dusk, oil on canvas" --ckpt sd-v1-4.ckpt -o lighthouse.png
  sumi "a (red:1.3) fox in the snow" --negative-prompt "blurry" --sampler "Euler a" --steps 30 --seed 7
  sumi "a castle in the style of Monet" --init photo.jpg --strength 0.6
  sumi "a red hat" --init portrait.png --mask hat-mask.png
  sumi "a wide valley" --init hill.png --extend 128,128,0,0
  sumi "a lighthouse at dusk" --hires 2
  sumi "a living room" --control control_v11p_sd15_canny.pth:room.jpg --control-preprocess canny
  sumi "moss on stone" --seamless xy
  sumi --like lighthouse.png --steps 50
)",
    .declare = declare,
});

}  // namespace
}  // namespace sumi::app
