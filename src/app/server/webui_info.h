// What the web UI's API answers: pictures with their `info`, the settings of a picture, lists of what there is.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "app/server/http.h"
#include "app/server/jobs.h"
#include "app/server/library.h"
#include "app/server/shelf.h"
#include "app/server/webui_request.h"

namespace sumi::app {

// The answer to txt2img and img2img: {"images", "parameters", "info"}, `info` a JSON text. For a job that was
// cancelled, with the pictures that it had finished. Throws Error(kUnavailable) where a picture is no longer kept.
HttpReply web_drawing_reply(const Jobs& jobs, const JobView& view, const WebEcho& echo);
// The answers to extra-single-image and extra-batch-images.
HttpReply web_extra_reply(const Jobs& jobs, const JobView& view, bool batch);

// {"error": {"message", "code"}, "detail": message, "errors": message}: the web UI's clients read `detail` or show the
// whole body, Open WebUI reads `error.message`. The message is `sentence` in the web UI's words (webui_words.h).
HttpReply web_refusal(int status, const std::string& sentence);

// {"progress", "eta_relative", "state", "current_image", "textinfo"}. `view`: nullptr where nothing is drawn.
// `preview`: a PNG in base64, or empty.
nlohmann::json web_progress(const JobView* view, const std::string& preview, bool interrupted);

// {"info", "items", "parameters"} of a picture given as a data URI. Throws Error.
nlohmann::json web_png_info(const std::string& picture);

nlohmann::json web_samplers();
nlohmann::json web_schedulers();
nlohmann::json web_latent_modes();
nlohmann::json web_upscalers(const Library& library);
nlohmann::json web_models(const Shelf& shelf);
nlohmann::json web_vaes(const Library& library);
nlohmann::json web_loras(const Library& library);
nlohmann::json web_embeddings(const Library& library);
nlohmann::json web_memory();
nlohmann::json web_control_models(const Library& library);
// {"control_types": {"All": {"module_list", "model_list", "default_option", "default_model"}, …}}
nlohmann::json web_control_types(const Library& library);

// An upscaler's web name as a request's: "None" is the filter that the web UI falls back to.
std::string web_upscaler(const std::string& name);
// What resolve_schedule (diffusion/sampling.h) takes, from a label ("Karras") or a name ("karras") of /schedulers.
std::string web_schedule_label(const std::string& name);
// `scripts` with null in place of pictures.
nlohmann::json without_web_pictures(nlohmann::json scripts);

}  // namespace sumi::app
