// Who may speak to the server: the right Host and Origin, and a token where the address is not this machine's alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/server/http.h"

namespace sumi::app {

struct GuardOptions {
  std::string address = "127.0.0.1";      // as it listens
  std::string token = {};                 // empty: none is asked for
  std::vector<std::string> origins = {};  // beside its own, whose pages may call it ("https://example.org")
  std::vector<std::string> hosts = {};    // beside its own, by which it may be called ("studio.local")
};

class Guard {
 public:
  // Throws Error(kUsage) where the address is not a loopback one and there is no token.
  explicit Guard(GuardOptions options);

  // The refusal: 403 for a Host that another name could have been rebound to, or a foreign Origin; 401 without the
  // token (Bearer, or Basic with it as the password). None: go on.
  std::optional<HttpReply> refuse(const HttpRequest& request) const;
  // The answer to a browser that asks whether the page of another site may call; none: it is not such a question. It
  // carries no token, so it comes before refuse().
  std::optional<HttpReply> preflight(const HttpRequest& request) const;
  // The headers that the page of a named origin needs to read the answer.
  HttpHeaders cors_of(const HttpRequest& request) const;

 private:
  bool knows_host(std::string_view host) const;
  bool knows_origin(std::string_view origin) const;
  bool has_token(const HttpRequest& request) const;

  GuardOptions options_;
};

bool is_loopback(std::string_view address);
// Takes as long whatever the texts have in common; their lengths show.
bool same_secret(std::string_view a, std::string_view b);

}  // namespace sumi::app
