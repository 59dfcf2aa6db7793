// A running server and a client that sends what a test says.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <future>
#include <mutex>
#include <optional>
#include <thread>

#include "app/server/http.h"
#include "base/check.h"
#include "tests/support/loopback.h"

namespace sumi::app {

using std::chrono::milliseconds;

inline constexpr milliseconds kShort{200};
inline constexpr milliseconds kLonger{1000};  // where the test must do something within it
inline constexpr int kGuardSeconds = 120;     // a test that would hang fails instead

struct ClientReply {
  int status = 0;  // 0: the connection ended before a whole reply
  std::string head, body;
  bool whole = false;
  std::string header(const std::string& name) const {
    const size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const size_t begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

// A client that sends what a test says, right or wrong.
class Client {
 public:
  // `receive_bytes`: of the system's buffer, which makes it small; 0: as usual.
  explicit Client(uint16_t port, int receive_bytes = 0) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval guard{.tv_sec = kGuardSeconds, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof(guard));
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (receive_bytes > 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    const sockaddr_in address = test::loopback(port);
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  ~Client() { close(); }
  Client(Client&& other) noexcept : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  // Closes with a reset.
  void reset() {
    const linger option{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &option, sizeof(option));
    close();
  }
  void half_close() const { shutdown(fd_, SHUT_WR); }

  // false: the server has closed the connection.
  bool send(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t count = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (count < 0) return false;
      text.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }
  // Byte by byte, each a packet of its own.
  void dribble(std::string_view text) const {
    for (const char c : text) send({&c, 1});
  }

  // Reads until `buffer_` contains `end`, and takes it with all before; nothing if the connection ends.
  std::optional<std::string> read_until(std::string_view end) {
    size_t at;
    while ((at = buffer_.find(end)) == std::string::npos)
      if (!fill()) return {};
    return take(at + end.size());
  }
  // `head_only`: the answer to HEAD.
  ClientReply read_reply(bool head_only = false) {
    ClientReply reply;
    const auto head = read_until("\r\n\r\n");
    if (!head) return reply;
    reply.head = *head;
    reply.status = std::stoi(head->substr(9, 3));
    reply.whole = true;
    if (head_only || reply.status == 100 || reply.status == 204 || reply.status == 304) return reply;
    if (reply.header("Transfer-Encoding") == "chunked") {
      reply.whole = read_chunks(reply.body);
    } else if (const std::string length = reply.header("Content-Length"); !length.empty()) {
      const size_t size = std::stoul(length);
      while (buffer_.size() < size && fill()) {
      }
      reply.whole = buffer_.size() >= size;
      reply.body = take(std::min(size, buffer_.size()));
    } else {
      reply.body = read_all();
    }
    return reply;
  }
  // What comes until the server closes.
  std::string read_all() {
    while (fill()) {
    }
    return take(buffer_.size());
  }
  // false: the connection has ended.
  bool read_some() { return fill(); }
  // Waits for the end of the connection; false: something came before.
  bool is_closed() { return buffer_.empty() && !fill(); }
  // One chunk; "" for the last, nothing if the connection ends.
  std::optional<std::string> read_chunk() {
    const auto line = read_until("\r\n");
    if (!line) return {};
    const size_t size = std::stoul(*line, nullptr, 16);
    while (buffer_.size() < size + 2)
      if (!fill()) return {};
    const std::string chunk = take(size + 2);
    EXPECT_TRUE(chunk.ends_with("\r\n"));
    return chunk.substr(0, size);
  }

 private:
  bool read_chunks(std::string& body) {
    for (;;) {
      const auto chunk = read_chunk();
      if (!chunk || chunk->empty()) return chunk.has_value();
      body += *chunk;
    }
  }
  bool fill() {
    char bytes[4096];
    const ssize_t count = recv(fd_, bytes, sizeof(bytes), 0);
    EXPECT_FALSE(count < 0 && errno == EAGAIN) << "nothing came";
    if (count <= 0) return false;
    buffer_.append(bytes, static_cast<size_t>(count));
    return true;
  }
  std::string take(size_t size) {
    std::string result = buffer_.substr(0, size);
    buffer_.substr(size).swap(buffer_);  // gives memory back: one test measures it
    return result;
  }

  int fd_;
  std::string buffer_;
};

// Values that one thread gives to another.
template <class T> class Channel {
 public:
  void put(T value) {
    const std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_all();
  }
  T get() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(kGuardSeconds), [&] { return !values_.empty(); }))
      throw std::runtime_error("nothing was put");
    T value = std::move(values_.front());
    values_.pop_front();
    return value;
  }
  size_t size() {
    const std::lock_guard lock(mutex_);
    return values_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> values_;
};

inline std::string echo(const HttpRequest& request) {
  std::string text = request.method + " " + request.path + "\n";
  for (const auto& [name, value] : request.query) text += "?" + name + "=" + value + "\n";
  for (const auto& [name, value] : request.headers) text += name + ": " + value + "\n";
  return text + "peer: " + request.peer + "\n\n" + request.body;
}

// A server on a free port. "/hold…" puts the exchange into `held`, "/throw" throws, all else is echoed.
class HttpTest : public testing::Test {
 protected:
  using Held = std::shared_ptr<HttpExchange>;

