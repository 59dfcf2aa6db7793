#include "app/server/submission.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/json.h"
#include "base/check.h"
#include "engine/resolve.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMostPictures = 1000;  // of a job

// The object's field, taken out; null where there is none.
Json take(Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return nullptr;
  Json value = std::move(*found);
  object.erase(found);
  return value;
}

std::string take_text(Json& object, const char* name) {
  const Json value = take(object, name);
  SUMI_CHECK_KIND(kUsage, value.is_null() || value.is_string(), "`{}` must be a string", name);
  return value.is_null() ? std::string() : value.get<std::string>();
}

bool take_flag(Json& object, const char* name) {
  const Json value = take(object, name);
  SUMI_CHECK_KIND(kUsage, value.is_null() || value.is_boolean(), "`{}` must be true or false", name);
  return !value.is_null() && value.get<bool>();
}

int take_priority(Json& object) {
  const Json value = take(object, "priority");
  if (value.is_null()) return 0;
  SUMI_CHECK_KIND(kUsage, value.is_number_integer(), "`priority` must be a whole number");
  if (value.is_number_unsigned()) return static_cast<int>(std::min<uint64_t>(value.get<uint64_t>(), 100));
  return static_cast<int>(std::max<int64_t>(value.get<int64_t>(), -100));  // submit() checks it
}

void check_nothing_left(const Json& object, std::string_view what, std::string_view fields) {
  SUMI_CHECK_KIND(kUsage, object.empty(), "there is no field `{}`; {} has {}", object.begin().key(), what, fields);
}

Upscaling upscaling_of(Json json) {
  SUMI_CHECK_KIND(kUsage, json.is_object(), "`upscaling` must be an object with `picture` and `upscaler`");
  Upscaling upscaling{.picture = take_text(json, "picture"), .upscaler = take_text(json, "upscaler")};
  const Json scale = take(json, "scale");
  SUMI_CHECK_KIND(kUsage, scale.is_null() || scale.is_number(), "`scale` must be a number");
  if (!scale.is_null()) upscaling.scale = scale.get<double>();
  const auto side = [&](const char* name) -> int64_t {
    const Json value = take(json, name);
    SUMI_CHECK_KIND(kUsage, value.is_null() || value.is_number_unsigned(), "`{}` must be a whole number", name);
    return value.is_null() ? 0 : static_cast<int64_t>(std::min<uint64_t>(value.get<uint64_t>(), 1 << 30));
  };
  upscaling.width = side("width");
  upscaling.height = side("height");
  upscaling.crop = take_flag(json, "crop");
  check_nothing_left(json, "an upscaling", "`picture`, `upscaler`, `scale`, `width`, `height`, `crop`");
  return upscaling;
}

Submission parse(const std::string& text, bool stored) {
  Json json = io::parse_json(text, {.subject = "the body",
                                    .kind = ErrorKind::kUsage,
                                    .max_bytes = api::kMaxJsonBytes + (stored ? 4096 : 0),
                                    .max_data_bytes = api::kMaxJsonBytes,
                                    .max_values = api::kMaxJsonValues});
  SUMI_CHECK_KIND(kUsage, json.is_object(), "the body must be an object with `request`");
  Submission submission;
  const Json request = take(json, "request");
  Json upscaling = take(json, "upscaling");
  SUMI_CHECK_KIND(kUsage, request.is_null() || upscaling.is_null(), "give `request` or `upscaling`, not both");
  SUMI_CHECK_KIND(kUsage, request.is_object() || !upscaling.is_null(),
                  "`request` must be given, an object with `prompts`");
  submission.model = take_text(json, "model");
  submission.vae = take_text(json, "vae");
  submission.version = take_text(json, "version");
  submission.instructions = take_text(json, "instructions");
  submission.priority = take_priority(json);
  submission.previews = take_flag(json, "previews");
  if (stored) submission.client = take_text(json, "client");
  check_nothing_left(json, "a job",
                     "`request` or `upscaling`, `model`, `vae`, `priority`, `previews`, `version`, "
                     "`instructions`");
  if (upscaling.is_null()) {
    submission.request = api::parse_request(request.dump());
  } else {
    submission.upscaling = upscaling_of(std::move(upscaling));
  }
  return submission;
}

Json json_of(const Upscaling& u) {
  Json json{{"picture", u.picture}, {"upscaler", u.upscaler}, {"scale", u.scale}, {"crop", u.crop}};
  if (u.width > 0) json["width"] = u.width;
  if (u.height > 0) json["height"] = u.height;
  return json;
}

// What a JobView shows of it.
std::string request_json(const Submission& submission) {
  const auto shorten = [](std::string& picture) {
    if (!picture.empty()) picture = "data:";
  };
  if (submission.upscaling) {
    Upscaling upscaling = *submission.upscaling;
    shorten(upscaling.picture);
    return io::json_line(json_of(upscaling));
  }
  Request request = submission.request;
  shorten(request.init);
  shorten(request.mask);
  for (Control& control : request.controls) shorten(control.image);
  return api::to_json(request);
}

}  // namespace

Submission parse_submission(const std::string& json) { return parse(json, false); }
Submission parse_stored_submission(const std::string& json) { return parse(json, true); }

std::string to_json(const Submission& s) {
  Json json{
      {"model", s.model}, {"vae", s.vae}, {"client", s.client}, {"priority", s.priority}, {"previews", s.previews}};
  if (!s.version.empty()) json["version"] = s.version;
  if (!s.instructions.empty()) json["instructions"] = s.instructions;
  if (s.upscaling) {
    json["upscaling"] = json_of(*s.upscaling);
  } else {
    json["request"] = Json::parse(api::to_json(s.request));
  }
  return io::json_line(json);
}

int64_t pictures_of(const Submission& submission) {
  const Request& r = submission.request;
  if (submission.upscaling) return 1;
  return static_cast<int64_t>(r.prompts.size()) * r.copies.value_or(1) * r.iterations.value_or(1);
}

JobView new_job(Submission& submission, const std::string& model) {
  SUMI_CHECK_KIND(kUsage, submission.priority >= -10 && submission.priority <= 10,
                  "`priority` must be from -10 to 10, not {}", submission.priority);
  SUMI_CHECK_KIND(kUsage, pictures_of(submission) <= kMostPictures,
                  "a job may have {} pictures, not {}; send several jobs", kMostPictures, pictures_of(submission));
  JobView view{.id = new_job_id(),
               .model = model,
               .vae = submission.vae,
               .client = submission.client,
               .priority = submission.priority,
               .created = seconds_now(),
               .request = request_json(submission),
               .upscaling = submission.upscaling.has_value()};
  if (!submission.upscaling && !submission.request.seed && submission.request.seeds.empty())
    submission.request.seed = engine::random_seed();
  return view;
}

}  // namespace sumi::app
