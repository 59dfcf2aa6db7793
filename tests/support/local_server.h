// A web server on 127.0.0.1 for one test, one connection at a time: it sends the bytes that the test's handler returns.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/loopback.h"

namespace sumi::test {

struct ServerRequest {
  std::string target;  // path and query
  std::string head;    // all lines, as received
  // The value of a header line, "" if there is none.
  std::string header(const std::string& name) const {
    const size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const size_t begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

struct ServerReply {
  std::string bytes;  // status line, headers, body
  bool hold = false;  // keep the connection open until the client or the server closes it
};

// A complete answer with Content-Length.
inline ServerReply reply(int status, const std::string& body, const std::string& more_headers = "") {
  return {"HTTP/1.1 " + std::to_string(status) + " x\r\nConnection: close\r\nContent-Length: " +
          std::to_string(body.size()) + "\r\n" + more_headers + "\r\n" + body};
}

// `content` as the request wants it: 206 for a range, 416 past the end.
inline ServerReply reply_with_range(const ServerRequest& request, const std::string& content) {
  const std::string range = request.header("Range");
  if (range.empty()) return reply(200, content);
  const size_t begin = std::stoul(range.substr(6));
  if (begin >= content.size()) return reply(416, "");
  return reply(206, content.substr(begin),
               "Content-Range: bytes " + std::to_string(begin) + "-" + std::to_string(content.size() - 1) + "/" +
                   std::to_string(content.size()) + "\r\n");
}

class LocalServer {
 public:
  using Handler = std::function<ServerReply(const ServerRequest&)>;

  explicit LocalServer(Handler handler) : handler_(std::move(handler)), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 16) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("cannot listen on 127.0.0.1");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~LocalServer() {
    stopping_ = true;
    thread_.join();
    close(listener_);
  }
  LocalServer(const LocalServer&) = delete;
  LocalServer& operator=(const LocalServer&) = delete;

  int port() const { return port_; }
  std::string url(const std::string& host = "127.0.0.1") const {
    return "http://" + host + ":" + std::to_string(port_);
  }
  std::vector<ServerRequest> requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  static bool readable(int descriptor) {
    pollfd entry{descriptor, POLLIN, 0};
    return poll(&entry, 1, 10) > 0;
  }

  void serve() {
    while (!stopping_) {
      if (!readable(listener_)) continue;
      const int client = accept(listener_, nullptr, nullptr);
      if (client >= 0) answer(client);
      close(client);
    }
  }

  void answer(int client) {
    ServerRequest request;
    char buffer[4096];
    while (request.head.find("\r\n\r\n") == std::string::npos && !stopping_) {
      if (!readable(client)) continue;
      const ssize_t count = recv(client, buffer, sizeof buffer, 0);
      if (count <= 0) return;
      request.head.append(buffer, static_cast<size_t>(count));
    }
    const size_t begin = request.head.find(' ') + 1;
    request.target = request.head.substr(begin, request.head.find(' ', begin) - begin);
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    const ServerReply answer = handler_(request);
    for (size_t sent = 0; sent < answer.bytes.size();) {
      const ssize_t count = send(client, answer.bytes.data() + sent, answer.bytes.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) return;
      sent += static_cast<size_t>(count);
    }
    while (answer.hold && !stopping_) {
      if (readable(client) && recv(client, buffer, sizeof buffer, 0) <= 0) return;
    }
    shutdown(client, SHUT_WR);
  }

  Handler handler_;
  int listener_;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<ServerRequest> requests_;
  std::thread thread_;
};

}  // namespace sumi::test
