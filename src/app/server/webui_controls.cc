#include "app/server/webui_controls.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "app/server/http_text.h"
#include "app/server/webui_fields.h"
#include "app/server/webui_options.h"
#include "app/server/webui_size.h"
#include "base/check.h"
#include "base/text_util.h"
#include "engine/web_words.h"
#include "image/hints.h"

namespace sumi::app {
namespace {

using Json = nlohmann::json;

// What older versions of the extension call the modes.
constexpr std::array<engine::WebWord, 4> kOldResizes{{{"crop", "Inner Fit (Scale to Fit)"},
                                                      {"crop", "Scale to Fit (Inner Fit)"},
                                                      {"fill", "Outer Fit (Shrink to Fit)"},
                                                      {"fill", "Envelope (Outer Fit)"}}};

// A unit's picture: base64, or an object with it as `image`.
std::string hint_of(const WebFields& unit) {
  for (const char* name : {"image", "input_image"}) {
    const Json* value = unit.find(name);
    if (value == nullptr || is_neutral(*value, nullptr)) continue;
    if (!value->is_object()) return picture_of(*value, unit.called(name));
    const WebFields both(*value, " of the `image` of a ControlNet unit");
    both.must_be("mask", nullptr, "masks of ControlNet units are not done");
    return both.picture("image");
  }
  return "";
}

// Whether the hints act on the prompt's half alone.
bool guess_of(const WebFields& unit) {
  const bool old = unit.flag("guessmode", false);
  const Json* mode = unit.find("control_mode");
  if (mode == nullptr || is_neutral(*mode, 0) || *mode == engine::kWebBalanced) return old;
  if (is_neutral(*mode, 2) || *mode == engine::kWebGuess) return true;
  fail(ErrorKind::kUsage, "{} must be \"{}\" (0) or \"{}\" (2); the other is not done", unit.called("control_mode"),
       engine::kWebBalanced, engine::kWebGuess);
}

// The extension brings a picture to the size of the drawing and finds the edges then; the library finds them first.
// Both are the same for a picture of that size. The thresholds are those that the extension begins with.
void check_canny(const WebFields& unit, const std::string& hint, const Request& request) {
  constexpr double kLow = 100.0, kHigh = 200.0, kMost = 1e6;
  const double low = unit.number("threshold_a", -1.0, kMost).value_or(kLow),
               high = unit.number("threshold_b", -1.0, kMost).value_or(kHigh);
  SUMI_CHECK_KIND(kUsage, (low < 0 || low == kLow) && (high < 0 || high == kHigh),
                  "canny has the thresholds {} and {} here; leave {} and `threshold_b` out", kLow, kHigh,
                  unit.called("threshold_a"));
  SUMI_CHECK_KIND(
      kUsage, request.width && request.height,
      "canny finds edges at the size of the drawing; send `width` and `height`, and a picture of that size");
  const auto size = web_picture_size(hint);
  SUMI_CHECK_KIND(kUsage, size && size->width == *request.width && size->height == *request.height,
                  "canny finds edges at the picture's own size: send a PNG of the drawing's, {}x{}, or the edges ready "
                  "made with {} \"none\"",
                  *request.width, *request.height, unit.called("module"));
  if (unit.flag("pixel_perfect", false)) return;
  const int64_t side = unit.whole("processor_res", -1, 1 << 20).value_or(-1);
  const int64_t own = std::min(*request.width, *request.height);
  SUMI_CHECK_KIND(kUsage, side <= 0 || side == own,
                  "canny works at the size of the drawing; leave {} out or send `pixel_perfect`",
                  unit.called("processor_res"));
}

std::string preprocessor_of(const WebFields& unit, const std::string& hint, const Request& request) {
  const std::string module = lower_case(unit.text_or("module", "none"));
  SUMI_CHECK_KIND(kUsage, module == "none" || module == "canny",
                  "{} must be \"none\" or \"canny\", not \"{}\"; prepare the picture yourself and send \"none\"",
                  unit.called("module"), excerpt(module));
  if (module == "canny") check_canny(unit, hint, request);
  return module;
}

void check_rest(const WebFields& unit) {
  for (const char* name : {"mask", "mask_image", "effective_region_mask", "advanced_weighting", "ipadapter_input"})
    unit.must_be(name, nullptr, "this is not done; leave it out");
  unit.must_be("hr_option", "Both", "units act in both passes; leave it out");
}

class Units {
 public:
  explicit Units(Request& request) : request_(request) {
    if (request.init.empty() || !is_brought(request.init)) return;
    decided_ = request.resize.value_or("stretch");
    decider_ = "the request's `resize_mode`";
  }

