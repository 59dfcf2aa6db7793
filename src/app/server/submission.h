// Submissions as JSON: what POST /v1/jobs takes, and what a queue and a store keep.
#pragma once

#include <cstdint>
#include <string>

#include "app/server/jobs.h"

namespace sumi::app {

// {"request", "model", "vae", "priority", "previews", "version", "instructions"} or {"upscaling": {"picture",
// "upscaler", "scale", …}, …}. Checks names and types of fields, not files. Throws Error(kUsage).
Submission parse_submission(const std::string& json);
// The same form with `client`, which parse_stored_submission alone reads.
std::string to_json(const Submission& submission);
Submission parse_stored_submission(const std::string& json);

// Pictures that it draws in all; of an upscaling one.
int64_t pictures_of(const Submission& submission);

// A new job of it, waiting. `model`: its full name. A seed that is left open is chosen now, so that the job is the same
// wherever and however often it is drawn. Throws Error(kUsage) for what is wrong with the job beside its request.
JobView new_job(Submission& submission, const std::string& model);

}  // namespace sumi::app
