// OpenAI's face: their images API, for programs that speak it already.
#pragma once

#include "app/server/background.h"
#include "app/server/jobs.h"
#include "app/server/router.h"
#include "app/server/shelf.h"
#include "app/server/waiting.h"

namespace sumi::app {

// POST /v1/images/generations  JSON → a picture of a text
// POST /v1/images/edits        a form with `image`, and `mask` → a picture of a picture
// Both give {"created", "data", …} or, with `stream`, events; errors as {"error": {"message", "type", "param",
// "code"}}. In `background` pictures are decoded and encoded; it must end before the others, which must outlive the
// exchanges.
void add_openai_routes(Router& router, Jobs& jobs, Shelf& shelf, Waiting& waiting, Background& background, After after);

}  // namespace sumi::app