  void take(const Json& json) {
    SUMI_CHECK_KIND(kUsage, json.is_object(), "a ControlNet unit must be an object with `model` and `image`");
    const WebFields unit(json, " of a ControlNet unit");
    if (!unit.flag("enabled", true)) return;
    check_rest(unit);
    const std::string model = web_model_name(unit.text_or("model", "None"));
    SUMI_CHECK_KIND(kUsage, model != "None", "{} must be given, a name of /controlnet/model_list",
                    unit.called("model"));
    SUMI_CHECK_KIND(kUsage, !request_.mask_padding,
                    "ControlNet follows the whole picture here; send `inpaint_full_res` false beside a mask");
    std::string hint = hint_of(unit);
    const bool own = !hint.empty();
    if (!own) hint = request_.init;
    SUMI_CHECK_KIND(kUsage, !hint.empty(), "{} must be given, a picture in base64", unit.called("image"));
    if (own) take_resize(unit, is_brought(hint));  // else as the picture that it begins from
    take_guess(guess_of(unit));
    const double end = unit.number("guidance", 0.0, 1.0).value_or(1.0);
    request_.controls.push_back({.model = model,
                                 .image = hint,
                                 .weight = unit.number("weight", -100.0, 100.0).value_or(1.0),
                                 .start = unit.number("guidance_start", 0.0, 1.0).value_or(0.0),
                                 .end = unit.number("guidance_end", 0.0, 1.0).value_or(end),
                                 .preprocess = preprocessor_of(unit, hint, request_)});
  }

 private:
  // Whether the way in which a picture is brought to the size of the drawing shows. A model's own size is square.
  bool is_brought(const std::string& picture) const {
    const auto size = web_picture_size(picture);
    if (!size) return true;
    return request_.width ? size->width * *request_.height != size->height * *request_.width
                          : size->width != size->height;
  }

  void take_resize(const WebFields& unit, bool shows) {
    const Json* mode = unit.find("resize_mode");
    const std::string resize = mode == nullptr ? "crop" : web_resize_of(*mode, unit.called("resize_mode"));
    if (!request_.resize) request_.resize = resize;
    if (!shows) return;
    SUMI_CHECK_KIND(kUsage, decided_.empty() || decided_ == resize,
                    "{} means {}, but {} means {}: all pictures of a request are brought to its size in one way",
                    unit.called("resize_mode"), resize, decider_, decided_);
    request_.resize = decided_ = resize;
    decider_ = "another unit's";
  }

  void take_guess(bool guess) {
    SUMI_CHECK_KIND(kUsage, request_.controls.empty() || guess == request_.guess_mode,
                    "the ControlNet units differ in `control_mode`; all of a request must have the same");
    request_.guess_mode = guess;
  }

  Request& request_;
  std::string decided_;  // how pictures are brought to the size, where it shows; empty: it has not shown yet
  std::string_view decider_;
};

bool is_controlnet(const std::string& name) { return lower_case(name) == "controlnet"; }

}  // namespace

std::string web_resize_of(const Json& mode, const std::string& called) {
  constexpr std::string_view kModes[] = {"stretch", "crop", "fill"};
  const Json plain = web_plain_text(mode), &number = plain.is_null() ? mode : plain;
  for (size_t i = 0; i < std::size(kModes); ++i) {
    if (number.is_number() && number == i) return std::string(kModes[i]);
  }
  if (mode.is_string()) {
    const auto& name = mode.get_ref<const std::string&>();
    const std::string own = engine::own_word(engine::kWebResizes, name), old = engine::own_word(kOldResizes, name);
    if (own != name) return own;
    if (old != name) return old;
  }
  fail(ErrorKind::kUsage, "{} must be 0 (Just Resize), 1 (Crop and Resize) or 2 (Resize and Fill)", called);
}

const std::vector<std::string>& web_control_modules() {
  static const std::vector<std::string> modules = [] {
    std::vector<std::string> all{"none"};
    try {
      image::canny(image::Image(8, 8));
      all.emplace_back("canny");
    } catch (const Error&) {  // built without what finds edges
    }
    return all;
  }();
  return modules;
}

void take_web_scripts(const Json& scripts, Request& request) {
  std::optional<Units> units;
  for (const auto& [name, script] : scripts.items()) {
    const std::string called = fmt::format("the script \"{}\" of `alwayson_scripts`", excerpt(name));
    SUMI_CHECK_KIND(kUsage, script.is_object() || script.is_null(), "{} must be an object with `args`", called);
    if (script.is_null()) continue;
    const WebFields fields(script, " of " + called);
    const Json* args = fields.list("args");
    if (args == nullptr || args->empty()) continue;
    SUMI_CHECK_KIND(kUsage, is_controlnet(name), "{} is not there; only ControlNet is done", called);
    for (const Json& unit : *args) {
      if (unit.is_null()) continue;
      if (!units) units.emplace(request);
      units->take(unit);
    }
  }
}

}  // namespace sumi::app
