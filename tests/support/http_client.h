// The simplest HTTP client: one connection a request, which the server closes after its answer.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/loopback.h"

namespace sumi::test {

struct HttpAnswer {
  int status = 0;    // 0: none came
  std::string head;  // all header lines
  std::string body;  // with its chunks joined

  // The value of a header, "" if there is none.
  std::string header(const std::string& name) const {
    const size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const size_t begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

class HttpConnection {
 public:
  explicit HttpConnection(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in address = loopback(port);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      ::close(socket_);
      throw std::runtime_error("cannot connect");
    }
  }
  ~HttpConnection() { ::close(socket_); }
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  void send(const std::string& bytes) const {
    for (size_t sent = 0; sent < bytes.size();) {
      const ssize_t count = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) return;  // closed: the answer tells
      sent += static_cast<size_t>(count);
    }
  }
  // What has come until `mark` is in it, or the server has closed the connection.
  std::string read_until(const std::string& mark) {
    while (mark.empty() || read_.find(mark) == std::string::npos) {
      char buffer[4096];
      const ssize_t count = ::recv(socket_, buffer, sizeof buffer, 0);
      if (count <= 0) break;
      read_.append(buffer, static_cast<size_t>(count));
    }
    return read_;
  }
  std::string read_all() { return read_until(""); }

 private:
  int socket_;
  std::string read_;
};

inline std::string without_chunks(const std::string& body) {
  std::string out;
  for (size_t at = 0; at < body.size();) {
    const size_t size = std::strtoul(body.c_str() + at, nullptr, 16), begin = body.find("\r\n", at);
    if (size == 0 || begin == std::string::npos) break;
    out += body.substr(begin + 2, size);
    at = begin + 2 + size + 2;
  }
  return out;
}

inline HttpAnswer answer_of(const std::string& bytes) {
  HttpAnswer answer;
  const size_t end = bytes.find("\r\n\r\n");
  if (bytes.size() < 12 || end == std::string::npos) return answer;
  answer.status = std::atoi(bytes.c_str() + 9);
  answer.head = bytes.substr(0, end + 2);
  answer.body = bytes.substr(end + 4);
  if (answer.header("Transfer-Encoding") == "chunked") answer.body = without_chunks(answer.body);
  return answer;
}

// `headers`: whole lines without their ends.
inline HttpAnswer ask(uint16_t port, const std::string& method, const std::string& target, const std::string& body = "",
                      const std::vector<std::string>& headers = {"Content-Type: application/json"}) {
  HttpConnection connection(port);
  std::string text = method + " " + target + " HTTP/1.1\r\nConnection: close\r\n";
  bool host = false;
  for (const std::string& line : headers) {
    text += line + "\r\n";
    host |= line.starts_with("Host:");
  }
  if (!host) text += "Host: 127.0.0.1\r\n";
  if (!body.empty() || method == "POST") text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  connection.send(text + "\r\n" + body);
  return answer_of(connection.read_all());
}

}  // namespace sumi::test
