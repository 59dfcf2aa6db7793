#include "app/server/openai.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "app/server/http_text.h"
#include "app/server/openai_reply.h"
#include "app/server/openai_request.h"
#include "app/server/openai_stream.h"
#include "base/check.h"

namespace sumi::app {
namespace {

using Exchange = std::shared_ptr<HttpExchange>;

constexpr int kWrongType = 415;

struct Face {
  Jobs& jobs;
  Shelf& shelf;
  Waiting& waiting;
  Background& background;
  After after;

  FindModel find() const {
    return [this](const std::string& name) { return shelf.name_of(name); };
  }
};
using FacePtr = std::shared_ptr<const Face>;

std::string header_of(const HttpRequest& request, std::string_view name) {
  const std::string* value = request.header(name);
  return value == nullptr ? "" : *value;
}

// The server as its client calls it; empty: the client does not say. A proxy with TLS tells of that by a header.
std::string address_of(const HttpRequest& request) {
  const std::string host = header_of(request, "host");
  if (host.empty()) return "";
  return (header_of(request, "x-forwarded-proto") == "https" ? "https://" : "http://") + host;
}

void answer(const Face& face, const Exchange& exchange, OpenaiRequest asked, const char* prefix) {
  const HttpRequest& request = exchange->request();
  asked.submission.client = request.peer;
  if (asked.stream) {
    std::make_shared<OpenaiStream>(exchange, face.jobs, face.background, face.after, std::move(asked), prefix)->begin();
    return;
  }
  const std::string address = address_of(request);
  if (asked.url && address.empty())
    throw BadField("`response_format` url needs the server's name in a Host header; take b64_json", "response_format",
                   "invalid_value");
  Submission submission = std::exchange(asked.submission, {});
  const bool repeats = submission.request.seed.has_value();
  face.waiting.ask(exchange,
                   {.submission = std::move(submission),
                    .repeats = repeats,
                    .background = &face.background,
                    .answer = [&jobs = face.jobs, asked,
                               address](const JobView& view) { return pictures_reply(jobs, view, asked, address); },
                    .refuse =
                        [](int status, const std::string& sentence) {
                          return reply_of({.status = status, .message = sentence, .param = field_of(sentence)});
                        }});
}

// What is wrong is told in OpenAI's form.
template <class F> void or_refuse(const Exchange& exchange, const F& call) {
  try {
    call();
  } catch (const std::exception& error) {
    exchange->reply(reply_of(error_of(error)));
  }
}

void answer_generation(const Face& face, const Exchange& exchange) {
  const HttpRequest& request = exchange->request();
  if (!lower_case(header_of(request, "content-type")).starts_with("application/json"))
    throw BadField("the body must be JSON, with Content-Type: application/json", "", "unsupported_media_type",
                   kWrongType);
  answer(face, exchange, read_generation(request.body, face.find()), "image_generation");
}

// Pictures are decoded in the background; what follows from them is done on the server's thread again. Nothing is
// submitted for a client that has gone meanwhile.
void answer_edit(const FacePtr& face, const Exchange& exchange) {
  const std::string type = header_of(exchange->request(), "content-type");
  if (!is_form(type))
    throw BadField("the body must be a form with the file `image`, with Content-Type: multipart/form-data", "",
                   "unsupported_media_type", kWrongType);
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  exchange->on_gone([gone] { *gone = true; });
  const bool queued = face->background.run([face, exchange, type, gone] {
    if (*gone) return;
    or_refuse(exchange, [&] {
      const auto asked =
          std::make_shared<OpenaiRequest>(read_edit(parse_form(exchange->request().body, type), face->find()));
      face->after(std::chrono::milliseconds(0), [face, exchange, gone, asked] {
        if (*gone) return;
        or_refuse(exchange, [&] { answer(*face, exchange, std::move(*asked), "image_edit"); });
      });
    });
  });
  if (queued) return;
  HttpReply reply = reply_of({.status = 503, .message = "too much is asked at once; ask again in a moment"});
  reply.headers.emplace_back("Retry-After", Background::kRetryAfter);
  exchange->reply(std::move(reply));
}

}  // namespace

void add_openai_routes(Router& router, Jobs& jobs, Shelf& shelf, Waiting& waiting, Background& background,
                       After after) {
  const auto face = std::make_shared<const Face>(Face{jobs, shelf, waiting, background, std::move(after)});
  router.add("POST", "/v1/images/generations", [face](const Exchange& exchange, const Captures&) {
    or_refuse(exchange, [&] { answer_generation(*face, exchange); });
  });
  router.add("POST", "/v1/images/edits", [face](const Exchange& exchange, const Captures&) {
    or_refuse(exchange, [&] { answer_edit(face, exchange); });
  });
}

}  // namespace sumi::app
