#include "app/server/openai_stream.h"

#include <chrono>
#include <exception>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "app/server/router.h"
#include "base/base64.h"
#include "base/check.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;

constexpr milliseconds kPatience{15'000};

std::string size_text(int64_t width, int64_t height) { return fmt::format("{}x{}", width, height); }

}  // namespace

// Number i of them is due once (i + 1) / (wanted + 1) of the steps are done, rounded up to a whole step.
bool ShownSteps::take(int64_t done, int64_t steps) {
  if (shown_ >= wanted_ || done <= 0 || steps <= 0) return false;
  const int64_t due = ((shown_ + 1) * steps + wanted_) / (wanted_ + 1);
  if (done < due) return false;
  ++shown_;
  return true;
}

OpenaiStream::OpenaiStream(std::shared_ptr<HttpExchange> exchange, Jobs& jobs, Background& background, After after,
                           OpenaiRequest asked, std::string prefix)
    : exchange_(std::move(exchange)),
      jobs_(jobs),
      background_(background),
      after_(std::move(after)),
      asked_(std::move(asked)),
      prefix_(std::move(prefix)),
      shown_(asked_.partial_images) {}

void OpenaiStream::begin() {
  id_ = jobs_.submit(std::exchange(asked_.submission, {}));
  watch_ = jobs_.watch(id_, 0, [self = shared_from_this()](const JobEvent& event) { self->take(event); });
  if (!watch_) return send_error({.status = 503, .message = "the job has been forgotten already; ask again"});
  exchange_->on_gone([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || std::exchange(self->over_, true)) return;
    self->watch_.reset();
    self->jobs_.cancel(self->id_);
  });
  beat();
}

void OpenaiStream::take(const JobEvent& event) {
  {
    const std::lock_guard lock(mutex_);
    if (event.name == "step") {
      const auto json = nlohmann::json::parse(event.data);
      const bool first = steps_ == 0;
      done_ = json.at("done").get<int64_t>();
      steps_ = json.at("steps").get<int64_t>();
      if (!first) return;
    } else if (event.name == "preview") {
      if (!shown_.take(done_, steps_)) return;
    } else if (!ends(event)) {
      return;
    }
    events_.push_back(event);
  }
  after_(milliseconds(0), [self = shared_from_this()] { self->handle_all(); });
}

void OpenaiStream::handle_all() {
  std::deque<JobEvent> events;
  {
    const std::lock_guard lock(mutex_);
    events.swap(events_);
  }
  for (const JobEvent& event : events) {
    if (over_) return;
    try {
      handle(event);
    } catch (const std::exception& error) {
      send_error(error_of(error));
    }
  }
}

void OpenaiStream::handle(const JobEvent& event) {
  if (event.name == "step") return send_head();
  if (event.name == "preview") return send_preview(event);
  const auto view = jobs_.view(id_);
  SUMI_CHECK_KIND(kUnavailable, view, "the job has been forgotten already; ask again");
  switch (view->state) {
    case JobState::kDone: return encode_picture(*view);
    case JobState::kCancelled: return send_error({.status = 409, .message = "the job was cancelled"});
    default:
      send_error({.status = status_of(view->error_kind), .message = view->error, .param = field_of(view->error)});
  }
}

void OpenaiStream::send_head() {
  if (std::exchange(has_head_, true)) return;
  exchange_->begin({.type = "text/event-stream", .headers = {{"Cache-Control", "no-store"}}});
}

void OpenaiStream::send(const std::string& name, const Json& data) {
  send_head();
  exchange_->write(fmt::format("event: {}\ndata: {}\n\n", name, io::json_line(data)));
}

Json OpenaiStream::event_json(std::string_view name, const std::string& file, const std::string& size) const {
  return {{"type", name},
          {"b64_json", base64_of(std::as_bytes(std::span(file)))},
          {"created_at", static_cast<int64_t>(seconds_now())},
          {"size", size},
          {"quality", asked_.quality},
          {"background", "opaque"},
          {"output_format", name_of(asked_.format)}};
}

void OpenaiStream::send_preview(const JobEvent& event) {
  const auto view = jobs_.view(id_);
  if (!view || view->settings.empty()) return;
  const auto settings = nlohmann::json::parse(view->settings);
  const auto width = settings.at("width").get<int64_t>(), height = settings.at("height").get<int64_t>();
  const std::string name = prefix_ + ".partial_image";
  const auto png = nlohmann::json::parse(event.data).at("png").get<std::string>();
  Json json = event_json(name, preview_file_of(png, width, height, asked_), size_text(width, height));
  json["partial_image_index"] = partial_images_++;
  send(name, json);
}

// Done here after all where the background is full.
void OpenaiStream::encode_picture(const JobView& view) {
  SUMI_CHECK_KIND(kInternal, !view.pictures.empty(), "the job has no picture");
  const auto png = jobs_.picture(id_, view.pictures.front().number);
  SUMI_CHECK_KIND(kUnavailable, png, "the job's picture has been forgotten already; ask again");
  const auto encode = [self = shared_from_this(), view, png] {
    std::function<void()> then;
    try {
      then = [self, json = self->picture_json(view, *png)] { self->send_picture(json); };
    } catch (const std::exception& error) {
      then = [self, told = error_of(error)] { self->send_error(told); };
    }
    self->after_(milliseconds(0), [self, then] {
      if (!self->over_) then();
    });
  };
  if (!background_.run(encode)) encode();
}

Json OpenaiStream::picture_json(const JobView& view, const std::string& png) const {
  const KeptPicture& picture = view.pictures.front();
  Json json =
      event_json(prefix_ + ".completed", file_of(picture, png, asked_), size_text(picture.width, picture.height));
  json["seed"] = picture.seed;
  std::vector<std::string> warnings = asked_.notes;
  warnings.insert(warnings.end(), view.warnings.begin(), view.warnings.end());
  if (!warnings.empty()) json["warnings"] = warnings;
  return json;
}

void OpenaiStream::send_picture(const Json& data) {
  send(prefix_ + ".completed", data);
  finish();
}

void OpenaiStream::send_error(const OpenaiError& error) {
  if (!has_head_) {
    exchange_->reply(reply_of(error));
  } else {
    send("error", json_of(error));
    exchange_->end();
  }
  over_ = true;
  watch_.reset();
  jobs_.cancel(id_);  // of no use to anyone any more
}

void OpenaiStream::finish() {
  exchange_->end();
  over_ = true;
  watch_.reset();
}

// Proxies and clients give up on silence. Lines that begin with a colon say nothing.
void OpenaiStream::beat() {
  after_(kPatience, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->over_) return;
    self->send_head();
    self->exchange_->write(": \n\n");
    self->beat();
  });
}

}  // namespace sumi::app
