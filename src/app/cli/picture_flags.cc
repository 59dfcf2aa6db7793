#include "app/cli/picture_flags.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>

#include "app/cli/arguments.h"
#include "base/check.h"
#include "base/parse_number.h"
#include "base/text_util.h"
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
  app.add_option(
         init_name, f.init,
         "Picture to begin from; or a folder, or a pattern in quotes (\"in/*.png\"): each picture in turn; off: "
         "none, also with --like")
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
         "masks with the pictures' names; off: none")
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
           "Outpaint: pixels drawn around the picture, left, right, top, bottom; one number: on every side; off: none");
}

void add_hires_flags(CLI::App& app, PictureFlags& f) {
  add_text(app, "--hires", f.hires, "X",
           "Draw a second time at so many times the size, from the first result; off: only once");
  add_text(app, "--hires-upscaler", f.hires_upscaler, "NAME",
           "Between the two: latent[-antialiased|-bicubic|-bicubic-antialiased|-nearest|-nearest-exact], lanczos, "
           "bicubic, bilinear, box, hamming, nearest, or the file of an ESRGAN model")
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
      "[0:1]; may be given several times; off: none");
  add_text(app, "--control-preprocess", f.control_preprocess, "KIND",
           "How the pictures for --control are prepared: none (they are hints already) or canny (edges)")
      ->default_str("none");
  app.add_flag("--guess-mode", f.guess_mode, "Controls act on the prompt's half alone, softer on fine levels");
}

