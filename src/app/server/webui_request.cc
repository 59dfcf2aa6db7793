#include "app/server/webui_request.h"

#include <array>
#include <optional>
#include <random>
#include <string_view>
#include <utility>

#include "app/server/webui_controls.h"
#include "app/server/webui_fields.h"
#include "app/server/webui_info.h"
#include "app/server/webui_sampling.h"
#include "app/server/webui_size.h"
#include "base/check.h"
#include "engine/like_readers.h"
#include "engine/resolve.h"

namespace sumi::app {
namespace {

using Json = nlohmann::json;

constexpr int64_t kSteps = 50;
constexpr int64_t kMostPictures = 1000;  // of a reply, which holds them all
constexpr double kGuidance = 7.0, kStrength = 0.75;
constexpr std::array<std::string_view, 4> kFills{"fill", "original", "noise", "nothing"};  // `inpainting_fill`

// What would change the picture, and the value with which it does not.
struct Undone {
  const char *name, *neutral, *why;
};
constexpr const char* kLeaveOut = "this is not done; leave it out";
constexpr Undone kUndone[] = {{"restore_faces", "false", "faces are not restored; leave it out"},
                              {"s_churn", "0", kLeaveOut},
                              {"s_min_uncond", "0", kLeaveOut},
                              {"s_noise", "1", kLeaveOut},
                              {"token_merging_ratio", "0", kLeaveOut},
                              {"token_merging_ratio_hr", "0", kLeaveOut},
                              {"disable_extra_networks", "false", "take the LoRAs out of the prompt instead"},
                              {"firstphase_width", "0", "send `hr_scale` instead"},
                              {"firstphase_height", "0", "send `hr_scale` instead"},
                              {"initial_noise_multiplier", "1", kLeaveOut},
                              {"firstpass_image", "null", kLeaveOut},
                              {"latent_mask", "null", "send `mask` instead"},
                              {"styles", "[]", "this server has no styles; put their words into the prompt"},
                              {"script_name", "null", "there are no scripts here"},
                              {"infotext", "null", "send the fields themselves"},
                              {"clip_skip", "1", "the last layer of the text encoder is always used"},
                              {"mask_round", "true", kLeaveOut}};

// As the web UI draws them, so that clients whose numbers are doubles keep them whole.
uint64_t random_web_seed() {
  std::random_device device;
  return std::uniform_int_distribution<uint64_t>(0, 4294967293)(device);
}

// Parts of the web UI's syntax that sumi takes for text.
std::vector<std::string> prompt_warnings(const std::string& prompt) {
  engine::Like like;
  engine::take_parameters({.prompt = prompt}, std::nullopt, like);
  std::vector<std::string> out;
  for (const std::string& part : like.untaken) out.push_back(fmt::format("not done, taken for text: {}", part));
  return out;
}

class Reader {
 public:
  Reader(const Json& body, const WebOptions& options, bool image)
      : body_(body), fields_(body), options_(options), image_(image) {}

  WebDrawing operator()() {
    for (const Undone& field : kUndone) fields_.must_be(field.name, Json::parse(field.neutral), field.why);
    take_settings();
    take_prompts();
    take_sampling();
    take_size();
    take_seeds();
    if (image_) {
      take_picture();
    } else {
      SUMI_CHECK_KIND(kUsage, fields_.list("init_images") == nullptr || fields_.list("init_images")->empty(),
                      "`init_images` is for /sdapi/v1/img2img");
      take_hires();
    }
    if (fields_.flag("tiling", false)) r_.seamless = "xy";
    if (const Json* scripts = fields_.object("alwayson_scripts")) take_web_scripts(*scripts, r_);
    take_echo();
    return std::move(out_);
  }

