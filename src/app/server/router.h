// Which function answers which request.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/server/guard.h"
#include "app/server/http.h"
#include "sumi/error.h"

namespace sumi::app {

using Captures = std::vector<std::string>;  // the parts of the path that stand for "{}"
using Answer = std::function<void(const std::shared_ptr<HttpExchange>& exchange, const Captures& captures)>;

int status_of(ErrorKind kind);  // kUsage and kData: 400, kNoInput: 404, kUnavailable: 503, else 500

class Router {
 public:
  // `pattern`: "/v1/jobs/{}/events"; "{}" is one part, not empty.
  void add(std::string_view method, std::string_view pattern, Answer answer);
  // 404 for a path that nothing answers, 405 (with Allow) for another method of one that is; HEAD is answered as GET.
  // What an answer throws becomes a reply: 400 for Error(kUsage) and Error(kData), 404 for kNoInput, 503 for
  // kUnavailable, else 500.
  void answer(const std::shared_ptr<HttpExchange>& exchange) const;
  // Methods and patterns, as they were added.
  std::vector<std::pair<std::string, std::string>> routes() const;

 private:
  struct Route {
    std::string method;
    std::vector<std::string> parts;
    Answer answer;
  };
  std::vector<Route> routes_;
};

}  // namespace sumi::app
