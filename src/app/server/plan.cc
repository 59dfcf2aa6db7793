#include "app/server/plan.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "api/json.h"
#include "app/server/drawing.h"
#include "base/check.h"
#include "engine/enlarge.h"
#include "engine/given.h"
#include "engine/memory_plan.h"
#include "image/read.h"
#include "image/resize.h"

namespace sumi::app {
namespace {

constexpr int64_t kTileBytes = 1'000'000'000;  // of a network's activations, as models::UpscaleOptions has it
constexpr int64_t kChannels = 3;               // of pictures, a byte each

int64_t bytes_of(const engine::PictureSize& size) { return size.width * size.height * kChannels; }

Plan plan_drawing(Shelf& shelf, const Library& library, const Submission& submission) {
  std::string vae = submission.vae;
  if (!vae.empty() && vae != kOwnVae) vae = library.file_of(FileKind::kVae, vae).string();
  const CheckedRequest checked(library.with_files(submission.request));
  const Model model = shelf.get(submission.model, vae);
  const Job job = model.prepare(checked);
  const Settings& settings = job.settings();
  return {.settings = api::to_json(shown_settings(settings, shelf.name_of(submission.model))),
          .planned_bytes = settings.planned_bytes,
          .memory = settings.memory};
}

// As Drawing enlarges: the network runs until the picture is large enough, then a filter brings it to the size.
Plan plan_upscaling(const Library& library, const Upscaling& wanted) {
  const engine::GivenBytes given = engine::read_given(wanted.picture, "the `picture`");
  const Image picture = image::decode_picture(given.bytes, given.shown);
  const engine::PictureSize size{picture.width, picture.height};
  double by = wanted.scale;
  if (wanted.width > 0)
    by = std::max(static_cast<double>(wanted.width) / static_cast<double>(size.width),
                  static_cast<double>(wanted.height) / static_cast<double>(size.height));
  SUMI_CHECK_KIND(kUsage, by <= engine::kMostEnlarging, "the picture would become {:.1f} times as large; at most {:g}",
                  by, engine::kMostEnlarging);
  engine::PictureSize target = engine::enlarged_size(size, by, "the picture"), largest = target;
  int64_t network_bytes = 0;
  if (!image::find_filter(wanted.upscaler)) {
    const auto network = models::Upscaler::open(library.file_of(FileKind::kUpscaler, wanted.upscaler));
    const int passes = engine::passes_for(by, network.scale());
    largest = engine::enlarged_size(size, std::pow(static_cast<double>(network.scale()), passes), "the picture");
    network_bytes = network.weight_bytes() + kTileBytes;
  }
  if (wanted.width > 0 && wanted.crop) target = {wanted.width, wanted.height};
  const int64_t pictures = bytes_of(size) + bytes_of(largest) + bytes_of(target), all = pictures + network_bytes;
  const nlohmann::json settings{{"width", target.width}, {"height", target.height}, {"upscaler", wanted.upscaler}};
  return {.settings = settings.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
          .planned_bytes = all,
          .memory = fmt::format("needs at most {}: {} for the network, {} for pictures", engine::format_bytes(all),
                                engine::format_bytes(network_bytes), engine::format_bytes(pictures))};
}

}  // namespace

Plan plan_of(Shelf& shelf, const Library& library, const Submission& submission) {
  if (!submission.upscaling) return plan_drawing(shelf, library, submission);
  const Drawing checks(shelf, library, submission);
  return plan_upscaling(library, *submission.upscaling);
}

Settings shown_settings(Settings settings, const std::string& model) {
  const auto cut = [](std::string& path) { path = std::filesystem::path(path).filename().string(); };
  settings.model = model;
  for (std::string* path : {&settings.vae, &settings.config, &settings.safety_checker}) cut(*path);
  for (Lora& lora : settings.loras) cut(lora.file);
  for (std::string& file : settings.embeddings) cut(file);
  for (ControlSettings& control : settings.controls) cut(control.model);
  if (settings.hires) cut(settings.hires->upscaler);
  return settings;
}

}  // namespace sumi::app