 private:
  void take_settings() {
    const Json* given = fields_.object("override_settings");
    const Json overrides = given == nullptr ? Json::object() : *given;
    const WebChoices choices = options_.with(overrides);
    if (!fields_.flag("override_settings_restore_afterwards", true)) out_.options_then = options_.after(overrides);
    out_.submission.model = choices.model;
    out_.submission.vae = choices.vae;
    out_.submission.previews = choices.previews;
    r_.rng = choices.rng;
    const std::string refiner = fields_.text_or("refiner_checkpoint", "None");
    SUMI_CHECK_KIND(kUsage, refiner == "None", "`refiner_checkpoint`: a second model is not done; leave it out");
  }

  void take_prompts() {
    r_.prompts = {fields_.text("prompt").value_or("")};
    r_.negative_prompt = fields_.text("negative_prompt").value_or("");
    r_.syntax = "weighted";
    for (const std::string& text : {r_.prompts[0], *r_.negative_prompt})
      for (std::string& warning : prompt_warnings(text)) out_.echo.warnings.push_back(std::move(warning));
  }

  void take_sampling() {
    sampler_ = fields_.text_or("sampler_name", fields_.text_or("sampler_index", "Euler"));
    schedule_ = fields_.text_or("scheduler", "");
    const WebSampling sampling = web_sampling_of(sampler_, schedule_, "`scheduler`", out_.echo.warnings);
    r_.sampler = sampling.sampler;
    r_.schedule = sampling.schedule;
    r_.steps = fields_.whole("steps", 1, engine::kMaxSteps).value_or(kSteps);
    r_.scale = fields_.number("cfg_scale", 0.0, engine::kMaxScale).value_or(kGuidance);
    r_.eta = web_eta_of(fields_, sampling.sampler, out_.echo.warnings);
  }

  void take_size() {
    size_ = web_size_of(fields_, image_, out_.echo.warnings);
    r_.width = size_.width;
    r_.height = size_.height;
  }

  void take_seeds() {
    r_.seeding = "picture";
    const auto seed = fields_.seed("seed");
    r_.seed = seed.value_or(random_web_seed());
    const double strength = fields_.number("subseed_strength", 0.0, 1.0).value_or(0.0);
    const auto subseed = fields_.seed("subseed");
    out_.repeats = seed && (strength == 0.0 || subseed);
    if (strength > 0.0) {
      r_.subseed = subseed.value_or(random_web_seed());
      r_.subseed_strength = strength;
    }
    for (const char* name : {"seed_resize_from_w", "seed_resize_from_h"})
      SUMI_CHECK_KIND(kUsage, fields_.whole(name, -1, kMostWebSide).value_or(0) <= 0,
                      "{}: this is not done; leave it out", fields_.called(name));
    r_.batch = fields_.whole("batch_size", 1, engine::kMaxBatch).value_or(1);
    r_.copies = r_.batch;
    r_.iterations = fields_.whole("n_iter", 1, engine::kMaxIterations).value_or(1);
    SUMI_CHECK_KIND(kUsage, *r_.batch * *r_.iterations <= kMostPictures,
                    "`batch_size` times `n_iter` is {}; one reply has at most {} pictures", *r_.batch * *r_.iterations,
                    kMostPictures);
  }

  void take_picture() {
    SUMI_CHECK_KIND(kUsage, !fields_.flag("enable_hr", false), "`enable_hr` is for /sdapi/v1/txt2img");
    const Json* pictures = fields_.list("init_images");
    SUMI_CHECK_KIND(kUsage, pictures != nullptr && !pictures->empty(),
                    "`init_images` must be given, a list with the picture to begin from, in base64");
    SUMI_CHECK_KIND(kUsage, pictures->size() == 1, "`init_images` must have one picture, not {}; send the others alone",
                    pictures->size());
    r_.init = picture_of(pictures->front(), "the picture in `init_images`");
    r_.convention = "webui";
    r_.strength = fields_.number("denoising_strength", 0.0, 1.0).value_or(kStrength);
    r_.resize = "stretch";
    if (const Json* mode = fields_.find("resize_mode")) {
      SUMI_CHECK_KIND(kUsage, !is_neutral(*mode, 3), "`resize_mode` 3 (latent upscale) is not done; send 0, 1 or 2");
      r_.resize = web_resize_of(*mode, "`resize_mode`");
    }
    r_.mask = fields_.picture("mask");
    if (!r_.mask.empty()) take_mask();
  }

