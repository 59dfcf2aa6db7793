// sumi upscale: pictures in a larger size, by a trained network or a plain filter.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/output.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "base/progress.h"
#include "base/text_util.h"
#include "engine/enlarge.h"
#include "image/file_texts.h"
#include "image/png.h"
#include "image/read.h"
#include "image/resize.h"
#include "models/upscaler/upscaler.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSmallestTile = 16, kLargestTile = 16384;

using engine::PictureSize;

// A picture's way through the command.
struct Work {
  fs::path in, out;
  PictureSize target;
};

struct Upscale {
  EngineFlags engine;
  std::vector<std::string> files;
  std::string model, out, folder, resampler;
  std::optional<double> scale;
  std::optional<int64_t> tile;
  bool quiet = false;

  int run() const;

 private:
  void check_words() const;
  double wanted_scale(const std::optional<models::Upscaler>& network) const;
  fs::path name_for(const fs::path& in, double by) const;
  std::vector<Work> plan(const std::optional<models::Upscaler>& network) const;
  Image enlarge(const Image& picture, const Work& work, const std::optional<models::Upscaler>& network) const;
  fs::path write(const Work& work, const Image& result, const std::vector<image::PngText>& texts) const;
};

void Upscale::check_words() const {
  SUMI_CHECK_KIND(kUsage, !model.empty() || !resampler.empty(),
                  "name an upscaling model with --model, or a plain filter with --resampler ({})", image::kFilterNames);
  SUMI_CHECK_KIND(kUsage, !model.empty() || scale, "--resampler needs --scale");
  SUMI_CHECK_KIND(kUsage, !scale || (*scale > 0.0 && *scale <= engine::kMostEnlarging),
                  "--scale must be above 0 and at most {:g}", engine::kMostEnlarging);
  SUMI_CHECK_KIND(kUsage, !tile || !model.empty(), "--tile is for --model");
  SUMI_CHECK_KIND(kUsage, !tile || (*tile >= kSmallestTile && *tile <= kLargestTile),
                  "--tile must be from {} to {}, not {}", kSmallestTile, kLargestTile, tile.value_or(0));
  if (!resampler.empty()) image::filter_of(resampler);
  SUMI_CHECK_KIND(kUsage, out.empty() || folder.empty(), "-o names a file and --outdir a folder; give one of them");
  SUMI_CHECK_KIND(kUsage, out.empty() || files.size() == 1, "-o names one file for {} pictures; use --outdir",
                  files.size());
}

double Upscale::wanted_scale(const std::optional<models::Upscaler>& network) const {
  return scale ? *scale : static_cast<double>(network->scale());
}

// Where the result goes unless --out says so: into the folder, or beside the picture with the factor in its name.
fs::path Upscale::name_for(const fs::path& in, double by) const {
  if (!out.empty()) return out;
  if (!folder.empty()) return fs::path(folder) / (in.stem().string() + ".png");
  return in.parent_path() / fmt::format("{}_{:g}x.png", in.stem().string(), by);
}

// Decodes every picture, so that nothing is found to be wrong once the first has been computed.
std::vector<Work> Upscale::plan(const std::optional<models::Upscaler>& network) const {
  const double by = wanted_scale(network);
  std::vector<Work> all;
  for (const std::string& file : files) {
    Work work{.in = file, .out = name_for(file, by), .target = {}};
    if (folder.empty()) check_output_file(work.out);
    const Image picture = image::read_picture({.path = file});
    const PictureSize size{picture.width, picture.height};
    work.target = engine::enlarged_size(size, by, file);
    if (network) {
      const int passes = engine::passes_for(by, network->scale());
      engine::enlarged_size(size, std::pow(static_cast<double>(network->scale()), passes), file);
    }
    all.push_back(work);
  }
  for (size_t i = 0; i < all.size(); ++i) {
    for (const Work& other : all)
      SUMI_CHECK_KIND(kUsage, !is_same_file(all[i].out, other.in),
                      "{}: the result would replace this picture; choose another name or folder", other.in.string());
    for (size_t k = 0; k < i; ++k)
      SUMI_CHECK_KIND(kUsage, all[i].out.lexically_normal() != all[k].out.lexically_normal(),
                      "{} and {} would both become {}; upscale them into different folders", all[k].in.string(),
                      all[i].in.string(), all[i].out.string());
    SUMI_CHECK_KIND(kUsage, model.empty() || !is_same_file(all[i].out, model),
                    "{}: the result would replace the model; choose another name", model);
  }
  return all;
}

