// sumi txt2img, sumi img2img: the original's scripts with their options, defaults, file layout and order of random
// numbers.
#include <memory>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/generate.h"
#include "app/cli/like.h"
#include "app/cli/output.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "base/log.h"
#include "base/small_file.h"
#include "base/text_util.h"
#include "image/grid.h"
#include "ranks/ranks.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

struct ScriptFlags {
  bool begins_from_picture = false;  // img2img
  SharedFlags shared;
  GenerateJob job;
  std::string prompt = "a painting of a virus monster playing guitar";
  std::string from_file;
  std::string outdir = "outputs/txt2img-samples";
  bool tell = true;  // print the files' names
  bool plms = false, dpm_solver = false, skip_grid = false, skip_save = false;
  int64_t n_iter = 2, n_samples = 3, n_rows = 0;
};

constexpr int64_t kMaxPromptsFile = 16 << 20;

// The file's lines, with any line ending.
std::vector<std::string> read_lines(const std::string& path) {
  std::error_code error;
  SUMI_CHECK_KIND(kNoInput, fs::status(path, error).type() != fs::file_type::not_found,
                  "{}: there is no such prompts file", path);
  const std::string text = read_small_file(path, kMaxPromptsFile);
  std::vector<std::string> lines;
  for (size_t begin = text.size() - without_byte_order_mark(text).size(); begin < text.size();) {
    const size_t end = std::min(text.find_first_of("\r\n", begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    SUMI_CHECK(!find_invalid_utf8(lines.back()), "{}, line {}: is not UTF-8; save the file as UTF-8", path,
               lines.size());
    begin = end + (text.compare(end, 2, "\r\n") == 0 ? 2 : 1);
  }
  SUMI_CHECK(!lines.empty(), "{}: contains no prompt", path);
  return lines;
}

void choose_sampler(ScriptFlags& flags) {
  const int ways = (flags.plms ? 1 : 0) + (flags.dpm_solver ? 1 : 0) + (flags.shared.sampler ? 1 : 0);
  SUMI_CHECK_KIND(kUsage, ways <= 1, "--plms, --dpm-solver and --sampler exclude one another");
  if (flags.plms) flags.shared.sampler = "plms";
  if (flags.dpm_solver) flags.shared.sampler = "dpm_solver";
}

void fill_request(ScriptFlags& flags) {
  SUMI_CHECK_KIND(kUsage, flags.n_rows >= 0, "--n-rows must be 0 or more, not {}", flags.n_rows);
  SUMI_CHECK_KIND(kUsage, flags.job.channels.value_or(1) >= 1 && flags.job.downsampling.value_or(1) >= 1,
                  "--C and --f must be 1 or more");
  const bool like = !flags.shared.like.empty();
  const auto check_init = [&](const std::string& init) {
    SUMI_CHECK_KIND(kUsage, !flags.begins_from_picture || !init.empty(),
                    "img2img begins from a picture: --init-img FILE");
  };
  if (!like) check_init(init_of(flags.shared.pictures));
  SUMI_CHECK_KIND(kUsage, !like || Ranks::world().alone(), "--like draws in one process; start it without mpirun");
  Request& request = flags.job.request;
  const auto typed = [&](const char* option) { return !like || flags.shared.given(option); };
  if (typed("--n-iter")) request.iterations = flags.n_iter;
  if (typed("--n-samples")) request.batch = flags.n_samples;
  if (!flags.from_file.empty()) {
    request.prompts = read_lines(flags.from_file);
  } else {
    if (typed("--prompt")) request.prompts = {flags.prompt};
    request.copies = request.batch;
  }
  apply_shared_flags(flags.shared, flags.job);
  if (like) check_init(request.init);
}

// Writes each picture to OUTDIR/samples and, at the end, all of them into a grid, if they have one size and it is not
// too large.
class Outputs {
 public:
  explicit Outputs(const ScriptFlags& flags) : flags_(flags) { check_output_folder(flags.outdir); }

  GenerateOutput hooks() {
    return {.begin =
                [this](const Settings& settings) {
                  folder_.emplace(flags_.outdir);
                  const int64_t each = flags_.job.only ? 1 : settings.pictures;
                  pictures_in_all_ = each * static_cast<int64_t>(flags_.job.pictures.size());
                  Ranks::world().wait_for_all();  // all count the existing files before one writes
                },
            .picture = [this](const Picture& picture, GenerateReport& report) { take(picture, report); },
            .end = [this](const std::string& parameters, GenerateReport& report) { end(parameters, report); }};
  }

 private:
  void take(const Picture& picture, GenerateReport& report) {
    if (!flags_.skip_save) {
      const fs::path path = write_sample(picture, report.before + picture.number);
      report.add(path, picture);
      tell(path);
    }
    keep_for_grid(picture.image);
  }

  void keep_for_grid(const image::Image& picture) {
    if (!wants_grid_) wants_grid_ = decide_on_grid(picture);
    if (!*wants_grid_) return;
    if (!pictures_.empty() && !same_size(pictures_[0], picture)) {
      warn("no grid is made: the pictures have different sizes; --skip-grid avoids this warning");
      wants_grid_ = false;
      pictures_.clear();
      return;
    }
    pictures_.push_back(picture);
  }

  static bool same_size(const image::Image& a, const image::Image& b) {
    return a.width == b.width && a.height == b.height;
  }

  // `number`: its place in the whole run. Each rank has its own numbers and cannot take the next one.
  fs::path write_sample(const Picture& picture, int64_t number) {
    if (Ranks::world().alone()) return folder_->write_sample(picture.image, picture.parameters);
    bool asked = false;
    const auto next = [&] {
      const fs::path path = folder_->sample(number);
      SUMI_CHECK_KIND(kCannotCreate, !asked, "{}: another run has taken that name; choose another --outdir",
                      path.string());
      asked = true;
      return path;
    };
    return write_new_picture(next, picture.image, picture.parameters);
  }

  int64_t per_row() const { return flags_.n_rows > 0 ? flags_.n_rows : flags_.n_samples; }

  // Decided at the first picture, since a model may have its own size.
  bool decide_on_grid(const image::Image& first) const {
    if (flags_.skip_grid || !Ranks::world().alone()) return false;
    const image::GridSize size = image::grid_size(pictures_in_all_, first, per_row());
    if (size.can_be_made()) return true;
    warn("no grid is made: it would have {}x{} pixels, over {} megapixels; --skip-grid avoids this warning", size.width,
         size.height, image::kMostGridPixels >> 20);
    return false;
  }

  void end(const std::string& parameters, GenerateReport& report) {
    if (pictures_.empty()) return;
    const fs::path path = folder_->write_grid(image::make_grid(pictures_, per_row()), parameters);
    report.grids.push_back(path);
    tell(path);
  }

  void tell(const fs::path& path) const {
    if (flags_.tell) say(path.string() + "\n");
  }

  const ScriptFlags& flags_;
  std::optional<OutputFolder> folder_;  // created when drawing begins
  int64_t pictures_in_all_ = 0;
  std::optional<bool> wants_grid_;      // known with the first picture
  std::vector<image::Image> pictures_;  // for the grid
};

// Every rank gets the first one's, which is below 2^53 where it was drawn (engine::random_seed).
uint64_t seed_of_first(uint64_t seed) {
  double shared = Ranks::world().first() ? static_cast<double>(seed) : 0.0;
  Ranks::world().sum(std::span(&shared, 1));
  return static_cast<uint64_t>(shared);
}

// Under mpirun each process draws some of the batches. Random seeds are drawn by the first rank.
void share_with_other_ranks(GenerateJob& job) {
  const Ranks& ranks = Ranks::world();
  if (ranks.alone()) return;
  Request& request = job.request;
  request.share = ranks.rank();
  request.share_of = ranks.size();
  if (job.seed_was_drawn) request.seed = seed_of_first(*request.seed);
  if (job.subseed_was_drawn) request.subseed = seed_of_first(*request.subseed);
  job.checked.emplace(request);
}

int run(ScriptFlags& flags) {
  choose_sampler(flags);
  flags.tell = !flags.job.json && !flags.job.quiet;
  if (!Ranks::world().first()) flags.job.quiet = true;
  fill_request(flags);
  share_with_other_ranks(flags.job);
  Outputs outputs(flags);
  generate(flags.job, outputs.hooks());
  Ranks::world().finish();
  return 0;
}

std::function<int()> declare(CLI::App& app, ScriptFlags script) {
  auto flags = std::make_shared<ScriptFlags>(std::move(script));
  app.add_option("--prompt", flags->prompt, "What the picture shows")->type_name("TEXT")->default_str(flags->prompt);
  app.add_option("--from-file", flags->from_file, "One prompt a line, in batches of --n-samples")->type_name("FILE");
  app.add_option("--outdir", flags->outdir, "Pictures go to DIR/samples/00000.png …, grids to DIR/grid-0000.png …")
      ->type_name("DIR")
      ->default_str(flags->outdir);
  app.add_flag("--skip-save", flags->skip_save, "Do not write single pictures");
  app.add_flag("--skip-grid", flags->skip_grid, "Do not write a grid of all pictures");
  app.add_flag("--plms", flags->plms, "The same as --sampler plms");
  app.add_flag("--dpm-solver", flags->dpm_solver, "The same as --sampler dpm_solver");
  app.add_flag("--fixed-code", flags->job.request.fixed_noise, "Start every batch from the same noise");
  add_integer(app, "--n-iter", flags->n_iter, "Times all prompts are drawn");
  add_integer(app, "--n-samples", flags->n_samples, "Pictures at once");
  add_integer(app, "--n-rows", flags->n_rows, "Pictures in a row of the grid; 0: --n-samples");
  add_integer(app, "--C", flags->job.channels, "Channels of a latent; by default the model's");
  add_integer(app, "--f", flags->job.downsampling, "Pixels per latent on each side; by default the model's");
  add_picture_flags(app, flags->shared.pictures, flags->begins_from_picture ? "--init-img,--init" : "--init");
  add_like_option(app, flags->shared);
  add_shared_flags(app, flags->shared, flags->job);
  if (flags->begins_from_picture) app.get_option("--scale")->default_str("5");
  return [flags] { return run(*flags); };
}

const CommandRegistration kTxt2Img({
    .name = "txt2img",
    .help = "Text to image, as the original script: its options, its folders, its numbers",
    .examples = R"(Examples:
  sumi txt2img --prompt "a photograph of an astronaut riding a horse" --plms --outdir outputs \
      --ckpt sd-v1-4.ckpt --n_samples 4 --ddim_steps 50 --cfg_scale 7.5
  mpirun -np 2 sumi txt2img --from-file prompts.txt --n_samples 1
  sumi txt2img --from-file prompts.txt --n_iter 1 --sampler dpmpp_2m --schedule karras --steps 25
  sumi txt2img --like outputs/txt2img-samples/samples/00003.png --steps 80 --outdir again
  sumi txt2img --prompt "a red apple" --seeding picture --seed 7      # then --seed 9 --n_samples 1 --n_iter 1: the third
Unless --watermark and --safety-checker say so, no watermark is put into the pictures and no safety checker looks at
them; the original does both.
)",
    .declare = [](CLI::App& app) { return declare(app, {}); },
});

const CommandRegistration kImg2Img({
    .name = "img2img",
    .help = "Image to image, as the original script: its options, its folders, its numbers",
    .examples = R"(Examples:
  sumi img2img --prompt "A fantasy landscape, trending on artstation" --init-img mountains.jpg --strength 0.8 \
      --ckpt sd-v1-4.ckpt
  sumi img2img --prompt "a red hat" --init-img portrait.png --mask hat.png --n_samples 1 --n_iter 1
The picture is shrunk to sides that are multiples of 32. With --sampler and --convention other programs' rules hold.
)",
    .declare =
        [](CLI::App& app) {
          return declare(
              app, {.begins_from_picture = true, .outdir = "outputs/img2img-samples", .n_iter = 1, .n_samples = 2});
        },
});

}  // namespace
}  // namespace sumi::app
