// What a job would be, without drawing it.
#pragma once

#include <cstdint>
#include <string>

#include "app/server/jobs.h"
#include "app/server/library.h"
#include "app/server/shelf.h"

namespace sumi::app {

struct Plan {
  std::string settings = {};  // JSON, without this machine's folders; of an upscaling {"width", "height", "upscaler"}
  int64_t planned_bytes = 0;  // memory that it will take, with the weights
  std::string memory = {};    // the same in a sentence
};

// Opens the model, but reads no weights. Throws Error as the job would fail.
Plan plan_of(Shelf& shelf, const Library& library, const Submission& submission);

// The settings with the model's name, and of other files names without their folders.
Settings shown_settings(Settings settings, const std::string& model);

}  // namespace sumi::app
