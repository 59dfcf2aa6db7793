// One HTTP request from the bytes of a connection, without sockets. Beast is in http_parser.cc alone.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "app/server/http.h"

namespace sumi::app {

// Within the limits, which must outlive it.
class RequestParser {
 public:
  explicit RequestParser(const HttpLimits& limits);  // which must outlive it
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  // Takes what it can of the request and returns how many bytes that is. Those after the request are left.
  size_t take(std::string_view bytes);

  bool is_header_done() const;
  bool is_done() const;
  int status() const;  // of the refusal; 0: nothing is wrong so far
  std::string_view message() const;
  bool expects_continue() const;
  bool is_http10() const;
  bool keep_alive() const;
  HttpRequest& request();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sumi::app