  void start(const HttpLimits& limits = {}, const std::string& address = "127.0.0.1") {
    server_ = std::make_unique<HttpServer>(HttpOptions{.address = address, .limits = limits}, [this](Held exchange) {
      const std::string& path = exchange->request().path;
      if (path.starts_with("/hold")) return held_.put(std::move(exchange));
      if (path == "/throw") throw std::runtime_error("the test throws");
      if (path != "/drop") exchange->reply({.type = "text/plain", .body = echo(exchange->request())});
    });
    thread_ = std::thread([this] { server_->run(); });
  }
  void stop() {
    if (server_) server_->stop();
    if (thread_.joinable()) thread_.join();
  }
  void TearDown() override { stop(); }

  Client connect(int receive_bytes = 0) const { return Client(server_->port(), receive_bytes); }
  // The server's word on one connection's bytes.
  ClientReply ask(std::string_view bytes) const {
    Client client = connect();
    client.send(bytes);
    return client.read_reply();
  }
  // That the bytes are refused with `status`, in the form of this layer, and the connection ends.
  void expect_refused(std::string_view bytes, int status) const {
    Client client = connect();
    client.send(bytes);
    expect_refusal(client, status, std::string(bytes.substr(0, 200)));
  }
  static void expect_refusal(Client& client, int status, const std::string& what = "") {
    const ClientReply reply = client.read_reply();
    EXPECT_EQ(reply.status, status) << what;
    EXPECT_EQ(reply.header("Connection"), "close") << what;
    EXPECT_EQ(reply.header("Content-Type"), "application/json") << what;
    EXPECT_EQ(reply.header("X-Content-Type-Options"), "nosniff") << what;
    EXPECT_TRUE(reply.body.starts_with(R"({"error": {"message": ")")) << reply.body;
    EXPECT_TRUE(reply.body.ends_with("\", \"code\": " + std::to_string(status) + "}}")) << reply.body;
    EXPECT_TRUE(client.is_closed()) << what;
  }
  // Until the server has done all that was asked of it before.
  void settle() const {
    std::promise<void> done;
    server_->after(milliseconds(0), [&] { done.set_value(); });
    done.get_future().wait();
  }
  void wait_for_connections(size_t count) const {
    while (server_->connections() != count) std::this_thread::sleep_for(milliseconds(1));
  }

  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
  Channel<Held> held_;
};

inline std::string get(const std::string& target, const std::string& headers = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n";
}
inline std::string post(const std::string& headers, const std::string& body) {
  return "POST / HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + body;
}

}  // namespace sumi::app