  void take_mask() {
    const int64_t x = fields_.whole("mask_blur_x", 0, 256).value_or(4),
                  y = fields_.whole("mask_blur_y", 0, 256).value_or(4);
    r_.mask_blur = fields_.whole("mask_blur", 0, 256).value_or(x);
    SUMI_CHECK_KIND(kUsage, fields_.has("mask_blur") || x == y,
                    "`mask_blur_x` and `mask_blur_y` must be the same: a mask is softened alike in both directions");
    const auto fill = static_cast<size_t>(fields_.whole("inpainting_fill", 0, kFills.size() - 1).value_or(0));
    r_.mask_content = std::string(kFills[fill]);
    r_.mask_invert = fields_.flag("inpainting_mask_invert", false);
    if (fields_.flag("inpaint_full_res", true))
      r_.mask_padding = fields_.whole("inpaint_full_res_padding", 0, kMostWebSide).value_or(0);
  }

  void take_hires() {
    if (!fields_.flag("enable_hr", false)) return;
    Hires h{.scale = web_hires_scale(fields_, size_, out_.echo.warnings),
            .upscaler = web_upscaler(fields_.text_or("hr_upscaler", "Latent"))};
    const int64_t steps = fields_.whole("hr_second_pass_steps", 0, engine::kMaxSteps).value_or(0);
    if (steps > 0) h.steps = steps;
    h.strength = fields_.number("denoising_strength", 0.0, 1.0).value_or(kStrength);
    h.guidance = fields_.number("hr_cfg", 0.0, engine::kMaxScale);
    const std::string checkpoint = fields_.text_or("hr_checkpoint_name", "Use same checkpoint");
    SUMI_CHECK_KIND(kUsage, checkpoint == "Use same checkpoint",
                    "`hr_checkpoint_name`: a second model is not done; leave it out");
    const std::string sampler = same("hr_sampler_name", "Use same sampler", sampler_),
                      schedule = same("hr_scheduler", "Use same scheduler", schedule_);
    if (sampler != sampler_ || schedule != schedule_) {
      const WebSampling second = web_sampling_of(sampler, schedule, "`hr_scheduler`", out_.echo.warnings);
      h.sampler = second.sampler;
      h.schedule = second.schedule;
    }
    if (const std::string text = fields_.text_or("hr_prompt", ""); !text.empty()) h.prompt = text;
    if (const std::string text = fields_.text_or("hr_negative_prompt", ""); !text.empty()) h.negative_prompt = text;
    r_.hires = std::move(h);
  }

  std::string same(const char* name, std::string_view word, const std::string& first) const {
    const std::string value = fields_.text_or(name, first);
    return value == word ? first : value;
  }

  void take_echo() {
    WebEcho& echo = out_.echo;
    echo.send_images = fields_.flag("send_images", true);
    const bool keep = fields_.flag("include_init_images", false);
    echo.parameters = Json::object();
    for (const auto& [name, value] : body_.items()) {
      const bool picture = name == "init_images" || name == "mask";
      if (name != "alwayson_scripts") echo.parameters[name] = picture && !keep ? Json() : value;
    }
    if (image_ && !keep) echo.parameters["init_images"] = nullptr;
    if (body_.contains("alwayson_scripts"))
      echo.parameters["alwayson_scripts"] = without_web_pictures(body_["alwayson_scripts"]);
  }

  const Json& body_;
  const WebFields fields_;
  const WebOptions& options_;
  const bool image_;
  WebDrawing out_;
  Request& r_ = out_.submission.request;
  WebSize size_;
  std::string sampler_, schedule_;  // as they were given
};

}  // namespace

WebDrawing read_txt2img(const Json& body, const WebOptions& options) { return Reader(body, options, false)(); }
WebDrawing read_img2img(const Json& body, const WebOptions& options) { return Reader(body, options, true)(); }

}  // namespace sumi::app
