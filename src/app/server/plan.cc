#include "app/server/plan.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "api/json.h"
#include "app/server/enlargement.h"
#include "engine/memory_plan.h"
#include "image/resize.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

constexpr int64_t kTileBytes = 1'000'000'000;  // of a network's activations, as models::UpscaleOptions has it
constexpr int64_t kChannels = 3;               // of pictures, a byte each

int64_t bytes_of(const engine::PictureSize& size) { return size.width * size.height * kChannels; }

Plan plan_drawing(Shelf& shelf, const Library& library, const Submission& submission) {
  std::string vae = submission.vae;
  if (!vae.empty() && vae != kOwnVae) vae = library.file_of(FileKind::kVae, vae).string();
  const CheckedRequest checked(library.with_files(submission.request));
  const Model model = shelf.look(submission.model, vae);
  const Job job = model.prepare(checked);
  const Settings& settings = job.settings();
  return {.settings = api::to_json(shown_settings(settings, shelf.name_of(submission.model))),
          .planned_bytes = settings.planned_bytes,
          .memory = settings.memory};
}

Plan plan_upscaling(const Library& library, const Upscaling& wanted) {
  std::filesystem::path network;
  if (!image::find_filter(wanted.upscaler)) network = library.file_of(FileKind::kUpscaler, wanted.upscaler);
  const Enlargement work = prepare_enlargement(wanted, network);
  const engine::PictureSize size{work.picture.width, work.picture.height};
  const int64_t network_bytes = work.network ? work.network->weight_bytes() + kTileBytes : 0;
  const int64_t pictures = bytes_of(size) + bytes_of(work.largest) + bytes_of(work.target);
  const int64_t all = pictures + network_bytes;
  const nlohmann::json settings{
      {"width", work.result.width}, {"height", work.result.height}, {"upscaler", wanted.upscaler}};
  return {.settings = io::json_line(settings),
          .planned_bytes = all,
          .memory = fmt::format("needs at most {}: {} for the network, {} for pictures", engine::format_bytes(all),
                                engine::format_bytes(network_bytes), engine::format_bytes(pictures))};
}

}  // namespace

Plan plan_of(Shelf& shelf, const Library& library, const Submission& submission) {
  if (!submission.upscaling) return plan_drawing(shelf, library, submission);
  check_upscaling(*submission.upscaling);
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
