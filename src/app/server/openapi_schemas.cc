// The schemas of what is sent and answered. Declared in openapi_parts.h.
#include <string>

#include "api/schema.h"
#include "app/server/openapi_parts.h"

namespace sumi::app::openapi {
namespace {

// "#/$defs/lora" of a JSON Schema is elsewhere here.
void move_refs(Json& schema) {
  constexpr std::string_view kBefore = "#/$defs/";
  if (schema.is_structured()) {
    for (Json& part : schema) move_refs(part);
  }
  if (!schema.is_object() || !schema.contains("$ref")) return;
  const std::string target = schema["$ref"].get<std::string>();
  if (target.starts_with(kBefore)) schema["$ref"] = schema_named(target.substr(kBefore.size()))["$ref"];
}

// The library's own schemas of what a server takes and tells.
void add_library_schemas(Json& all) {
  Json definitions = Json::parse(api::json_schema()).at("$defs");
  move_refs(definitions);
  for (const char* name :
       {"request", "lora", "control", "hires", "settings", "source", "control_settings", "hires_settings"})
    all[name] = std::move(definitions.at(name));
  Json& request = all["request"];
  request["description"] =
      "what to draw; pictures are given whole, as data URIs, and other files by the names that GET /v1/options lists";
  for (const char* refused : {"lora_folder", "embedding_folder", "safety_checker"}) {
    Json none = or_null(text("names a folder or file, which a server does not open for others: empty"));
    none["maxLength"] = 0;
    request["properties"][refused] = std::move(none);
  }
}

void add_job_schemas(Json& all) {
  all["upscaling"] =
      input({{"picture", text("whole, as a data URI")},
             {"upscaler", text("a name of `files.upscalers` or `filters` of GET /v1/options")},
             {"scale", number("of both sides, above 0 and at most 64; 2")},
             {"width", whole("with `height`, in place of `scale`: a size in pixels that the result covers")},
             {"height", whole()},
             {"crop", flag("what reaches beyond that size is cut off")}},
            {"picture", "upscaler"}, false, "a larger version of a picture");
  all["submission"] =
      input({{"request", schema_named("request")},
             {"upscaling", schema_named("upscaling")},
             {"model", text("a name of GET /v1/models; empty: the first")},
             {"vae", text("a name of `files.vaes`; \"own\": the model's; empty: as the model is opened")},
             {"priority", whole("-10 to 10, the higher first; 0")},
             {"previews", flag("whether pictures in the making are wanted")}},
            {}, false, "`request` or `upscaling`, not both");
  all["submission"]["oneOf"] =
      Json::array({{{"required", Json::array({"request"})}}, {{"required", Json::array({"upscaling"})}}});
  all["job_picture"] = object({{"number", whole("in the job, from 0")},
                               {"seed", whole()},
                               {"width", whole("pixels")},
                               {"height", whole("pixels")},
                               {"prompt", text()},
                               {"parameters", text("the settings, as they are in the file")},
                               {"flagged", flag("by the safety checker, and black")},
                               {"url", text("of the PNG")}});
  Json request{{"anyOf", Json::array({schema_named("request"), schema_named("upscaling")})},
               {"description", "as it was submitted; pictures in it are \"data:\""}};
  all["job"] = object({{"id", text()},
                       {"state", one_of({"queued", "running", "done", "failed", "cancelled"})},
                       {"model", text()},
                       {"vae", text()},
                       {"upscaling", flag("whether it is one")},
                       {"priority", whole()},
                       {"created", number("seconds since 1970, as the next two")},
                       {"started", number()},
                       {"finished", number()},
                       {"place", whole("queued: how many are drawn before it")},
                       {"done", whole("steps, of all batches")},
                       {"steps", whole()},
                       {"seconds_left", number()},
                       {"error", text("failed: a sentence")},
                       {"request", std::move(request)},
                       {"settings", schema_named("settings")},
                       {"warnings", list_of(text())},
                       {"pictures", list_of(schema_named("job_picture"))}},
                      {"started", "finished", "place", "done", "steps", "seconds_left", "error", "settings"});
  all["jobs"] = object({{"jobs", list_of(schema_named("job"), "the newest first")}});
}

void add_list_schemas(Json& all) {
  all["models"] = object({{"object", one_of({"list"})},
                          {"data", list_of(object({{"id", text()},
                                                   {"object", one_of({"model"})},
                                                   {"created", whole("seconds since 1970")},
                                                   {"owned_by", text()}}))},
                          {"models", list_of(object({{"name", text()}, {"bytes", whole()}, {"loaded", flag()}}),
                                             "the first is the default")}});
  all["model"] = object({{"name", text()},
                         {"id", text("the same")},
                         {"object", one_of({"model"})},
                         {"owned_by", text()},
                         {"created", whole("when its file was written, seconds since 1970")},
                         {"bytes", whole("of its files")},
                         {"loaded", flag("open, with its weights")},
                         {"family", text()},
                         {"default_size", whole("pixels on each side")},
                         {"sampler", text("empty: sumi decides")},
                         {"schedule", text("empty: the sampler's own")},
                         {"steps", whole("0: sumi decides")},
                         {"scale", number("0: sumi decides")},
                         {"prediction", one_of({"eps", "v", "x0"})},
                         {"multiple", whole("of pixels, that width and height must be")},
                         {"warnings", list_of(text())}});
  const Json named = list_of(object({{"name", text()}, {"help", text()}}));
  const Json files = list_of(object({{"name", text()}, {"bytes", whole()}}));
  all["options"] = object(
      {{"version", text()},
       {"samplers", named},
       {"schedules", named},
       {"resize", list_of(text())},
       {"mask_content", list_of(text())},
       {"filters", list_of(text(), "that resize pixels")},
       {"latent_upscalers", list_of(text(), "of `hires`")},
       {"files",
        object({{"loras", files}, {"embeddings", files}, {"vaes", files}, {"upscalers", files}, {"controls", files}})},
       {"limits", object({{"side", whole("pixels")},
                          {"steps", whole()},
                          {"batch", whole()},
                          {"body_bytes", whole("of a request")}})},
       {"memory", object({{"free", whole("bytes; 0: not known")},
                          {"budget", whole("bytes of models that may be open; 0: no bound")}})},
       {"training", flag("whether the server was given folders of training runs")},
       {"elsewhere", flag("whether jobs are drawn by other processes, which take them from a queue")}});
}

void add_other_schemas(Json& all) {
  all["error"] = object({{"error", object({{"message", text("a sentence")}, {"code", whole("the status")}})}});
  all["openai_error"] = object({{"error", object({{"message", text("a sentence")},
                                                  {"type", text()},
                                                  {"param", or_null(text("the field"))},
                                                  {"code", or_null(text())}})}});
  all["plan"] = object({{"settings", typed("object", "as a job's; of an upscaling `width`, `height`, `upscaler`")},
                        {"planned_bytes", whole("of memory, with the weights")},
                        {"memory", text("the same in a sentence")}});
  all["picture_settings"] = object(
      {{"from", text("the program that drew it")},
       {"request", typed("object", "a request that can be submitted as it is, if it has prompts")},
       {"with_pictures",
        typed("object",
              "fields of the request that mean something only with pictures, which must be given again; in place "
              "of pictures the names of their files")},
       {"number", whole("of the pictures that the request draws, the one that this is")},
       {"model", text("a name of this server; empty: not told, or not here")},
       {"vae", text("the same")},
       {"untaken", list_of(text(), "what is not in the request, in words")}});
  all["training_runs"] = object({{"runs", list_of(object({{"name", text()},
                                                          {"step", whole("done")},
                                                          {"steps", whole("of the whole run; 0: not known")},
                                                          {"running", flag("a trainer of this machine is at it")},
                                                          {"loss", or_null(number())},
                                                          {"updated", number("seconds since 1970")}}))}});
  all["training_run"] = object({{"log", list_of(object({{"step", whole("done")},
                                                        {"loss", or_null(number("null: it was not finite"))},
                                                        {"lr", or_null(number())},
                                                        {"seconds", or_null(number("that the step took"))}}),
                                                "at most 2000, evenly chosen; the last is among them")},
                                {"samples", list_of(object({{"step", whole()}, {"url", text("of a PNG")}}))}});
  all["health"] = object({{"status", one_of({"ok"})}, {"version", text()}, {"queued", whole()}, {"running", whole()}});
}

}  // namespace

Json schemas() {
  Json all = Json::object();
  add_library_schemas(all);
  add_job_schemas(all);
  add_list_schemas(all);
  add_other_schemas(all);
  return all;
}

}  // namespace sumi::app::openapi
