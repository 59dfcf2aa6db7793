#include "app/cli/picture_flags.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "app/cli/arguments.h"
#include "base/check.h"
#include "engine/resolve.h"
#include "image/read.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

CLI::Option* add_text(CLI::App& app, const std::string& names, std::optional<std::string>& value,
                      const std::string& type, const std::string& help) {
  return app.add_option(names, value, help)->type_name(type);
}

void add_init_flags(CLI::App& app, PictureFlags& f, const std::string& init_name) {
  app.add_option(init_name, f.init,
                 "Picture to begin from; or a folder, or a pattern in quotes (\"in/*.png\"): each picture in turn")
      ->type_name("FILE");
  add_number(app, "--strength", f.strength, "How far from that picture: the part of the steps that is run, 0 to 1")
      ->default_str("0.75");
  add_text(app, "--resize", f.resize, "KIND",
           "How given pictures come to the size: stretch; crop (cover it, the middle); fill (fit, edges drawn out)")
      ->default_str("stretch");
  add_text(app, "--background", f.background, "COLOUR", "Under see-through pixels: white, black, gray or #rrggbb")
      ->default_str("white");
  add_text(app, "--convention", f.convention, "WHOSE",
           "Whose rules a picture comes in by: original, diffusers, webui; by default the sampler's users'");
}

void add_mask_flags(CLI::App& app, PictureFlags& f) {
  app.add_option(
         "--mask", f.mask,
         "Inpaint: what is white in this picture (or see-through) is drawn anew, all else stays; or a folder of "
         "masks with the pictures' names")
      ->type_name("FILE");
  app.add_flag("--mask-invert", f.mask_invert, "Draw anew what is black");
  add_integer(app, "--mask-blur", f.mask_blur, "How far the mask's edge is softened, in pixels")->default_str("4");
  add_text(app, "--mask-content", f.mask_content, "KIND",
           "What is under the mask at first: original, fill (from around it), noise, nothing")
      ->default_str("original");
  app.add_flag("--only-masked", f.only_masked,
               "Draw only the mask's surroundings, at the full size, and put them back into the picture");
  add_integer(app, "--mask-padding", f.mask_padding, "The same, with so many pixels around the mask")
      ->default_str("32");
  add_text(app, "--extend", f.extend, "L,R,T,B",
           "Outpaint: pixels drawn around the picture, left, right, top, bottom; one number: on every side");
}

void add_hires_flags(CLI::App& app, PictureFlags& f) {
  add_number(app, "--hires", f.hires, "Draw a second time at so many times the size, from the first result");
  add_text(app, "--hires-upscaler", f.hires_upscaler, "NAME",
           "Between the two: latent[-antialiased|-bicubic|-bicubic-antialiased|-nearest|-nearest-exact], lanczos, "
           "bicubic, bilinear, nearest, or the file of an ESRGAN model")
      ->default_str("latent");
  add_integer(app, "--hires-steps", f.hires_steps, "Steps of the second time; by default as the first");
  add_number(app, "--hires-strength", f.hires_strength, "How far from the first result, 0 to 1")->default_str("0.7");
  add_text(app, "--hires-sampler", f.hires_sampler, "NAME", "Sampler of the second time; by default the first's");
  add_text(app, "--hires-schedule", f.hires_schedule, "NAME", "Its noise schedule");
  add_number(app, "--hires-scale", f.hires_scale, "Its guidance");
  add_text(app, "--hires-prompt", f.hires_prompt, "TEXT", "Its prompt");
  add_text(app, "--hires-negative-prompt", f.hires_negative_prompt, "TEXT", "Its negative prompt");
}

