#include "app/server/router.h"

#include <exception>
#include <optional>
#include <utility>

#include "app/server/http_text.h"
#include "base/check.h"

namespace sumi::app {
namespace {

constexpr std::string_view kAny = "{}";

std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  for (size_t at = 1; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    parts.emplace_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::optional<Captures> match(const std::vector<std::string>& pattern, const std::vector<std::string>& parts) {
  if (pattern.size() != parts.size()) return std::nullopt;
  Captures captures;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (pattern[i] == kAny && !parts[i].empty()) {
      captures.push_back(parts[i]);
    } else if (pattern[i] != parts[i]) {
      return std::nullopt;
    }
  }
  return captures;
}

}  // namespace

int status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
    case ErrorKind::kData: return 400;
    case ErrorKind::kNoInput: return 404;
    case ErrorKind::kUnavailable: return 503;
    default: return 500;
  }
}

void Router::add(std::string_view method, std::string_view pattern, Answer answer) {
  routes_.push_back({std::string(method), parts_of(pattern), std::move(answer)});
}

void Router::answer(const std::shared_ptr<HttpExchange>& exchange) const {
  const HttpRequest& request = exchange->request();
  const std::vector<std::string> parts = parts_of(request.path);
  const std::string& method = request.method == "HEAD" ? "GET" : request.method;
  std::string allowed;
  for (const Route& route : routes_) {
    const auto captures = match(route.parts, parts);
    if (!captures) continue;
    if (route.method != method) {
      allowed += (allowed.empty() ? "" : ", ") + route.method;
      continue;
    }
    try {
      return route.answer(exchange, *captures);
    } catch (const Error& error) {
      return exchange->reply(refusal(status_of(error.kind()), error.what()));
    } catch (const std::exception& error) {
      return exchange->reply(refusal(500, error.what()));
    }
  }
  if (allowed.empty()) return exchange->reply(refusal(404, "there is nothing at this address"));
  HttpReply reply = refusal(405, "this address takes " + allowed);
  reply.headers.emplace_back("Allow", allowed);
  exchange->reply(std::move(reply));
}

std::vector<std::pair<std::string, std::string>> Router::routes() const {
  std::vector<std::pair<std::string, std::string>> all;
  for (const Route& route : routes_) {
    std::string pattern;
    for (const std::string& part : route.parts) pattern += "/" + part;
    all.emplace_back(route.method, pattern);
  }
  return all;
}

}  // namespace sumi::app
