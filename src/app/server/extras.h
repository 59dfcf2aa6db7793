// What a page asks beside drawing: what there is, what a job would take, how a picture was drawn, how training goes.
#pragma once

#include <filesystem>
#include <vector>

#include "app/server/background.h"
#include "app/server/library.h"
#include "app/server/router.h"
#include "app/server/shelf.h"

namespace sumi::app {

struct ExtrasOptions {
  std::vector<std::filesystem::path> runs = {};  // folders of training runs, see training.h
  bool elsewhere = false;                        // whether jobs are drawn by other processes
};

// GET  /v1/options                       {"version", "samplers", …, "files", "limits", "memory", "training",
// "elsewhere"} GET  /v1/models/NAME (or FOLDER/NAME)  what is known of a model without its weights; opens it POST
// /v1/plan                          a submission → {"settings", "planned_bytes", "memory"} POST /v1/settings a picture
// file → {"from", "request", …} (picture_settings.h) GET  /v1/training                      {"runs"} GET
// /v1/training/RUN                  {"log", "samples"} GET  /v1/training/RUN/samples/STEP     PNG All three must
// outlive the exchanges; what takes time runs in `background`, which must end before them.
void add_extra_routes(Router& router, Shelf& shelf, const Library& library, Background& background,
                      const ExtrasOptions& options);

}  // namespace sumi::app