void add_control_flags(CLI::App& app, PictureFlags& f) {
  add_repeatable(
      app, "--control", f.controls, "MODEL:IMAGE[:WEIGHT[:START[:END]]]",
      "ControlNet and the picture that it follows, its weight [1], and the part of the steps in which it acts "
      "[0:1]; may be given several times");
  add_text(app, "--control-preprocess", f.control_preprocess, "KIND",
           "How the pictures for --control are prepared: none (they are hints already) or canny (edges)")
      ->default_str("none");
  app.add_flag("--guess-mode", f.guess_mode, "Controls act on the prompt's half alone, softer on fine levels");
}

void add_finish_flags(CLI::App& app, PictureFlags& f) {
  add_text(app, "--seamless", f.seamless, "AXES", "Opposite edges fit: x, y or xy");
  add_text(app, "--subseed", f.subseed, "N",
           "Seed of variations: the first noise is turned towards this seed's; -1 draws one");
  add_number(app, "--subseed-strength", f.subseed_strength, "How far, 0 to 1")->default_str("0");
  add_text(app, "--safety-checker", f.safety_checker, "FILE",
           "Safety checker (a file or a folder): pictures that it flags come out black; off: none")
      ->default_str("off");
  add_text(app, "--watermark", f.watermark, "TEXT",
           "Invisible text in each picture, as the original's script writes StableDiffusionV1; off: none")
      ->default_str("off");
}

double number_of(std::string_view text, const std::string& whole) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  SUMI_CHECK_KIND(kUsage, error == std::errc() && end == text.data() + text.size() && std::isfinite(value),
                  "--control {}: {} is not a number; write MODEL:IMAGE[:WEIGHT[:START[:END]]]", whole,
                  text.empty() ? "nothing" : std::string(text));
  return value;
}

bool is_number(std::string_view text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

bool exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

std::vector<int64_t> parse_extend(const std::string& text) {
  std::vector<int64_t> sides;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    int64_t value = 0;
    const auto [at, error] = std::from_chars(text.data() + begin, text.data() + end, value);
    SUMI_CHECK_KIND(kUsage, error == std::errc() && at == text.data() + end,
                    "--extend takes pixels as LEFT,RIGHT,TOP,BOTTOM, or one number for all sides, not {}", text);
    sides.push_back(value);
    begin = end + 1;
  }
  if (sides.size() == 1) sides.assign(4, sides[0]);
  SUMI_CHECK_KIND(kUsage, sides.size() == 4,
                  "--extend takes pixels as LEFT,RIGHT,TOP,BOTTOM, or one number for all sides, not {}", text);
  return sides;
}

void apply_hires(const PictureFlags& f, Request& request) {
  const bool more = f.hires_strength || f.hires_scale || f.hires_steps || f.hires_upscaler || f.hires_sampler ||
                    f.hires_schedule || f.hires_prompt || f.hires_negative_prompt;
  if (!f.hires) {
    SUMI_CHECK_KIND(kUsage, !more, "the options of --hires mean nothing without it: give --hires 2 too");
    return;
  }
  request.hires = Hires{.scale = *f.hires,
                        .upscaler = f.hires_upscaler,
                        .steps = f.hires_steps,
                        .strength = f.hires_strength,
                        .sampler = f.hires_sampler,
                        .schedule = f.hires_schedule,
                        .guidance = f.hires_scale,
                        .prompt = f.hires_prompt,
                        .negative_prompt = f.hires_negative_prompt};
}

bool is_pattern(const std::string& path) { return path.find_first_of("*?") != std::string::npos && !exists(path); }

bool is_folder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// The mask in `folder` of a picture's name, with any ending.
fs::path mask_for(const fs::path& picture, const fs::path& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().stem() == picture.stem() && image::is_picture_name(entry.path())) return entry.path();
  }
  fail(ErrorKind::kNoInput, "{} has no mask in {}: it must have the picture's name, {}.png", picture.string(),
       folder.string(), picture.stem().string());
}

}  // namespace

void add_picture_flags(CLI::App& app, PictureFlags& flags, const std::string& init_name) {
  add_init_flags(app, flags, init_name);
  add_mask_flags(app, flags);
  add_hires_flags(app, flags);
  add_control_flags(app, flags);
  add_finish_flags(app, flags);
}

