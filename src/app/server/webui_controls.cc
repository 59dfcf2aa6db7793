#include "app/server/webui_controls.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "app/server/http_text.h"
#include "app/server/webui_fields.h"
#include "app/server/webui_options.h"
#include "base/check.h"
#include "base/text_util.h"
#include "engine/web_words.h"

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
  if (mode == nullptr || *mode == 0 || *mode == engine::kWebBalanced) return old;
  if (*mode == 2 || *mode == engine::kWebGuess) return true;
  fail(ErrorKind::kUsage, "{} must be \"{}\" (0) or \"{}\" (2); the other is not done", unit.called("control_mode"),
       engine::kWebBalanced, engine::kWebGuess);
}

// Canny's edges are found at the size of the drawing, with the thresholds that the extension begins with.
void check_canny(const WebFields& unit, const Request& request) {
  constexpr double kLow = 100.0, kHigh = 200.0, kMost = 1e6;
  const double low = unit.number("threshold_a", -1.0, kMost).value_or(kLow),
               high = unit.number("threshold_b", -1.0, kMost).value_or(kHigh);
  SUMI_CHECK_KIND(kUsage, (low < 0 || low == kLow) && (high < 0 || high == kHigh),
                  "canny has the thresholds {} and {} here; leave {} and `threshold_b` out", kLow, kHigh,
                  unit.called("threshold_a"));
  if (unit.flag("pixel_perfect", false)) return;
  const int64_t side = unit.whole("processor_res", -1, 1 << 20).value_or(-1);
  const int64_t own = std::min(request.width.value_or(0), request.height.value_or(0));
  SUMI_CHECK_KIND(kUsage, side <= 0 || own == 0 || side == own,
                  "canny works at the size of the drawing; leave {} out or send `pixel_perfect`",
                  unit.called("processor_res"));
}

std::string preprocessor_of(const WebFields& unit, const Request& request) {
  const std::string module = lower_case(unit.text_or("module", "none"));
  SUMI_CHECK_KIND(kUsage, module == "none" || module == "canny",
                  "{} must be \"none\" or \"canny\", not \"{}\"; prepare the picture yourself and send \"none\"",
                  unit.called("module"), excerpt(module));
  if (module == "canny") check_canny(unit, request);
  return module;
}

void check_rest(const WebFields& unit) {
  for (const char* name : {"mask", "mask_image", "effective_region_mask", "advanced_weighting", "ipadapter_input"})
    unit.must_be(name, nullptr, "this is not done; leave it out");
  unit.must_be("hr_option", "Both", "units act in both passes; leave it out");
}

class Units {
 public:
  explicit Units(Request& request) : request_(request), images_(!request.init.empty()) {}

  void take(const Json& json) {
    SUMI_CHECK_KIND(kUsage, json.is_object(), "a ControlNet unit must be an object with `model` and `image`");
    const WebFields unit(json, " of a ControlNet unit");
    if (!unit.flag("enabled", true)) return;
    check_rest(unit);
    const std::string model = web_model_name(unit.text_or("model", "None"));
    SUMI_CHECK_KIND(kUsage, model != "None", "{} must be given, a name of /controlnet/model_list",
                    unit.called("model"));
    std::string hint = hint_of(unit);
    if (hint.empty()) hint = request_.init;
    SUMI_CHECK_KIND(kUsage, !hint.empty(), "{} must be given, a picture in base64", unit.called("image"));
    take_resize(unit);
    take_guess(guess_of(unit));
    const double end = unit.number("guidance", 0.0, 1.0).value_or(1.0);
    request_.controls.push_back({.model = model,
                                 .image = hint,
                                 .weight = unit.number("weight", -100.0, 100.0).value_or(1.0),
                                 .start = unit.number("guidance_start", 0.0, 1.0).value_or(0.0),
                                 .end = unit.number("guidance_end", 0.0, 1.0).value_or(end),
                                 .preprocess = preprocessor_of(unit, request_)});
  }

 private:
  // A request has one way for all of its pictures.
  void take_resize(const WebFields& unit) {
    const Json* mode = unit.find("resize_mode");
    if (mode == nullptr && (request_.resize || images_)) return;
    const std::string resize = mode == nullptr ? "crop" : web_resize_of(*mode, unit.called("resize_mode"));
    SUMI_CHECK_KIND(kUsage, !request_.resize || *request_.resize == resize,
                    "{} means {}, but {} means {}: all pictures of a request are brought to its size in one way",
                    unit.called("resize_mode"), resize, images_ ? "the request's `resize_mode`" : "another unit's",
                    request_.resize.value_or(""));
    request_.resize = resize;
  }

  void take_guess(bool guess) {
    SUMI_CHECK_KIND(kUsage, request_.controls.empty() || guess == request_.guess_mode,
                    "the ControlNet units differ in `control_mode`; all of a request must have the same");
    request_.guess_mode = guess;
  }

  Request& request_;
  const bool images_;
};

bool is_controlnet(const std::string& name) { return lower_case(name) == "controlnet"; }

}  // namespace

std::string web_resize_of(const Json& mode, const std::string& called) {
  constexpr std::string_view kModes[] = {"stretch", "crop", "fill"};
  for (size_t i = 0; i < std::size(kModes); ++i) {
    if (mode.is_number() && mode == i) return std::string(kModes[i]);
  }
  if (mode.is_string()) {
    const auto& name = mode.get_ref<const std::string&>();
    const std::string own = engine::own_word(engine::kWebResizes, name), old = engine::own_word(kOldResizes, name);
    if (own != name) return own;
    if (old != name) return old;
  }
  fail(ErrorKind::kUsage, "{} must be 0 (Just Resize), 1 (Crop and Resize) or 2 (Resize and Fill)", called);
}

void take_web_scripts(const Json& scripts, Request& request) {
  Units units(request);
  for (const auto& [name, script] : scripts.items()) {
    const std::string called = fmt::format("the script \"{}\" of `alwayson_scripts`", excerpt(name));
    SUMI_CHECK_KIND(kUsage, script.is_object() || script.is_null(), "{} must be an object with `args`", called);
    if (script.is_null()) continue;
    const WebFields fields(script, " of " + called);
    const Json* args = fields.list("args");
    if (args == nullptr || args->empty()) continue;
    SUMI_CHECK_KIND(kUsage, is_controlnet(name), "{} is not there; only ControlNet is done", called);
    for (const Json& unit : *args) {
      if (!unit.is_null()) units.take(unit);
    }
  }
}

}  // namespace sumi::app
