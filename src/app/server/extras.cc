#include "app/server/extras.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "app/server/hide_folders.h"
#include "app/server/http_text.h"
#include "app/server/picture_settings.h"
#include "app/server/plan.h"
#include "app/server/submission.h"
#include "app/server/training.h"
#include "base/check.h"
#include "base/parse_number.h"
#include "engine/memory_plan.h"
#include "engine/resolve.h"
#include "image/resize.h"
#include "io/json_text.h"
#include "sumi/engine.h"

namespace sumi::app {
namespace {

using Json = nlohmann::ordered_json;
using Exchange = std::shared_ptr<HttpExchange>;

HttpReply json_reply(const Json& json) { return {.body = io::json_line(json)}; }

// Settings, plans and logs may have changed by the next time.
HttpReply fresh(HttpReply reply) {
  reply.headers.emplace_back("Cache-Control", "no-store");
  return reply;
}

// "a, b, c" as a list.
Json list_of(std::string_view names) {
  Json list = Json::array();
  for (size_t at = 0; at < names.size();) {
    const size_t end = std::min(names.find(", ", at), names.size());
    list.push_back(names.substr(at, end - at));
    at = end + 2;
  }
  return list;
}

Json list_of(const std::vector<NamedHelp>& entries) {
  Json list = Json::array();
  for (const NamedHelp& entry : entries) list.push_back({{"name", entry.name}, {"help", entry.help}});
  return list;
}

Json list_of(const std::vector<LibraryEntry>& entries) {
  Json list = Json::array();
  for (const LibraryEntry& entry : entries) list.push_back({{"name", entry.name}, {"bytes", entry.bytes}});
  return list;
}

Json options_of(const Shelf& shelf, const Library& library, bool training, bool elsewhere) {
  return {{"version", Engine::version()},
          {"samplers", list_of(Engine::samplers())},
          {"schedules", list_of(Engine::schedules())},
          {"resize", {"stretch", "crop", "fill"}},
          {"mask_content", {"original", "fill", "noise", "nothing"}},
          {"filters", list_of(image::kFilterNames)},
          {"latent_upscalers", list_of(engine::kLatentResizes)},
          {"files",
           {{"loras", list_of(library.list(FileKind::kLora))},
            {"embeddings", list_of(library.list(FileKind::kEmbedding))},
            {"vaes", list_of(library.list(FileKind::kVae))},
            {"upscalers", list_of(library.list(FileKind::kUpscaler))},
            {"controls", list_of(library.list(FileKind::kControl))}}},
          {"limits",
           {{"side", engine::kMaxSide},
            {"steps", engine::kMaxSteps},
            {"batch", engine::kMaxBatch},
            {"body_bytes", HttpLimits().body_bytes}}},
          {"memory", {{"free", engine::memory_limits().available.value_or(0)}, {"budget", shelf.most_bytes()}}},
          {"training", training},
          {"elsewhere", elsewhere}};
}

// Opens the model, if it is not open.
Json model_of(Shelf& shelf, const std::string& name) {
  const ModelInfo info = shelf.look(name).info();
  Json json{{"name", name}, {"id", name}, {"object", "model"}, {"owned_by", "sumi"}};
  for (const ShelfEntry& entry : shelf.list()) {
    if (entry.name != name) continue;
    json.update({{"created", entry.created}, {"bytes", entry.bytes}, {"loaded", entry.loaded}});
  }
  json.update({{"family", info.family},
               {"default_size", info.default_size},
               {"sampler", info.sampler},
               {"schedule", info.schedule},
               {"steps", info.steps},
               {"scale", info.scale},
               {"prediction", info.prediction},
               {"multiple", info.multiple}});
  json["warnings"] = Json::array();
  for (const std::string& warning : info.warnings) json["warnings"].push_back(without_folders(warning));
  return json;
}

void answer_model(Shelf& shelf, Background& background, const Exchange& exchange, const std::string& name) {
  std::string whole;
  try {
    whole = shelf.name_of(name);
  } catch (const Error& error) {
    return exchange->reply(refusal(404, error.what()));
  }
  answer_later(background, exchange, [&shelf, whole] { return fresh(json_reply(model_of(shelf, whole))); });
}

void add_model_routes(Router& router, Shelf& shelf, Background& background) {
  router.add("GET", "/v1/models/{}", [&shelf, &background](const Exchange& exchange, const Captures& parts) {
    answer_model(shelf, background, exchange, parts[0]);
  });
  // Of two models with one name the second is called after its folder too.
  router.add("GET", "/v1/models/{}/{}", [&shelf, &background](const Exchange& exchange, const Captures& parts) {
    answer_model(shelf, background, exchange, parts[0] + "/" + parts[1]);
  });
}

HttpReply plan_reply(Shelf& shelf, const Library& library, const std::string& body) {
  const Plan plan = plan_of(shelf, library, parse_submission(body));
  return fresh(json_reply(
      {{"settings", Json::parse(plan.settings)}, {"planned_bytes", plan.planned_bytes}, {"memory", plan.memory}}));
}

HttpReply settings_reply(const Shelf& shelf, const Library& library, const std::string& file) {
  const PictureSettings found = picture_settings(std::as_bytes(std::span(file)), shelf, library);
  return fresh(json_reply({{"from", found.from},
                           {"request", Json::parse(found.request)},
                           {"with_pictures", Json::parse(found.with_pictures)},
                           {"number", found.number},
                           {"model", found.model},
                           {"vae", found.vae},
                           {"untaken", found.untaken}}));
}

void add_planning_routes(Router& router, Shelf& shelf, const Library& library, Background& background) {
  router.add("POST", "/v1/plan", [&shelf, &library, &background](const Exchange& exchange, const Captures&) {
    if (!is_json(exchange->request()))
      return exchange->reply(refusal(415, "the body must be JSON, with Content-Type: application/json"));
    answer_later(background, exchange,
                 [&shelf, &library, exchange] { return plan_reply(shelf, library, exchange->request().body); });
  });
  router.add("POST", "/v1/settings", [&shelf, &library, &background](const Exchange& exchange, const Captures&) {
    SUMI_CHECK_KIND(kUsage, !exchange->request().body.empty(), "the body must be a picture: a PNG, JPEG or WebP file");
    answer_later(background, exchange,
                 [&shelf, &library, exchange] { return settings_reply(shelf, library, exchange->request().body); });
  });
}

Json or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json json_of(const TrainingRun& run) {
  return {{"name", run.name},       {"step", run.step},          {"steps", run.steps},
          {"running", run.running}, {"loss", or_null(run.loss)}, {"updated", run.updated}};
}

// `path`: of the address of the run.
Json run_json(const std::filesystem::path& folder, const std::string& path) {
  Json log = Json::array(), samples = Json::array();
  for (const TrainingStep& step : read_training_log(folder))
    log.push_back({{"step", step.step},
                   {"loss", or_null(step.loss)},
                   {"lr", or_null(step.lr)},
                   {"seconds", or_null(step.seconds)}});
  for (const int64_t step : training_samples(folder))
    samples.push_back({{"step", step}, {"url", fmt::format("{}/samples/{}", path, step)}});
  return {{"log", std::move(log)}, {"samples", std::move(samples)}};
}

// A part of a path in an address.
std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

// Whatever a browser is made to believe, nothing in a picture runs.
HttpReply png_reply(std::string png) {
  return {
      .type = "image/png",
      .headers = {{"Cache-Control", "private, no-cache"}, {"Content-Security-Policy", "default-src 'none'; sandbox"}},
      .body = std::move(png)};
}

std::filesystem::path run_folder(const TrainingRuns& runs, const std::string& name) {
  const auto folder = runs.folder_of(name);
  SUMI_CHECK_KIND(kNoInput, folder, "there is no such training run");
  return *folder;
}

void add_training_routes(Router& router, Background& background, const std::shared_ptr<const TrainingRuns>& runs) {
  router.add("GET", "/v1/training", [&background, runs](const Exchange& exchange, const Captures&) {
    answer_later(background, exchange, [runs] {
      Json list = Json::array();
      for (const TrainingRun& run : runs->list()) list.push_back(json_of(run));
      return fresh(json_reply({{"runs", std::move(list)}}));
    });
  });
  router.add("GET", "/v1/training/{}", [&background, runs](const Exchange& exchange, const Captures& parts) {
    answer_later(background, exchange, [runs, name = parts[0]] {
      return fresh(json_reply(run_json(run_folder(*runs, name), "/v1/training/" + percent_encoded(name))));
    });
  });
  router.add("GET", "/v1/training/{}/samples/{}", [&background, runs](const Exchange& exchange, const Captures& parts) {
    answer_later(background, exchange, [runs, name = parts[0], text = parts[1]] {
      return png_reply(read_training_sample(run_folder(*runs, name), number_in<int64_t>(text).value_or(-1)));
    });
  });
}

}  // namespace

void add_extra_routes(Router& router, Shelf& shelf, const Library& library, Background& background,
                      const ExtrasOptions& options) {
  const auto runs = std::make_shared<const TrainingRuns>(options.runs);
  router.add("GET", "/v1/options",
             [&shelf, &library, training = runs->any(), elsewhere = options.elsewhere](const Exchange& exchange,
                                                                                       const Captures&) {
               exchange->reply(fresh(json_reply(options_of(shelf, library, training, elsewhere))));
             });
  add_model_routes(router, shelf, background);
  add_planning_routes(router, shelf, library, background);
  add_training_routes(router, background, runs);
}

}  // namespace sumi::app