Control parse_control(const std::string& text) {
  std::string rest = text;
  std::vector<std::string> numbers;  // the last first
  while (numbers.size() < 3) {
    const size_t colon = rest.rfind(':');
    if (colon == std::string::npos || !is_number(rest.substr(colon + 1))) break;
    numbers.push_back(rest.substr(colon + 1));
    rest.resize(colon);
  }
  size_t split = rest.find(':');
  while (split != std::string::npos && !exists(rest.substr(0, split))) split = rest.find(':', split + 1);
  if (split == std::string::npos) split = rest.find(':');
  SUMI_CHECK_KIND(kUsage, split != std::string::npos && split > 0 && split + 1 < rest.size(),
                  "--control takes MODEL:IMAGE[:WEIGHT[:START[:END]]], not {}", text);
  Control control{.model = rest.substr(0, split), .image = rest.substr(split + 1)};
  std::reverse(numbers.begin(), numbers.end());
  double* const values[] = {&control.weight, &control.start, &control.end};
  for (size_t i = 0; i < numbers.size(); ++i) *values[i] = number_of(numbers[i], text);
  return control;
}

void apply_picture_flags(const PictureFlags& f, Request& request) {
  request.init = f.init;
  request.mask = f.mask;
  request.strength = f.strength;
  request.resize = f.resize;
  request.background = f.background;
  request.convention = f.convention;
  request.mask_invert = f.mask_invert;
  request.mask_blur = f.mask_blur;
  request.mask_content = f.mask_content;
  request.mask_padding = f.mask_padding;
  if (f.only_masked && !f.mask_padding) request.mask_padding = 32;
  if (f.extend) request.extend = parse_extend(*f.extend);
  apply_hires(f, request);
  for (const std::string& control : f.controls) {
    request.controls.push_back(parse_control(control));
    request.controls.back().preprocess = f.control_preprocess;
  }
  SUMI_CHECK_KIND(kUsage, !f.control_preprocess || !f.controls.empty(),
                  "--control-preprocess means nothing without --control");
  request.guess_mode = f.guess_mode;
  request.seamless = f.seamless.value_or("");
  request.subseed_strength = f.subseed_strength;
  if (f.subseed) {
    const auto subseed = parse_seed(*f.subseed);
    request.subseed = subseed ? *subseed : engine::random_seed();
  }
  if (f.safety_checker.value_or("off") != "off") request.safety_checker = *f.safety_checker;
  if (f.watermark.value_or("off") != "off") request.watermark = *f.watermark;
}

bool gives_several(const PictureFlags& flags) { return is_folder(flags.init) || is_pattern(flags.init); }

std::vector<InitPicture> pictures_of(const PictureFlags& flags) {
  if (!gives_several(flags)) return {{flags.init, flags.mask}};
  const bool folder = is_folder(flags.init);
  const fs::path pattern = flags.init;
  const fs::path where = folder ? pattern : pattern.has_parent_path() ? pattern.parent_path() : fs::path(".");
  std::vector<InitPicture> pictures;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(where, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') || !image::is_picture_name(entry.path())) continue;
    if (!folder && fnmatch(pattern.filename().c_str(), name.c_str(), 0) != 0) continue;
    pictures.push_back({entry.path(), flags.mask});
  }
  SUMI_CHECK_KIND(kNoInput, !error, "{} cannot be read: {}", where.string(), error.message());
  SUMI_CHECK_KIND(kNoInput, !pictures.empty(), "{}: there is no picture ({})", flags.init, image::picture_kinds());
  std::sort(pictures.begin(), pictures.end(), [](const auto& a, const auto& b) { return a.init < b.init; });
  if (is_folder(flags.mask)) {
    for (InitPicture& picture : pictures) picture.mask = mask_for(picture.init, flags.mask);
  }
  return pictures;
}

}  // namespace sumi::app
