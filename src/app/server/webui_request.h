// What the web UI's API is asked to draw or to enlarge, as submissions.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "app/server/jobs.h"
#include "app/server/webui_options.h"

namespace sumi::app {

// What a reply needs to know of its request.
struct WebEcho {
  nlohmann::json parameters = {};  // the request without its pictures (those of img2img where it asks for them)
  bool send_images = true;
  std::vector<std::string> warnings = {};  // sentences: what is taken for something else than it says
};

struct WebDrawing {
  Submission submission = {};
  WebEcho echo = {};
  bool repeats = false;                              // as in Question: the client gave the seeds
  std::optional<WebOptionsState> options_then = {};  // what the options are once it is submitted; none: as they were
};

// `body`: what POST /sdapi/v1/txt2img or /img2img was sent. Fields and defaults are those of version 1.10. Unknown
// fields are left alone; those that would change the picture and cannot be done must have their neutral values. Throws
// Error(kUsage), one sentence that names the field.
WebDrawing read_txt2img(const nlohmann::json& body, const WebOptions& options);
WebDrawing read_img2img(const nlohmann::json& body, const WebOptions& options);

// POST /sdapi/v1/extra-single-image; and /extra-batch-images, which may have one picture. Throw as above.
Submission read_extra_image(const nlohmann::json& body);
Submission read_extra_batch(const nlohmann::json& body);

}  // namespace sumi::app
