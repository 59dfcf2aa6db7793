// The server's own face: /v1/jobs and what belongs to it, in the JSON of docs/api.md; /health and /metrics.
#pragma once

#include "app/server/background.h"
#include "app/server/jobs.h"
#include "app/server/router.h"
#include "app/server/shelf.h"
#include "app/server/waiting.h"

namespace sumi::app {

// POST   /v1/jobs                         a submission (submission.h) → 201, the job
// GET    /v1/jobs                         {"jobs"}, the newest first
// GET    /v1/jobs/ID                      the job
// GET    /v1/jobs/ID/events               Server-Sent Events (jobs.h), after Last-Event-ID
// POST   /v1/jobs/ID/cancel               200; 409 where it is over
// POST   /v1/jobs/ID/move                 {"before": ID or null}; 409 where it cannot be moved
// DELETE /v1/jobs/ID                      204; 409 where it is not over
// GET    /v1/jobs/ID/pictures/N           PNG
// DELETE /v1/jobs/ID/pictures/N           204
// GET    /v1/models                       {"models"} of sumi, {"object", "data"} as OpenAI's clients read it
// GET    /health, /metrics                {"status", …}; Prometheus' text
// All must outlive the exchanges. Jobs are read and submitted in the background: a body may be large, and its pictures
// are decoded.
void add_native_routes(Router& router, Jobs& jobs, Shelf& shelf, Background& submitting, After after);

}  // namespace sumi::app