void add_finish_flags(CLI::App& app, PictureFlags& f) {
  add_text(app, "--seamless", f.seamless, "AXES", "Opposite edges fit: x, y or xy; off: they need not");
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

bool is_off(const std::string& value) { return value == "off"; }

std::string unless_off(const std::string& value) { return is_off(value) ? std::string() : value; }

std::optional<double> finite_number(std::string_view text) {
  const auto value = number_in<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

double number_of(std::string_view text, const std::string& whole) {
  const std::optional<double> value = finite_number(text);
  SUMI_CHECK_KIND(kUsage, value, "--control {}: {} is not a number; write MODEL:IMAGE[:WEIGHT[:START[:END]]]", whole,
                  text.empty() ? "nothing" : std::string(text));
  return *value;
}

bool is_number(std::string_view text) { return number_in<double>(text).has_value(); }

bool exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

std::vector<int64_t> parse_extend(const std::string& text) {
  std::vector<int64_t> sides;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const auto value = number_in<int64_t>(std::string_view(text).substr(begin, end - begin));
    SUMI_CHECK_KIND(kUsage, value,
                    "--extend takes pixels as LEFT,RIGHT,TOP,BOTTOM, or one number for all sides, not {}", text);
    sides.push_back(*value);
    begin = end + 1;
  }
  if (sides.size() == 1) sides.assign(4, sides[0]);
  SUMI_CHECK_KIND(kUsage, sides.size() == 4,
                  "--extend takes pixels as LEFT,RIGHT,TOP,BOTTOM, or one number for all sides, not {}", text);
  return sides;
}

double parse_hires(const std::string& text) {
  const std::optional<double> value = finite_number(text);
  SUMI_CHECK_KIND(kUsage, value, "--hires takes a number, how many times as large, or off, not {}", excerpt(text));
  return *value;
}

bool has_hires_options(const PictureFlags& f) {
  return f.hires_strength || f.hires_scale || f.hires_steps || f.hires_upscaler || f.hires_sampler ||
         f.hires_schedule || f.hires_prompt || f.hires_negative_prompt;
}

void apply_hires_options(const PictureFlags& f, Hires& hires) {
  const auto set = [](auto& value, const auto& given) {
    if (given) value = given;
  };
  if (f.hires_sampler) hires.schedule.reset();  // it was another sampler's
  set(hires.upscaler, f.hires_upscaler);
  set(hires.steps, f.hires_steps);
  set(hires.strength, f.hires_strength);
  set(hires.sampler, f.hires_sampler);
  set(hires.schedule, f.hires_schedule);
  set(hires.guidance, f.hires_scale);
  set(hires.prompt, f.hires_prompt);
  set(hires.negative_prompt, f.hires_negative_prompt);
}

void apply_hires(const PictureFlags& f, Request& request) {
  if (!f.hires || is_off(*f.hires)) return;
  request.hires = Hires{.scale = parse_hires(*f.hires)};
  apply_hires_options(f, *request.hires);
}

bool controls_are_off(const PictureFlags& f) {
  const bool off = std::any_of(f.controls.begin(), f.controls.end(), is_off);
  SUMI_CHECK_KIND(kUsage, !off || f.controls.size() == 1, "--control off goes with no other --control");
  return off;
}

void apply_controls(const PictureFlags& f, Request& request) {
  if (controls_are_off(f)) return;
  for (const std::string& control : f.controls) request.controls.push_back(parse_control(control));
}

void apply_only_masked(const PictureFlags& f, Request& request) {
  if (!f.only_masked) return;
  SUMI_CHECK_KIND(kUsage, !request.mask.empty() || !request.extend.empty(),
                  "--only-masked means nothing without --mask: give that too, or leave it out");
  SUMI_CHECK_KIND(kUsage, request.extend.empty(),
                  "--only-masked and --extend exclude one another: what is around the picture has no surroundings");
  if (!request.mask_padding) request.mask_padding = 32;
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
  request.init = init_of(f);
  request.mask = unless_off(f.mask);
  request.strength = f.strength;
  request.resize = f.resize;
  request.background = f.background;
  request.convention = f.convention;
  request.mask_invert = f.mask_invert;
  request.mask_blur = f.mask_blur;
  request.mask_content = f.mask_content;
  request.mask_padding = f.mask_padding;
  if (f.extend && !is_off(*f.extend)) request.extend = parse_extend(*f.extend);
  apply_hires(f, request);
  apply_controls(f, request);
  request.guess_mode = f.guess_mode;
  request.seamless = unless_off(f.seamless.value_or(""));
  request.subseed_strength = f.subseed_strength;
  if (f.subseed) {
    const auto subseed = parse_seed(*f.subseed);
    request.subseed = subseed ? *subseed : engine::random_seed();
  }
  request.safety_checker = unless_off(f.safety_checker.value_or(""));
  request.watermark = unless_off(f.watermark.value_or(""));
}

void drop_what_is_off(const PictureFlags& f, Request& like) {
  const auto off = [](const std::optional<std::string>& value) { return value && is_off(*value); };
  const bool had_part = is_off(f.mask) && like.mask_padding, was_larger = off(f.extend) && !like.extend.empty();
  if (had_part || was_larger) like.width = like.height = std::nullopt;  // of the part, of the larger picture
  if (is_off(f.init)) like.init.clear();
  if (is_off(f.mask)) {
    like.mask.clear();
    like.mask_invert = false;
    like.mask_padding.reset();
  }
  if (off(f.extend)) like.extend.clear();
  if (off(f.hires)) like.hires.reset();
  if (controls_are_off(f)) like.controls.clear();
  if (off(f.seamless)) like.seamless.clear();
  if (f.safety_checker) like.safety_checker.clear();  // the one that is given takes its place
  if (f.watermark) like.watermark.clear();
}

void apply_dependent_flags(const PictureFlags& f, Request& request) {
  if (has_hires_options(f)) {
    SUMI_CHECK_KIND(kUsage, request.hires, "the options of --hires mean nothing without it: give --hires 2 too");
    apply_hires_options(f, *request.hires);
  }
  SUMI_CHECK_KIND(kUsage, !f.control_preprocess || !request.controls.empty(),
                  "--control-preprocess means nothing without --control");
  for (Control& control : request.controls) {
    if (f.control_preprocess) control.preprocess = f.control_preprocess;
  }
  apply_only_masked(f, request);
}

std::string init_of(const PictureFlags& flags) { return unless_off(flags.init); }

bool gives_several(const PictureFlags& flags) {
  const std::string init = init_of(flags);
  return is_folder(init) || is_pattern(init);
}

std::vector<InitPicture> pictures_of(const PictureFlags& flags) {
  const std::string mask = unless_off(flags.mask);
  if (!gives_several(flags)) return {{init_of(flags), mask}};
  const bool folder = is_folder(flags.init);
  const fs::path pattern = flags.init;
  const fs::path where = folder ? pattern : pattern.has_parent_path() ? pattern.parent_path() : fs::path(".");
  std::vector<InitPicture> pictures;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(where, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') || !image::is_picture_name(entry.path())) continue;
    if (!folder && fnmatch(pattern.filename().c_str(), name.c_str(), 0) != 0) continue;
    pictures.push_back({entry.path(), mask});
  }
  SUMI_CHECK_KIND(kNoInput, !error, "{} cannot be read: {}", where.string(), error.message());
  SUMI_CHECK_KIND(kNoInput, !pictures.empty(), "{}: there is no picture ({})", flags.init, image::picture_kinds());
  std::sort(pictures.begin(), pictures.end(), [](const auto& a, const auto& b) { return a.init < b.init; });
  if (is_folder(mask)) {
    for (InitPicture& picture : pictures) picture.mask = mask_for(picture.init, mask);
  }
  return pictures;
}

}  // namespace sumi::app
