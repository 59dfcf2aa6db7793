#include "app/server/webui_options.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "app/server/webui_fields.h"
#include "base/check.h"
#include "base/text_util.h"
#include "engine/resolve.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

using Json = nlohmann::json;

// Options that change pictures in a way that sumi does not have: the values with which they do not, in JSON. The first
// is the web UI's default.
struct Undone {
  std::string_view name, neutral;
};
constexpr Undone kUndone[] = {{"CLIP_stop_at_last_layers", "[1]"},
                              {"always_discard_next_to_last_sigma", "[false]"},
                              {"comma_padding_backtrack", "[20]"},
                              {"emphasis", R"(["Original"])"},
                              {"enable_batch_seeds", "[true]"},
                              {"eta_ancestral", "[1]"},
                              {"eta_ddim", "[0]"},
                              {"eta_noise_seed_delta", "[0]"},
                              {"face_restoration", "[false]"},
                              {"hires_fix_use_firstpass_conds", "[false]"},
                              {"img2img_color_correction", "[false]"},
                              {"img2img_extra_noise", "[0]"},
                              {"img2img_fix_steps", "[false]"},
                              {"initial_noise_multiplier", "[1]"},
                              {"inpainting_mask_weight", "[1]"},
                              {"k_sched_type", R"(["Automatic"])"},
                              {"rho", "[0]"},
                              {"s_churn", "[0]"},
                              {"s_min_uncond", "[0]"},
                              {"s_noise", "[1]"},
                              {"samples_format", R"(["png"])"},
                              {"sd_hypernetwork", R"(["None", ""])"},
                              {"sd_noise_schedule", R"(["Default"])"},
                              {"sigma_max", "[0]"},
                              {"sigma_min", "[0]"},
                              {"skip_early_cond", "[0]"},
                              {"tiling", "[false]"},
                              {"token_merging_ratio", "[0]"},
                              {"token_merging_ratio_hr", "[0]"},
                              {"token_merging_ratio_img2img", "[0]"},
                              {"use_old_emphasis_implementation", "[false]"},
                              {"use_old_karras_scheduler_sigmas", "[false]"}};

void check_undone(const std::string& name, const Json& value) {
  const auto* found = std::find_if(std::begin(kUndone), std::end(kUndone), [&](auto one) { return one.name == name; });
  if (found == std::end(kUndone) || value.is_null()) return;
  const Json neutral = Json::parse(found->neutral);
  const bool fine =
      std::any_of(neutral.begin(), neutral.end(), [&](const Json& one) { return is_neutral(value, one); });
  SUMI_CHECK_KIND(kUsage, fine, "the option `{}` can only be {} here, not {}", name, neutral.front().dump(),
                  excerpt(io::json_line(value)));
}

const char* web_source(const std::string& rng) { return rng == "cpu" ? "CPU" : "NV"; }

}  // namespace

std::string web_model_name(const std::string& title) {
  const size_t open = title.rfind(" [");
  if (open == std::string::npos || !title.ends_with("]")) return title;
  const std::string hash = title.substr(open + 2, title.size() - open - 3);
  const bool is_hash =
      hash.size() >= 8 && std::all_of(hash.begin(), hash.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
  return is_hash ? title.substr(0, open) : title;
}

WebOptions::WebOptions(const Shelf& shelf, const Library& library) : shelf_(shelf), library_(library) {
  state_.choices.model = shelf.name_of("");
}

Json WebOptions::get() const {
  const WebChoices& choices = state_.choices;
  Json out = Json::object();
  for (const Undone& option : kUndone) out[std::string(option.name)] = Json::parse(option.neutral).front();
  out["show_progress_every_n_steps"] = 1;
  for (const auto& [name, value] : state_.remembered) out[name] = value;
  out["sd_model_checkpoint"] = choices.model;
  out["sd_checkpoint_hash"] = "";
  out["sd_vae"] = choices.vae.empty() ? "Automatic" : choices.vae == "own" ? "None" : choices.vae;
  out["randn_source"] = web_source(choices.rng);
  out["live_previews_enable"] = choices.previews;
  return out;
}

void WebOptions::apply(const Json& options, WebChoices& choices) const {
  const WebFields fields(options);
  if (const auto model = fields.text("sd_model_checkpoint"); model && !model->empty())
    choices.model = shelf_.name_of(web_model_name(*model));
  if (const auto vae = fields.text("sd_vae")) {
    const std::string name = engine::model_name(*vae);
    if (*vae == "None") {
      choices.vae = "own";
    } else if (vae->empty() || *vae == "Automatic") {
      choices.vae = "";
    } else {
      library_.file_of(FileKind::kVae, name);
      choices.vae = name;
    }
  }
  if (const auto source = fields.text("randn_source")) {
    SUMI_CHECK_KIND(kUsage, *source == "GPU" || *source == "NV" || *source == "CPU",
                    "the option `randn_source` must be \"NV\", \"GPU\" (the same) or \"CPU\"");
    choices.rng = *source == "CPU" ? "cpu" : "cuda";
  }
  choices.previews = fields.flag("live_previews_enable", choices.previews);
  for (const auto& [name, value] : options.items()) check_undone(name, value);
}

WebOptionsState WebOptions::after(const Json& options) const {
  WebOptionsState state = state_;
  apply(options, state.choices);
  for (const auto& [name, value] : options.items()) {
    if (!value.is_null()) state.remembered[name] = value;
  }
  size_t bytes = 0;
  for (const auto& [name, value] : state.remembered) bytes += name.size() + value.dump().size();
  SUMI_CHECK_KIND(kUsage, state.remembered.size() <= kMostRemembered && bytes <= kMostBytes,
                  "at most {} options of {} bytes are kept", kMostRemembered, kMostBytes);
  return state;
}

WebChoices WebOptions::with(const Json& overrides) const {
  WebChoices choices = state_.choices;
  apply(overrides, choices);
  return choices;
}

}  // namespace sumi::app
