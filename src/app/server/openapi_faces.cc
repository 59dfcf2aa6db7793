// The paths of OpenAI's images API and of the web UI's. Declared in openapi_parts.h.
#include "app/server/openapi_parts.h"

namespace sumi::app::openapi {
namespace {

// What both of OpenAI's paths take.
Members image_members() {
  return {{"prompt", text()},
          {"model", text("a name of GET /v1/models; none and OpenAI's own names: the first")},
          {"n", whole("pictures, 1 to 10; 1")},
          {"size", text("auto or WIDTHxHEIGHT")},
          {"quality", one_of({"auto", "standard", "medium", "low", "high", "hd", "xhigh", "max"})},
          {"output_format", one_of({"png", "jpeg", "webp"})},
          {"output_compression", whole("of JPEG and WebP: the quality, 0 to 100")},
          {"response_format", one_of({"b64_json", "url"})},
          {"background", one_of({"auto", "opaque"})},
          {"stream", flag("answers with events")},
          {"partial_images", whole("of a stream, 0 to 3")},
          {"moderation", text("without effect, as the next two")},
          {"user", text()},
          {"safety_identifier", text()},
          {"seed", whole("picture i has seed + i")},
          {"steps", whole()},
          {"scale", number("guidance")},
          {"sampler", text()},
          {"schedule", text()},
          {"negative_prompt", text()}};
}

Json images_reply() {
  Json all = json_reply(
      "the pictures; with `stream` events",
      object(
          {{"created", whole("seconds since 1970")},
           {"background", text()},
           {"data", list_of(object({{"b64_json", text()}, {"url", text()}, {"seed", whole()}}, {"b64_json", "url"}))},
           {"output_format", text()},
           {"quality", text()},
           {"size", text()},
           {"warnings", list_of(text())}},
          {"warnings"}));
  all["content"]["text/event-stream"] = {{"schema", text()}};
  return all;
}

void add_openai(std::vector<Operation>& all) {
  Members generation = image_members(), edit = image_members();
  generation.emplace_back("style", text("without effect"));
  edit.emplace_back("image", text("the file of a picture"));
  edit.emplace_back("image[]", text("the same"));
  edit.emplace_back("mask", text("the file of a picture of its size: what is see-through is drawn anew"));
  edit.emplace_back("input_fidelity", one_of({"low", "high"}));
  edit.emplace_back("strength", number("0 to 1"));
  all.push_back({.method = "POST",
                 .path = "/v1/images/generations",
                 .summary = "Pictures of a text",
                 .body = json_content(input(generation, {"prompt"}, false)),
                 .replies = {{"200", images_reply()}},
                 .errors = {400, 404, 415, 429, 503}});
  all.push_back({.method = "POST",
                 .path = "/v1/images/edits",
                 .summary = "Pictures of a picture and a text",
                 .body = content("multipart/form-data", input(edit, {"prompt"}, false)),
                 .replies = {{"200", images_reply()}},
                 .errors = {400, 404, 415, 429, 503}});
}

Members drawing_members() {
  return {{"prompt", text()},
          {"negative_prompt", text()},
          {"width", whole("pixels")},
          {"height", whole("pixels")},
          {"steps", whole()},
          {"cfg_scale", number()},
          {"sampler_name", text("of /sdapi/v1/samplers")},
          {"scheduler", text("of /sdapi/v1/schedulers")},
          {"seed", whole("-1: at random")},
          {"batch_size", whole()},
          {"n_iter", whole()},
          {"override_settings", typed("object", "options for this request alone")}};
}

void add_web_drawing(std::vector<Operation>& all) {
  const Json pictures = object({{"images", list_of(text("PNG in base64"))},
                                {"parameters", typed("object", "the request")},
                                {"info", text("JSON: seeds, prompts, texts of the pictures")}});
  Members image = drawing_members();
  image.emplace_back("init_images", list_of(text("base64"), "one"));
  image.emplace_back("mask", text("base64"));
  image.emplace_back("denoising_strength", number("0 to 1"));
  const auto post = [&](std::string_view path, std::string_view summary, Json body, Json answer) {
    all.push_back({.method = "POST",
                   .path = path,
                   .summary = summary,
                   .body = json_content(std::move(body)),
                   .replies = {{"200", json_reply("what came of it", std::move(answer))}},
                   .errors = {400, 415, 429, 503}});
  };
  post("/sdapi/v1/txt2img", "Pictures of a text", input(drawing_members(), {}, true), pictures);
  post("/sdapi/v1/img2img", "Pictures of a picture", input(image, {"init_images"}, true), pictures);
  const Members extras{{"upscaling_resize", number("times as large")}, {"upscaler_1", text("of /sdapi/v1/upscalers")}};
  Members one = extras, several = extras;
  one.emplace_back("image", text("base64"));
  several.emplace_back("imageList", list_of(object({{"data", text("base64")}, {"name", text()}}, {"name"}), "one"));
  post("/sdapi/v1/extra-single-image", "A larger version of a picture", input(one, {"image"}, true),
       object({{"image", text("PNG in base64")}, {"html_info", text()}}, {"html_info"}));
  post("/sdapi/v1/extra-batch-images", "The same of a list", input(several, {}, true),
       object({{"images", list_of(text("PNG in base64"))}, {"html_info", text()}}, {"html_info"}));
  post("/sdapi/v1/png-info", "The settings in a picture", input({{"image", text("base64")}}, {"image"}, true),
       object({{"info", text()}, {"items", typed("object", "")}, {"parameters", typed("object", "")}}));
  post("/sdapi/v1/options", "Change options", typed("object", "any part of them"), Json{{"type", "null"}});
}

void add_web_state(std::vector<Operation>& all) {
  const auto post = [&](std::string_view path, std::string_view summary) {
    all.push_back(
        {.method = "POST", .path = path, .summary = summary, .replies = {{"200", json_reply("done", Json::object())}}});
  };
  post("/sdapi/v1/interrupt", "End the job that a client waits for");
  post("/sdapi/v1/skip", "End the last of several iterations");
  for (const char* path : {"/sdapi/v1/refresh-checkpoints", "/sdapi/v1/refresh-vae", "/sdapi/v1/refresh-loras",
                           "/sdapi/v1/refresh-embeddings"})
    post(path, "Nothing: folders are looked into each time");
  const auto get = [&](std::string_view path, std::string_view summary, Json schema, Json parameters = Json::array()) {
    all.push_back({.method = "GET",
                   .path = path,
                   .summary = summary,
                   .replies = {{"200", json_reply("the answer", std::move(schema))}},
                   .parameters = std::move(parameters)});
  };
  const Json any = typed("object", ""), list = list_of(typed("object", ""));
  get("/sdapi/v1/progress", "Of the job that a client waits for", any,
      Json::array({{{"name", "skip_current_image"}, {"in", "query"}, {"schema", {{"type", "boolean"}}}}}));
  for (const char* path :
       {"/sdapi/v1/options", "/sdapi/v1/memory", "/sdapi/v1/cmd-flags", "/sdapi/v1/scripts", "/sdapi/v1/embeddings",
        "/controlnet/version", "/controlnet/settings", "/controlnet/model_list", "/controlnet/module_list",
        "/controlnet/control_types", "/internal/ping"})
    get(path, "As the web UI has it", any);
  for (const char* path : {"/sdapi/v1/samplers", "/sdapi/v1/schedulers", "/sdapi/v1/latent-upscale-modes",
                           "/sdapi/v1/upscalers", "/sdapi/v1/sd-models", "/sdapi/v1/sd-vae", "/sdapi/v1/loras",
                           "/sdapi/v1/hypernetworks", "/sdapi/v1/face-restorers", "/sdapi/v1/realesrgan-models",
                           "/sdapi/v1/prompt-styles", "/sdapi/v1/script-info", "/sdapi/v1/extensions"})
    get(path, "What there is", list);
}

}  // namespace

std::vector<Operation> face_operations() {
  std::vector<Operation> all;
  add_openai(all);
  add_web_drawing(all);
  add_web_state(all);
  return all;
}

}  // namespace sumi::app::openapi
