// What a server writes about its work: a line for each request and each job, without prompts and pictures.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "app/server/http.h"
#include "app/server/jobs.h"

namespace sumi::app {

// Any number of threads may use one.
class Journal {
 public:
  enum class Form : unsigned char { kOff, kText, kJson };
  using Write = std::function<void(const std::string& line)>;  // with the end of the line

  Journal(Form form, Write write);

  // A job's end: "job 1f… done: 1 picture in 3.2 s (sd-v1-4)"; in JSON also its client and its times.
  void job(const JobView& view);
  // The exchange, which is written down with its status, bytes and time when it is over. In text only what went wrong
  // by the server's own fault is.
  std::shared_ptr<HttpExchange> watched(std::shared_ptr<HttpExchange> exchange);

 private:
  friend class WatchedExchange;
  void request(const HttpRequest& request, int status, size_t bytes, double seconds);
  void line(const std::string& text);

  const Form form_;
  const Write write_;
  std::mutex mutex_;
};

Journal::Form journal_form(const std::string& name);  // "off", "text", "json"; throws Error(kUsage)

// The exchange with more headers in its answer.
std::shared_ptr<HttpExchange> with_headers(std::shared_ptr<HttpExchange> exchange, HttpHeaders headers);

}  // namespace sumi::app
