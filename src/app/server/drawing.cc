#include "app/server/drawing.h"

#include <chrono>
#include <new>
#include <utility>
#include <vector>

#include "api/json.h"
#include "app/server/enlargement.h"
#include "app/server/hide_folders.h"
#include "app/server/plan.h"
#include "base/check.h"
#include "image/file_texts.h"
#include "image/metadata.h"
#include "image/png.h"
#include "image/resize.h"
#include "ops/machine_peak.h"

namespace sumi::app {
namespace {

using Clock = std::chrono::steady_clock;

std::string png_of(const Image& image, const std::string& parameters) {
  std::vector<image::PngText> texts;
  if (!parameters.empty()) texts.emplace_back(image::kParametersKey, parameters);
  const std::vector<std::byte> bytes = image::encode_png(image, texts);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The settings that the file tells of; empty: none.
std::string parameters_of(const std::vector<std::byte>& file) {
  try {
    const std::vector<image::PngText> texts = image::read_texts(file, "the picture");
    const std::string* text = image::parameters_in(texts);
    return text == nullptr ? std::string() : *text;
  } catch (const Error&) {
    return {};  // of another kind
  }
}

// Where a job's time goes: each stretch between two calls belongs to what the second tells of.
class Stages {
 public:
  explicit Stages(const DrawingCalls& calls) : calls_(calls) {}
  void end(const char* stage) {
    const auto now = Clock::now();
    if (calls_.stage) calls_.stage(stage, std::chrono::duration<double>(now - begin_).count());
    begin_ = now;
  }

 private:
  const DrawingCalls& calls_;
  Clock::time_point begin_ = Clock::now();
};

}  // namespace

Failure failure() {
  try {
    throw;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled) return {JobState::kCancelled};
    return {.error = error.what(), .kind = error.kind()};
  } catch (const std::bad_alloc&) {
    return {.error = "out of memory", .kind = ErrorKind::kUnavailable};
  } catch (const std::exception& error) {
    return {.error = error.what()};
  }
}

Drawing::Drawing(Shelf& shelf, const Library& library, Submission submission)
    : shelf_(shelf), library_(library), submission_(std::move(submission)), model_(shelf.name_of(submission_.model)) {
  hiding_folders([&] { check(); });
}

Identity own_identity() { return {.version = Engine::version(), .instructions = std::string(instruction_set())}; }

void Drawing::check() {
  vae_file_ = submission_.vae;
  if (!vae_file_.empty() && vae_file_ != kOwnVae) vae_file_ = library_.file_of(FileKind::kVae, vae_file_).string();
  if (!submission_.upscaling) {
    // Only to find what is wrong: decoded pictures do not wait with the job.
    const CheckedRequest checked(library_.with_files(submission_.request));
    return;
  }
  check_upscaling(*submission_.upscaling);
  const std::string& name = submission_.upscaling->upscaler;
  if (!image::find_filter(name)) upscaler_file_ = library_.file_of(FileKind::kUpscaler, name);
}

void Drawing::cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  if (job_ != nullptr) job_->cancel();
}

void Drawing::run(const DrawingCalls& calls) {
  hiding_folders([&] { submission_.upscaling ? upscale(calls) : draw(calls); });
}

void Drawing::draw(const DrawingCalls& calls) {
  Stages stages(calls);
  const Model model = shelf_.get(submission_.model, vae_file_);
  Job job = model.prepare(CheckedRequest(library_.with_files(submission_.request)));
  if (calls.prepared) calls.prepared(api::to_json(shown_settings(job.settings(), model_)));
  struct Running {
    Drawing& drawing;
    Running(Drawing& one, Job& job) : drawing(one) {
      const std::lock_guard lock(drawing.mutex_);
      drawing.job_ = &job;
      if (drawing.cancelled_) job.cancel();
    }
    ~Running() {
      const std::lock_guard lock(drawing.mutex_);
      drawing.job_ = nullptr;
    }
  };
  const Running running(*this, job);
  stages.end("open");
  Hooks hooks;
  hooks.step = [&](const Step& step) {
    stages.end(step.done == 0 ? "prepare" : "sample");
    if (calls.step) calls.step(step.batch * step.steps + step.done, step.batches * step.steps);
  };
  hooks.warning = [&](const std::string& sentence) {
    if (calls.warning) calls.warning(without_folders(sentence));
  };
  hooks.picture = [&](Picture&& picture) {
    stages.end("decode");
    KeptPicture kept{.number = picture.number,
                     .seed = picture.seed,
                     .width = picture.image.width,
                     .height = picture.image.height,
                     .prompt = picture.prompt,
                     .parameters = picture.parameters,
                     .flagged = picture.flagged,
                     .png = std::make_shared<const std::string>(png_of(picture.image, picture.parameters))};
    stages.end("write");
    if (calls.picture) calls.picture(std::move(kept));
  };
  if (submission_.previews && calls.preview) {
    hooks.preview = [&](Preview&& preview) { calls.preview(preview.number, png_of(preview.image, "")); };
  }
  job.run(hooks);
}

void Drawing::upscale(const DrawingCalls& calls) {
  Stages stages(calls);
  const Enlargement work = prepare_enlargement(*submission_.upscaling, upscaler_file_);
  stages.end("open");
  if (calls.step) calls.step(0, 1);
  const auto progress = [&](int pass, int passes, int64_t done, int64_t total) {
    if (calls.step) calls.step(pass * total + done, passes * total);
  };
  Image result = engine::enlarge(work.picture, work.network ? &*work.network : nullptr,
                                 {.width = work.target.width,
                                  .height = work.target.height,
                                  .filter = work.filter,
                                  .progress = progress,
                                  .cancel = &cancelled_});
  const auto [width, height] = work.result;
  if (result.width != width || result.height != height)
    result = image::crop(result, (result.width - width) / 2, (result.height - height) / 2, width, height);
  stages.end("sample");
  if (cancelled_) fail(ErrorKind::kCancelled, "cancelled");
  const std::string parameters = parameters_of(work.file);
  std::string png = png_of(result, parameters);
  stages.end("write");
  if (calls.picture)
    calls.picture({.width = result.width,
                   .height = result.height,
                   .parameters = parameters,
                   .png = std::make_shared<const std::string>(std::move(png))});
}

}  // namespace sumi::app
