#include "app/server/journal.h"

#include <fmt/chrono.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"
#include "base/text_util.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

// "2026-11-27T15:04:05Z"
std::string time_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
}

// Passes everything on.
class Passing : public HttpExchange {
 public:
  explicit Passing(std::shared_ptr<HttpExchange> inner) : inner_(std::move(inner)) {}
  const HttpRequest& request() const override { return inner_->request(); }
  void reply(HttpReply reply) override { inner_->reply(std::move(reply)); }
  void begin(HttpReply head) override { inner_->begin(std::move(head)); }
  void write(std::string piece) override { inner_->write(std::move(piece)); }
  void end() override { inner_->end(); }
  size_t waiting() const override { return inner_->waiting(); }
  void on_gone(std::function<void()> call) override { inner_->on_gone(std::move(call)); }

 protected:
  const std::shared_ptr<HttpExchange> inner_;
};

class WithHeaders : public Passing {
 public:
  WithHeaders(std::shared_ptr<HttpExchange> inner, HttpHeaders headers)
      : Passing(std::move(inner)), headers_(std::move(headers)) {}
  void reply(HttpReply reply) override { inner_->reply(with_more(std::move(reply))); }
  void begin(HttpReply head) override { inner_->begin(with_more(std::move(head))); }

 private:
  HttpReply with_more(HttpReply reply) const {
    reply.headers.insert(reply.headers.end(), headers_.begin(), headers_.end());
    return reply;
  }
  const HttpHeaders headers_;
};

}  // namespace

// Written down when it is destroyed, which is when nobody can answer it any more.
class WatchedExchange : public Passing {
 public:
  WatchedExchange(std::shared_ptr<HttpExchange> inner, Journal& journal)
      : Passing(std::move(inner)), journal_(journal) {}
  ~WatchedExchange() override {
    const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    const std::lock_guard lock(mutex_);
    try {
      journal_.request(request(), status_, bytes_, seconds);
    } catch (const std::exception&) {
      // A line less.
    }
  }
  void reply(HttpReply reply) override {
    note(reply.status, reply.body.size());
    inner_->reply(std::move(reply));
  }
  void begin(HttpReply head) override {
    note(head.status, head.body.size());
    inner_->begin(std::move(head));
  }
  void write(std::string piece) override {
    note(0, piece.size());
    inner_->write(std::move(piece));
  }

 private:
  void note(int status, size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (status != 0) status_ = status;
    bytes_ += bytes;
  }

  Journal& journal_;
  const Clock::time_point begin_ = Clock::now();
  std::mutex mutex_;
  int status_ = 0;  // none yet
  size_t bytes_ = 0;
};

Journal::Journal(Form form, Write write) : form_(form), write_(std::move(write)) {}

void Journal::line(const std::string& text) {
  const std::lock_guard lock(mutex_);
  write_(text + "\n");
}

void Journal::job(const JobView& view) {
  if (form_ == Form::kOff) return;
  const double seconds = view.started > 0 ? view.finished - view.started : 0;
  const auto pictures = static_cast<int64_t>(view.pictures.size());
  if (form_ == Form::kText) {
    std::string text =
        fmt::format("job {} {}: {} in {:.1f} s ({})", view.id, name_of(view.state),
                    pictures == 1 ? "1 picture" : fmt::format("{} pictures", pictures), seconds, view.model);
    if (!view.error.empty()) text += ": " + strip_control(view.error);
    return line(text);
  }
  Json json{{"time", time_now()},
            {"event", "job"},
            {"id", view.id},
            {"state", name_of(view.state)},
            {"model", view.model},
            {"client", view.client},
            {"pictures", pictures},
            {"seconds", seconds},
            {"waited", view.started > 0 ? view.started - view.created : 0}};
  if (!view.error.empty()) json["error"] = view.error;
  line(io::json_line(json));
}

std::shared_ptr<HttpExchange> Journal::watched(std::shared_ptr<HttpExchange> exchange) {
  if (form_ == Form::kOff) return exchange;
  return std::make_shared<WatchedExchange>(std::move(exchange), *this);
}

void Journal::request(const HttpRequest& request, int status, size_t bytes, double seconds) {
  if (form_ == Form::kJson)
    return line(io::json_line(Json{{"time", time_now()},
                                   {"event", "request"},
                                   {"client", request.peer},
                                   {"method", request.method},
                                   {"path", request.path},
                                   {"status", status},
                                   {"bytes", bytes},
                                   {"seconds", seconds}}));
  if (status >= 500)
    line(fmt::format("{} {} was answered with {}", request.method, strip_control(request.path), status));
}

Journal::Form journal_form(const std::string& name) {
  if (name == "off") return Journal::Form::kOff;
  if (name == "text") return Journal::Form::kText;
  SUMI_CHECK_KIND(kUsage, name == "json", "`log` must be off, text or json, not {}", name);
  return Journal::Form::kJson;
}

std::shared_ptr<HttpExchange> with_headers(std::shared_ptr<HttpExchange> exchange, HttpHeaders headers) {
  if (headers.empty()) return exchange;
  return std::make_shared<WithHeaders>(std::move(exchange), std::move(headers));
}

}  // namespace sumi::app
