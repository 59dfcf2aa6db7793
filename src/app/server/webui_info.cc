#include "app/server/webui_info.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <string_view>
#include <utility>

#include "app/server/webui_words.h"
#include "base/base64.h"
#include "base/check.h"
#include "diffusion/sampling.h"
#include "engine/resolve.h"
#include "io/json_text.h"
#include "sumi/engine.h"

namespace sumi::app {
namespace {

using Json = nlohmann::json;

std::string base64_of_text(const std::string& bytes) { return base64_of(std::as_bytes(std::span(bytes))); }

std::string picture_text(const Jobs& jobs, const JobView& view, const KeptPicture& picture) {
  const auto png = picture.png ? picture.png : jobs.picture(view.id, picture.number);
  SUMI_CHECK_KIND(kUnavailable, png, "picture {} is not kept any more", picture.number);
  return base64_of_text(*png);
}

// "20241231235959", local time as the web UI has it; "0" for none.
std::string timestamp_of(double seconds) {
  if (seconds <= 0) return "0";
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  localtime_r(&time, &parts);
  char text[32];
  return std::strftime(text, sizeof(text), "%Y%m%d%H%M%S", &parts) > 0 ? text : "0";
}

// first, first + 1, …; `step` 0: all the same.
Json seeds_from(uint64_t first, int64_t count, uint64_t step) {
  Json seeds = Json::array();
  for (int64_t i = 0; i < count; ++i) seeds.push_back(first + static_cast<uint64_t>(i) * step);
  return seeds;
}

// A value of the settings, or where the job has not begun of the request.
Json value_of(const Json& settings, const Json& request, const char* name, Json otherwise = nullptr) {
  if (settings.contains(name)) return settings[name];
  return request.value(name, std::move(otherwise));
}

// With a subseed all pictures have one seed and go on from it in the subseed.
void add_seeds(const Json& request, int64_t count, Json& info) {
  const auto seed = request.value("seed", uint64_t{0});
  const double strength = request.value("subseed_strength", 0.0);
  info["seed"] = seed;
  info["all_seeds"] = seeds_from(seed, count, strength > 0 ? 0 : 1);
  info["subseed_strength"] = strength;
  // Without a strength there is none; the web UI's is then a number that means nothing.
  const Json subseed = strength > 0 ? request.value("subseed", Json(-1)) : Json(-1);
  info["subseed"] = subseed;
  info["all_subseeds"] = strength > 0 ? seeds_from(subseed.get<uint64_t>(), count, 1)
                                      : Json(std::vector<int>(static_cast<size_t>(count), -1));
}

Json denoising_of(const Json& settings) {
  if (settings.contains("hires") && settings["hires"].is_object()) return settings["hires"].value("strength", Json());
  return settings.contains("init") ? settings.value("strength", Json()) : Json();
}

// The web UI's name of the model's own autoencoder is null.
Json vae_name_of(const JobView& view) { return view.vae.empty() || view.vae == "own" ? Json() : Json(view.vae); }

void add_sampling(const Json& settings, const Json& request, Json& info) {
  const std::string sampler = value_of(settings, request, "sampler", "").get<std::string>(),
                    schedule = value_of(settings, request, "schedule", "").get<std::string>();
  info["sampler_name"] = diffusion::web_name_of_sampler(sampler);
  info["extra_generation_params"] = Json{{"Schedule type", diffusion::web_name_of_schedule(schedule, sampler)}};
  info["cfg_scale"] = value_of(settings, request, "scale");
  info["steps"] = value_of(settings, request, "steps");
  info["width"] = value_of(settings, request, "width");
  info["height"] = value_of(settings, request, "height");
  info["denoising_strength"] = denoising_of(settings);
}

Json info_of(const JobView& view, const WebEcho& echo) {
  const Json request = Json::parse(view.request);
  const Json settings = view.settings.empty() ? Json::object() : Json::parse(view.settings);
  const auto batch = request.value("batch", int64_t{1});
  const int64_t count = batch * request.value("iterations", int64_t{1});
  const std::string prompt = request.at("prompts").at(0).get<std::string>(),
                    negative = request.value("negative_prompt", "");
  Json info{{"prompt", prompt},
            {"all_prompts", std::vector<std::string>(static_cast<size_t>(count), prompt)},
            {"negative_prompt", negative},
            {"all_negative_prompts", std::vector<std::string>(static_cast<size_t>(count), negative)},
            {"batch_size", batch},
            {"restore_faces", false},
            {"face_restoration_model", nullptr},
            {"sd_model_name", view.model},
            {"sd_model_hash", nullptr},
            {"sd_vae_name", vae_name_of(view)},
            {"sd_vae_hash", nullptr},
            {"seed_resize_from_w", -1},
            {"seed_resize_from_h", -1},
            {"index_of_first_image", 0},
            {"styles", Json::array()},
            {"job_timestamp", timestamp_of(view.started)},
            {"clip_skip", 1},
            {"is_using_inpainting_conditioning", false},
            {"version", "sumi " + Engine::version()}};
  add_seeds(request, count, info);
  add_sampling(settings, request, info);
  info["infotexts"] = Json::array();
  for (const KeptPicture& picture : view.pictures) info["infotexts"].push_back(picture.parameters);
  std::vector<std::string> warnings = echo.warnings;
  for (const std::string& warning : view.warnings) warnings.push_back(in_web_words(warning));
  info["warnings"] = warnings;
  return info;
}

Json idle_state() {
  return {{"skipped", false}, {"interrupted", false}, {"stopping_generation", false},
          {"job", ""},        {"job_count", 0},       {"job_timestamp", "0"},
          {"job_no", 0},      {"sampling_step", 0},   {"sampling_steps", 0}};
}

}  // namespace

HttpReply web_drawing_reply(const Jobs& jobs, const JobView& view, const WebEcho& echo) {
  Json images = Json::array();
  if (echo.send_images) {
    for (const KeptPicture& picture : view.pictures) images.push_back(picture_text(jobs, view, picture));
  }
  return {.body = io::json_line(Json{{"images", std::move(images)},
                                     {"parameters", echo.parameters},
                                     {"info", io::json_line(info_of(view, echo))}})};
}

HttpReply web_extra_reply(const Jobs& jobs, const JobView& view, bool batch) {
  SUMI_CHECK_KIND(kInternal, view.pictures.size() == 1, "the job has {} pictures, not one", view.pictures.size());
  const KeptPicture& picture = view.pictures.front();
  Json json{{"html_info", fmt::format("<p>{}x{}</p>", picture.width, picture.height)}};
  Json text = picture_text(jobs, view, picture);
  json[batch ? "images" : "image"] = batch ? Json::array({std::move(text)}) : std::move(text);
  return {.body = io::json_line(json)};
}

HttpReply web_refusal(int status, const std::string& own_sentence) {
  const std::string sentence = in_web_words(own_sentence);
  return {.status = status,
          .body = io::json_line(Json{{"error", {{"message", sentence}, {"code", status}}},
                                     {"detail", sentence},
                                     {"body", ""},
                                     {"errors", sentence}})};
}

Json web_progress(const JobView* view, const std::string& preview, bool interrupted) {
  Json state = idle_state();
  state["interrupted"] = interrupted;
  if (view == nullptr)
    return {{"progress", 0.0},
            {"eta_relative", 0.0},
            {"state", std::move(state)},
            {"current_image", nullptr},
            {"textinfo", nullptr}};
  constexpr double kBegun = 0.01;  // a job that waits is told from none by it, as with the web UI
  const int64_t jobs = view->upscaling ? 1 : Json::parse(view->request).value("iterations", int64_t{1});
  const int64_t each = std::max<int64_t>(1, view->steps / std::max<int64_t>(1, jobs));
  const double part = view->steps > 0 ? static_cast<double>(view->done) / static_cast<double>(view->steps) : 0.0;
  state["job"] = view->id;
  state["job_count"] = jobs;
  state["job_timestamp"] = timestamp_of(view->started);
  state["job_no"] = std::min(view->done / each, jobs - 1);
  state["sampling_step"] = view->done - std::min(view->done / each, jobs - 1) * each;
  state["sampling_steps"] = view->steps > 0 ? each : 0;
  return {{"progress", std::max(kBegun, part)},
          {"eta_relative", view->seconds_left.value_or(0.0)},
          {"state", std::move(state)},
          {"current_image", preview.empty() ? Json() : Json(preview)},
          {"textinfo", nullptr}};
}

Json without_web_pictures(Json scripts) {
  constexpr std::array<const char*, 4> kPictures{"image", "input_image", "mask", "mask_image"};
  if (!scripts.is_object()) return scripts;
  for (auto& [name, script] : scripts.items()) {
    if (!script.is_object() || !script.contains("args") || !script["args"].is_array()) continue;
    for (Json& unit : script["args"]) {
      for (const char* picture : kPictures) {
        if (unit.is_object() && unit.contains(picture)) unit[picture] = nullptr;
      }
    }
  }
  return scripts;
}

}  // namespace sumi::app
