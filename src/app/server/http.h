// HTTP/1.1 for the server: one thread, many connections. Boost is in http.cc (sockets) and
// http_parser.cc alone.
//
// Requests that are broken, too long or too slow are answered here, with {"error": {"message", "code"}} and the end of
// the connection; the handler sees the others. Of a connection's requests one is answered at a time, in their order.
//
//   HttpServer server({.address = "127.0.0.1", .port = 7860}, [](std::shared_ptr<HttpExchange> exchange) {
//     exchange->reply({.body = R"({"status": "ok"})"});
//   });
//   server.run();  // until stop()
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sumi::app {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;   // "GET"
  std::string path;     // decoded, begins with '/', no part is "..", no NUL, no backslash
  HttpHeaders query;    // names and values, decoded ('+' is a space), in order
  HttpHeaders headers;  // names in lower case, each at most once: the values of repeated ones are joined by ", "
  std::string body;
  std::string peer;  // the client's address, "127.0.0.1"

  // nullptr: there is none.
  const std::string* header(std::string_view name) const;
  const std::string* parameter(std::string_view name) const;  // the first of that name
};

// One that must not be sent goes out as a 500 instead: with a status outside 200..599, a header that this layer writes
// itself (Content-Type, Content-Length, Connection, Transfer-Encoding, X-Content-Type-Options), a name that is no
// token, or a control character in a value.
struct HttpReply {
  int status = 200;
  std::string type = "application/json";
  HttpHeaders headers = {};  // beside those that this layer writes
  std::string body = {};     // not sent for HEAD, 204 and 304
};

// A request and the way to answer it. All functions may be called from any thread; after the client or the server has
// gone they do nothing. Destroyed without an answer, it is answered with a 500; in the midst of one, the connection
// ends without the mark of a whole answer.
//
// A client that closes its side of the connection has gone, even if it could still read: browsers and curl never close
// one half alone. This is noticed at once, unless the client has sent more than `header_bytes` of further requests;
// then only when something is written to it.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual const HttpRequest& request() const = 0;
  // The whole answer, once, and nothing else then.
  virtual void reply(HttpReply reply) = 0;
  // An answer in pieces: its head goes out now (a body in it is its first piece), chunked; each piece as it comes. An
  // HTTP/1.0 client gets the pieces as they are, and the end of the connection after them.
  virtual void begin(HttpReply head) = 0;
  virtual void write(std::string piece) = 0;
  virtual void end() = 0;
  // Bytes given to begin() and write() that the system has not taken for the client yet; 0 once the client has gone.
  virtual size_t waiting() const = 0;
  // Called once, on the server's thread, if the client goes (or stop() ends the connection) before the answer is
  // written whole; at once if it has gone. A second on_gone() replaces the first.
  virtual void on_gone(std::function<void()> call) = 0;
};

struct HttpLimits {
  size_t target_bytes = 8 << 10;                  // longer: 414
  size_t header_bytes = 16 << 10, headers = 100;  // of the head, with its first line; more: 431
  size_t body_bytes = 64 << 20;                   // more, also announced: 413
  size_t connections = 4096;                      // more are closed at once
  std::chrono::milliseconds head{10'000};         // in which a request's head must be whole, from its first byte: 408
  std::chrono::milliseconds body{60'000};         // and its body after that: 408
  std::chrono::milliseconds idle{120'000};        // a connection without a request is closed
  std::chrono::milliseconds stuck{30'000};        // a client that takes nothing of what is written is dropped
};

struct HttpOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;  // 0: any free one
  HttpLimits limits = {};
  // Looks at a request whose body is still to come, on the server's thread. What it gives is the answer, and the end of
  // the connection: the body is not read. Others come to the handler, once they are whole.
  std::function<std::optional<HttpReply>(const HttpRequest& head)> admit = {};
};

// Called on the server's thread; must not wait.
using HttpHandler = std::function<void(std::shared_ptr<HttpExchange>)>;

class HttpServer {
 public:
  // Listens on an IPv4 or IPv6 address or "localhost" (127.0.0.1); "::" takes IPv4 too. Throws Error(kUsage) for
  // something else, Error(kUnavailable) where the address or the port cannot be had, with what to do.
  HttpServer(const HttpOptions& options, HttpHandler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;
  size_t connections() const;  // open now
  // Serves until stop(), on the calling thread.
  void run();
  // Takes no more connections; those that are open end with their answers, idle ones at once. From any thread.
  void stop_accepting();
  // Closes everything; run() returns. For good. From any thread.
  void stop();
  // Runs `call` on the server's thread after that time. From any thread.
  void after(std::chrono::milliseconds time, std::function<void()> call);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "a%20b" → "a b"; false: a '%' without two hexadecimal digits, or a NUL in the result.
bool decode_percent(std::string_view text, std::string& out);

// The reason phrase of a status, "Not Found"; for one that has none here, "Status".
std::string_view reason_of(int status);

}  // namespace sumi::app
