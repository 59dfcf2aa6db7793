// The API of A1111's web UI, as its clients speak it: /sdapi/v1 and what they ask beside it.
#pragma once

#include <memory>

#include "app/server/jobs.h"
#include "app/server/library.h"
#include "app/server/router.h"
#include "app/server/shelf.h"
#include "app/server/waiting.h"

namespace sumi::app {

// POST /sdapi/v1/txt2img, /img2img, /extra-single-image, /extra-batch-images (of one picture): answered through
//      `waiting`
// POST /sdapi/v1/png-info: {"info", "items", "parameters"}
// GET  /sdapi/v1/progress: of the job that `waiting` names for the client
// POST /sdapi/v1/interrupt, /skip: end it; who waits gets the pictures that are finished
// GET, POST /sdapi/v1/options: webui_options.h
// GET  /sdapi/v1/samplers, /schedulers, /sd-models, /sd-vae, /loras, /embeddings, /upscalers, /latent-upscale-modes,
//      /memory, /cmd-flags, and the empty lists of what sumi does not have
// POST /sdapi/v1/refresh-checkpoints, -vae, -loras, -embeddings: folders are looked into each time
// GET  /controlnet/version, /settings, /model_list, /module_list, /control_types; /internal/ping
// All must outlive the exchanges.
void add_webui_routes(Router& router, Jobs& jobs, const Shelf& shelf, const Library& library, Waiting& waiting);

}  // namespace sumi::app
