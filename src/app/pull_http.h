// HTTP GET over libcurl, one at a time: redirects, resuming, stalls, cancelling. http and https only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace sumi::app {

struct FetchRequest {
  std::string url;
  std::string token;       // bearer token, sent only to the URL's own host, over https or to localhost
  int64_t begin = 0;       // first byte wanted
  int stall_seconds = 30;  // gives up if nothing arrives for this long
  std::function<bool()> cancelled;
};

struct HttpResponse {
  std::string error;       // why there is no complete answer; empty if there is one
  bool permanent = false;  // a retry would fail the same way: a bad certificate, a redirect to file://
  long status = 0;
  std::map<std::string, std::string> headers;  // of the last answer, names in lower case
  std::string linked_size, linked_etag;        // the hub's X-Linked-… headers, from any answer in a redirect

  bool ok() const { return error.empty() && (status == 200 || status == 206); }
  // Worth another try: the connection broke, or the server is busy.
  bool passing_trouble() const {
    return !permanent && (!error.empty() || status == 408 || status == 429 || status >= 500);
  }
  // "HTTP 404", "Couldn't resolve host name".
  std::string describe() const;
};

// Receives the body of a 200 or 206 piece by piece; other bodies are dropped. `head` is the answer so far. An exception
// ends the transfer and is rethrown.
using HttpSink = std::function<void(const HttpResponse& head, std::string_view piece)>;

// Throws Error(kCancelled) once `cancelled` returns true; network errors are in the response.
HttpResponse http_get(const FetchRequest& request, const HttpSink& sink);

// The text with everything but unreserved characters as %XX.
std::string url_escape(std::string_view text);

}  // namespace sumi::app
