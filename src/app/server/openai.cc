#include "app/server/openai.h"

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
  After after;
};

std::string header_of(const HttpRequest& request, std::string_view name) {
  const std::string* value = request.header(name);
  return value == nullptr ? "" : *value;
}

void answer(const Face& face, const Exchange& exchange, OpenaiRequest asked, const char* prefix) {
  asked.submission.client = exchange->request().peer;
  if (asked.stream) {
    std::make_shared<OpenaiStream>(exchange, face.jobs, face.after, std::move(asked), prefix)->begin();
    return;
  }
  Submission submission = std::exchange(asked.submission, {});
  const auto host = header_of(exchange->request(), "host");
  face.waiting.ask(exchange,
                   {.submission = std::move(submission),
                    .answer = [&jobs = face.jobs, asked,
                               host](const JobView& view) { return pictures_reply(jobs, view, asked, host); },
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

}  // namespace

void add_openai_routes(Router& router, Jobs& jobs, Shelf& shelf, Waiting& waiting, After after) {
  const auto face = std::make_shared<const Face>(Face{jobs, shelf, waiting, std::move(after)});
  const FindModel find = [&shelf](const std::string& name) { return shelf.name_of(name); };
  router.add("POST", "/v1/images/generations", [face, find](const Exchange& exchange, const Captures&) {
    or_refuse(exchange, [&] {
      const HttpRequest& request = exchange->request();
      if (!lower_case(header_of(request, "content-type")).starts_with("application/json"))
        throw BadField("the body must be JSON, with Content-Type: application/json", "", "unsupported_media_type",
                       kWrongType);
      answer(*face, exchange, read_generation(request.body, find), "image_generation");
    });
  });
  router.add("POST", "/v1/images/edits", [face, find](const Exchange& exchange, const Captures&) {
    or_refuse(exchange, [&] {
      const HttpRequest& request = exchange->request();
      const std::string type = header_of(request, "content-type");
      if (!is_form(type))
        throw BadField("the body must be a form with the file `image`, with Content-Type: multipart/form-data", "",
                       "unsupported_media_type", kWrongType);
      answer(*face, exchange, read_edit(parse_form(request.body, type), find), "image_edit");
    });
  });
}

}  // namespace sumi::app
