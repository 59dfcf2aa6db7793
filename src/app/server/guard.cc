#include "app/server/guard.h"

#include <algorithm>
#include <utility>

#include "app/server/http_text.h"
#include "base/base64.h"
#include "base/check.h"

namespace sumi::app {
namespace {

// "localhost:7860" → "localhost", "[::1]:7860" → "::1".
std::string name_in(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    return end == std::string_view::npos ? std::string() : lower_case(host.substr(1, end - 1));
  }
  return lower_case(host.substr(0, host.find(':')));
}

// The password of Basic credentials.
std::string password_in(std::string_view credentials) {
  const auto bytes = from_base64(credentials);
  if (!bytes) return {};
  const std::string_view text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  const size_t colon = text.find(':');
  return colon == std::string_view::npos ? std::string() : std::string(text.substr(colon + 1));
}

// "127.0.0.1", "192.168.0.7": digits and dots. No other site can have such a name.
bool is_numeric(std::string_view name) {
  const bool v4 = name.find_first_not_of("0123456789.") == std::string_view::npos;
  return !name.empty() && (v4 || name.find(':') != std::string_view::npos);
}

}  // namespace

bool is_loopback(std::string_view address) {
  return address == "localhost" || address == "::1" || (address.starts_with("127.") && is_numeric(address));
}

bool same_secret(std::string_view a, std::string_view b) {
  unsigned char differs = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < b.size(); ++i) differs |= static_cast<unsigned char>((i < a.size() ? a[i] : '\0') ^ b[i]);
  return differs == 0;
}

Guard::Guard(GuardOptions options) : options_(std::move(options)) {
  SUMI_CHECK_KIND(
      kUsage, is_loopback(options_.address) || !options_.token.empty(),
      "whoever reaches {} could use this machine: give `token_file`, the file of a secret that clients must "
      "send, or listen on 127.0.0.1",
      options_.address);
}

bool Guard::knows_host(std::string_view host) const {
  const std::string name = name_in(host);
  if (is_numeric(name) || name == "localhost" || name == lower_case(options_.address)) return true;
  return std::any_of(options_.hosts.begin(), options_.hosts.end(),
                     [&](const auto& h) { return lower_case(h) == name; });
}

bool Guard::knows_origin(std::string_view origin) const {
  return std::any_of(options_.origins.begin(), options_.origins.end(),
                     [&](const std::string& known) { return lower_case(known) == lower_case(origin); });
}

bool Guard::has_token(const HttpRequest& request) const {
  const std::string* given = request.header("authorization");
  if (given == nullptr) return false;
  const size_t space = given->find(' ');
  if (space == std::string::npos) return false;
  const std::string scheme = lower_case(given->substr(0, space)), rest = given->substr(space + 1);
  if (scheme == "bearer") return same_secret(rest, options_.token);
  return scheme == "basic" && same_secret(password_in(rest), options_.token);
}

std::optional<HttpReply> Guard::refuse(const HttpRequest& request) const {
  const std::string* host = request.header("host");
  if (host == nullptr || !knows_host(*host))
    return refusal(403, "this server is not called by that name; start it with --allow-host NAME to allow it");
  if (const std::string* origin = request.header("origin")) {
    const size_t slashes = origin->find("://");
    const bool own = slashes != std::string::npos && lower_case(origin->substr(slashes + 3)) == lower_case(*host);
    if (!own && !knows_origin(*origin))
      return refusal(403, "pages of other sites may not call this server; --allow-origin ORIGIN allows one");
  }
  if (!options_.token.empty() && request.path != "/health" && !has_token(request)) {
    HttpReply reply = refusal(401, "a token is needed: Authorization: Bearer TOKEN");
    reply.headers.emplace_back("WWW-Authenticate", "Basic realm=\"sumi\", charset=\"UTF-8\"");
    return reply;
  }
  return std::nullopt;
}

std::optional<HttpReply> Guard::preflight(const HttpRequest& request) const {
  const std::string* origin = request.header("origin");
  if (request.method != "OPTIONS" || origin == nullptr || request.header("access-control-request-method") == nullptr)
    return std::nullopt;
  if (!knows_origin(*origin)) return std::nullopt;
  return HttpReply{.status = 204,
                   .headers = {{"Access-Control-Allow-Origin", *origin},
                               {"Access-Control-Allow-Methods", "GET, POST, DELETE"},
                               {"Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID"},
                               {"Access-Control-Max-Age", "600"},
                               {"Vary", "Origin"}}};
}

HttpHeaders Guard::cors_of(const HttpRequest& request) const {
  const std::string* origin = request.header("origin");
  if (origin == nullptr || !knows_origin(*origin)) return {};
  return {{"Access-Control-Allow-Origin", *origin}, {"Vary", "Origin"}};
}

}  // namespace sumi::app
