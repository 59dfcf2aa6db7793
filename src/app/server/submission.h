// Submissions as JSON: what POST /v1/jobs takes, and what a queue and a store keep.
#pragma once

#include <string>

#include "app/server/jobs.h"

namespace sumi::app {

// {"request", "model", "vae", "priority", "previews", "version", "instructions"} or {"upscaling": {"picture",
// "upscaler", "scale", …}, …}. Checks names and types of fields, not files. Throws Error(kUsage).
Submission parse_submission(const std::string& json);
// The same form with `client`, which parse_stored_submission alone reads.
std::string to_json(const Submission& submission);
Submission parse_stored_submission(const std::string& json);

// What a JobView shows of it as `request`.
std::string request_json(const Submission& submission);

}  // namespace sumi::app