Image Upscale::enlarge(const Image& picture, const Work& work, const std::optional<models::Upscaler>& network) const {
  std::unique_ptr<Progress> bar;
  int shown = -1;  // whose bar it is
  const auto progress = [&](int pass, int passes, int64_t done, int64_t total) {
    if (std::exchange(shown, pass) != pass) {
      std::string label = "upscaling " + strip_control(work.in.filename().string());
      if (passes > 1) label += fmt::format(", pass {} of {}", pass + 1, passes);
      bar.reset();
      bar = std::make_unique<Progress>(ProgressOptions{.label = label, .total = total, .quiet = quiet});
    }
    bar->update(done);
  };
  return engine::enlarge(picture, network ? &*network : nullptr,
                         {.width = work.target.width,
                          .height = work.target.height,
                          .filter = resampler.empty() ? image::Filter::kLanczos : image::filter_of(resampler),
                          .tile = tile.value_or(0),
                          .progress = progress});
}

// Returns the name of the file: the one of -o is replaced; otherwise the first unused one of NAME.png, NAME-2.png, ….
fs::path Upscale::write(const Work& work, const Image& result, const std::vector<image::PngText>& texts) const {
  const SignalsWait wait;
  if (!out.empty()) {
    image::write_png(work.out, result, texts);
    return work.out;
  }
  int tried = 0;
  const auto next = [&] {
    const std::string number = ++tried == 1 ? "" : fmt::format("-{}", tried);
    return work.out.parent_path() / (work.out.stem().string() + number + ".png");
  };
  return image::write_new_png(next, result, texts);
}

int Upscale::run() const {
  engine.apply();
  check_words();
  if (!folder.empty()) check_output_folder(folder);
  std::optional<models::Upscaler> network;
  if (!model.empty()) network = models::Upscaler::open(model, {.device = device_from_name(engine.backend)});
  const std::vector<Work> all = plan(network);
  if (!folder.empty()) {
    make_output_folder(folder);
    for (const Work& work : all) check_output_file(work.out);
  }
  for (const Work& work : all) {
    const image::PictureWithTexts source = image::read_with_texts(work.in);
    const fs::path written = write(work, enlarge(source.image, work, network), source.texts);
    say(written.string() + "\n");
  }
  return 0;
}

std::function<int()> declare(CLI::App& app) {
  auto upscale = std::make_shared<Upscale>();
  app.add_option("files", upscale->files, "Pictures of any kind that sumi reads")->required()->type_name("");
  app.add_option("--model", upscale->model, "Upscaling model, ESRGAN or Real-ESRGAN: .pth or .safetensors")
      ->type_name("FILE");
  app.add_option("-o,--out", upscale->out,
                 "The PNG to write, or to replace; by default NAME_4x.png beside the picture, or where there is one "
                 "NAME_4x-2.png")
      ->type_name("FILE");
  app.add_option("--outdir", upscale->folder,
                 "Folder for the results, under the pictures' names; nothing in it is replaced")
      ->type_name("DIR");
  add_number(app, "--scale", upscale->scale,
             "How many times as large; by default what the model does. Otherwise its result is resampled, or the model "
             "runs several times first");
  app.add_option(
         "--resampler", upscale->resampler,
         "Without --model the filter that does it all: nearest, box, bilinear, hamming, bicubic or lanczos; with "
         "one the filter behind it, by default lanczos")
      ->type_name("NAME");
  add_integer(app, "--tile", upscale->tile,
              "Largest side of the parts that the model works on, in pixels; by default what 1 GB has room for");
  add_engine_options(app, upscale->engine, false);
  app.add_flag("--quiet", upscale->quiet, "No progress");
  return [upscale] { return upscale->run(); };
}

const CommandRegistration kRegistration({.name = "upscale",
                                         .help = "Enlarge pictures with a trained network or a plain filter",
                                         .examples = R"(Examples:
  sumi upscale cat.png --model RealESRGAN_x4plus.pth
  sumi upscale photos/*.jpg --model RealESRGAN_x4plus.pth --scale 2 --outdir large
  sumi upscale cat.png --resampler lanczos --scale 2 -o cat-large.png
The texts that a PNG, JPEG or WebP carries, such as the settings of a drawn picture, are kept.
)",
                                         .declare = declare});

}  // namespace
}  // namespace sumi::app
