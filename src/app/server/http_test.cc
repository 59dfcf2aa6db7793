#include "app/server/http.h"

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

#include "base/check.h"

namespace sumi::app {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShort{200};
constexpr milliseconds kLonger{1000};  // where the test must do something within it
constexpr int kGuardSeconds = 120;     // a test that would hang fails instead

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
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
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

std::string echo(const HttpRequest& request) {
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

std::string get(const std::string& target, const std::string& headers = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n";
}
std::string post(const std::string& headers, const std::string& body) {
  return "POST / HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + body;
}

TEST_F(HttpTest, TheHandlerSeesTheRequest) {
  start();
  const ClientReply reply =
      ask("POST /a%20b?n=%c3%A9 HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nx-one:  2 \r\nAccept: t\r\nContent-Length: "
          "4\r\n\r\nbody");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body,
            "POST /a b\n?n=\xc3\xa9\nhost: x\nx-one: 1, 2\naccept: t\ncontent-length: 4\npeer: 127.0.0.1\n\nbody");
  EXPECT_EQ(reply.header("Content-Type"), "text/plain");
  EXPECT_EQ(reply.header("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(reply.header("Connection"), "");
}

TEST_F(HttpTest, AConnectionIsKept) {
  start();
  Client client = connect();
  for (int i = 0; i < 3; ++i) {
    client.send(get(fmt::format("/{}", i)));
    EXPECT_TRUE(client.read_reply().body.starts_with(fmt::format("GET /{}\n", i)));
  }
  EXPECT_EQ(server_->connections(), 1u);
  client.send(get("/", "Connection: close\r\n"));
  EXPECT_EQ(client.read_reply().header("Connection"), "close");
  EXPECT_TRUE(client.is_closed());
}

TEST_F(HttpTest, PipelinedRequestsAreAnsweredInOrder) {
  start();
  Client client = connect();
  std::string all;
  for (int i = 0; i < 500; ++i)
    all += "\r\nPOST /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
  std::thread sender([&] { client.send(all); });
  for (int i = 0; i < 500; ++i) {
    const ClientReply reply = client.read_reply();
    ASSERT_EQ(reply.status, 200);
    EXPECT_TRUE(reply.body.starts_with("POST /" + std::to_string(i) + "\n")) << reply.body;
  }
  sender.join();
}

TEST_F(HttpTest, WhatIsPipelinedWaitsForTheAnswer) {
  start({.header_bytes = 512});
  Client client = connect();
  std::string more;
  for (int i = 0; i < 1000; ++i) more += get("/b");
  client.send(get("/hold") + more);
  const Held exchange = held_.get();
  exchange->reply({.body = "a"});
  EXPECT_EQ(client.read_reply().body, "a");
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(client.read_reply().body.starts_with("GET /b\n"));
}

TEST_F(HttpTest, OldClientsGetACloseAfterTheAnswer) {
  start();
  Client client = connect();
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const ClientReply reply = client.read_reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Connection"), "close");
  EXPECT_TRUE(client.is_closed());
}

TEST_F(HttpTest, HeadHasTheLengthAndNoBody) {
  start();
  Client client = connect();
  client.send("HEAD /abc HTTP/1.1\r\nHost: x\r\n\r\n" + get("/next"));
  const ClientReply reply = client.read_reply(true);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Content-Length"),
            std::to_string(std::string("HEAD /abc\nhost: x\npeer: 127.0.0.1\n\n").size()));
  EXPECT_TRUE(client.read_reply().body.starts_with("GET /next\n")) << "nothing lies between";
  Client refused = connect();
  refused.send("HEAD /.. HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(refused.read_reply(true).status, 400);
  EXPECT_TRUE(refused.is_closed());
}

TEST_F(HttpTest, BodiesMayBeChunkedAndComeByteByByte) {
  start();
  const std::string head = "Transfer-Encoding: chunked\r\n";
  const std::string body = "3;name=\"value\"\r\nabc\r\n1\r\nd\r\n0\r\nContent-Type: none\r\nX-Trailer: 1\r\n\r\n";
  for (const bool slow : {false, true}) {
    Client client = connect();
    const std::string bytes = post(head, body) + post(head, "0\r\n\r\n") + get("/next");
    slow ? client.dribble(bytes) : static_cast<void>(client.send(bytes));
    const ClientReply reply = client.read_reply();
    EXPECT_TRUE(reply.body.ends_with("\n\nabcd")) << reply.body;
    EXPECT_EQ(reply.body.find("trailer"), std::string::npos);
    EXPECT_TRUE(client.read_reply().body.ends_with("\n\n"));
    EXPECT_TRUE(client.read_reply().body.starts_with("GET /next\n"));
  }
}

// Beast's own assertions do not hold here: see http.cc.
TEST_F(HttpTest, TheLastChunkMayComeByteByByte) {
  start();
  Client client = connect();
  client.send(post("Transfer-Encoding: chunked\r\n", ""));
  for (const char c : std::string_view("0\r\n\r\n")) {
    settle();  // so that each byte is parsed alone
    client.send({&c, 1});
  }
  EXPECT_EQ(client.read_reply().status, 200);
}

TEST_F(HttpTest, LargeBodiesGoBothWays) {
  start();
  std::string body(5 << 20, 'x');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 31 % 251);
  Client client = connect();
  std::thread sender([&] { client.send(post("Content-Length: " + std::to_string(body.size()) + "\r\n", body)); });
  const ClientReply reply = client.read_reply();
  sender.join();
  EXPECT_TRUE(reply.whole);
  EXPECT_TRUE(reply.body.ends_with(body));
}

TEST_F(HttpTest, AClientThatAsksIsToldToGoOn) {
  start({.body_bytes = 100});
  Client client = connect();
  client.send(post("Content-Length: 4\r\nExpect: 100-Continue\r\n", ""));
  EXPECT_EQ(client.read_reply().head, "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("body");
  EXPECT_TRUE(client.read_reply().body.ends_with("\n\nbody"));
  client.send(post("Content-Length: 4\r\nExpect: 100-continue\r\n", "body"));
  EXPECT_EQ(client.read_reply().status, 200) << "the body came unasked";
  client.send(post("Content-Length: 101\r\nExpect: 100-continue\r\n", ""));
  expect_refusal(client, 413);
}

TEST_F(HttpTest, ManyThreadsAnswerManyClients) {
  start();
  std::vector<std::thread> clients, answerers;
  clients.reserve(8);
  answerers.reserve(4);
  std::atomic<int> right{0};
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      for (int j = 0; j < 50; ++j) {
        Client client = connect();
        const std::string name = std::to_string(i * 100 + j);
        client.send(get("/hold/" + name));
        if (client.read_reply().body == "/hold/" + name) ++right;
      }
    });
  }
  for (int i = 0; i < 4; ++i) {
    answerers.emplace_back([&] {
      for (int j = 0; j < 100; ++j) {
        const Held exchange = held_.get();
        exchange->on_gone([] {});
        exchange->reply({.body = exchange->request().path});
      }
    });
  }
  for (auto* threads : {&clients, &answerers})
    for (std::thread& thread : *threads) thread.join();
  EXPECT_EQ(right, 400);
}

TEST_F(HttpTest, BrokenRequestsAreRefused) {
  start();
  for (const std::string& bytes : {
           std::string("nonsense\r\n\r\n"),
           std::string("GET /\r\n\r\n"),
           std::string("GET  / HTTP/1.1\r\nHost: x\r\n\r\n"),
           std::string("GET / HTTP/1.1 \r\nHost: x\r\n\r\n"),
           std::string("GET / b HTTP/1.1\r\nHost: x\r\n\r\n"),
           std::string("G\x01T / HTTP/1.1\r\nHost: x\r\n\r\n"),
           std::string("GET / HTTX/1.1\r\nHost: x\r\n\r\n"),
           std::string("\x16\x03\x01\x02\x01\x01\xfc", 7) + "\r\n\r\n",  // TLS
           std::string("GET / HTTP/1.1\r\n\r\n"),
           get("/", "No colon\r\n"),
           get("/", "Na me: 1\r\n"),
           get("/", "Name : 1\r\n"),
           get("/", ": 1\r\n"),
           get("/", "N\x7f: 1\r\n"),
           get("/", "Name: a\x01z\r\n"),
           get("/", "Name: a\rz\r\n"),
           get("/", "Name: a\nz: 1\r\n"),
           get("/", std::string("Name: a\0z\r\n", 11)),
           get("/", "Host: y\r\n"),
           get("/", "Host: x\r\n"),
           post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
           post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"),
           post("Transfer-Encoding: gzip\r\nContent-Length: 4\r\n", "0\r\n\r\n"),
           post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
           post("Content-Length: 4\r\nContent-Length: 5\r\n", "body"),
           post("Content-Length: 4\r\nContent-Length: 4\r\n", "body"),
           post("Content-Length: 4, 5\r\n", "body"),
           post("Content-Length: -1\r\n", "body"),
           post("Content-Length: +4\r\n", "body"),
           post("Content-Length: 0x4\r\n", "body"),
           post("Content-Length: 99999999999999999999\r\n", "body"),
           post("Transfer-Encoding: chunked\r\n", "-2\r\nab\r\n0\r\n\r\n"),
           post("Transfer-Encoding: chunked\r\n", "\r\nab\r\n0\r\n\r\n"),
           post("Transfer-Encoding: chunked\r\n", "2\r\nabc\r\n0\r\n\r\n"),
           post("Transfer-Encoding: chunked\r\n", "11111111111111111\r\n"),
           post("Transfer-Encoding: chunked\r\n", "2 x\r\nab\r\n0\r\n\r\n"),
           post("Transfer-Encoding: chunked\r\n", "1;" + std::string(20'000, 'a')),
           std::string("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
       }) {
    expect_refused(bytes, 400);
  }
  EXPECT_EQ(ask(get("/")).status, 200);
}

TEST_F(HttpTest, WrongTargetsAreRefused) {
  start();
  for (const char* target : {"http://x/", "*",           "x",      "x:80",  "/%",    "/%4",    "/%zz",    "/%00",
                             "/a%00b",    "/a\\b",       "/a%5cb", "/..",   "/../",  "/a/..",  "/a/../b", "/%2e%2e/a",
                             "/.%2E",     "/a%2f..%2fb", "/a#b",   "/?a=%", "/?%00", "/?a=b%0"}) {
    expect_refused(get(target), 400);
  }
}

TEST_F(HttpTest, WhatIsTooLongIsRefused) {
  start({.body_bytes = 1000});
  const std::string most(8 << 10, 'a');
  EXPECT_EQ(ask(get("/" + most.substr(1))).status, 200);
  expect_refused(get("/" + most), 414);
  expect_refused("GET /" + most + std::string(200, 'a'), 414);  // the line has no end yet

  std::string headers;
  for (int i = 0; i < 99; ++i) headers += fmt::format("N{}: 1\r\n", i);
  EXPECT_EQ(ask(get("/", headers)).status, 200) << "100 with Host";
  expect_refused(get("/", headers + "One: 1\r\n"), 431);
  expect_refused(get("/", "Long: " + most + most + "\r\n"), 431);
  expect_refused("GET / HTTP/1.1\r\nHost: x\r\nLong: " + most + most, 431);

  const std::string body(1000, 'b');
  EXPECT_EQ(ask(post("Content-Length: 1000\r\n", body)).status, 200);
  expect_refused(post("Content-Length: 1001\r\n", ""), 413);
  expect_refused(post("Content-Length: 18446744073709551615\r\n", ""), 413);
  expect_refused(post("Transfer-Encoding: chunked\r\n", "3e8\r\n" + body + "\r\n1\r\n"), 413);
  expect_refused(post("Transfer-Encoding: chunked\r\n", "FFFFFFFFFFFFFFFF\r\n"), 413);
  EXPECT_TRUE(ask(post("Transfer-Encoding: chunked\r\n", "3e8\r\n" + body + "\r\n0\r\n\r\n")).body.ends_with(body));
}

// A head of which the first line came in two packets is no line that is too long.
TEST_F(HttpTest, ALongHeadMayComeSlowly) {
  start();
  Client client = connect();
  client.send("GE");
  settle();
  client.send("T / HTTP/1.1\r\nHost: x\r\nLong: " + std::string(12'000, 'a'));
  settle();
  client.send("\r\n\r\n");
  EXPECT_EQ(client.read_reply().status, 200);
}

TEST_F(HttpTest, WhatIsNotSpokenHereIsRefused) {
  start();
  expect_refused(post("Content-Encoding: gzip\r\nContent-Length: 4\r\n", ""), 415);
  expect_refused(post("Content-Encoding: identity, br\r\nContent-Length: 4\r\n", ""), 415);
  EXPECT_EQ(ask(post("Content-Encoding: Identity\r\nContent-Length: 4\r\n", "body")).status, 200);
  expect_refused(post("Transfer-Encoding: gzip\r\n", ""), 501);
  expect_refused(post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501);
  expect_refused(post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 501);
  expect_refused("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505);
  expect_refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
  expect_refused("GET / HTTP/0.9\r\n\r\n", 505);
}

// The refusal must come through though the client does not read before it has sent all.
TEST_F(HttpTest, AClientThatStillSendsReadsTheRefusal) {
  start({.body_bytes = 1000});
  Client client = connect();
  client.send(post("Content-Length: 3000000\r\n", std::string(3'000'000, 'b')));
  expect_refusal(client, 413);
}

TEST_F(HttpTest, AHeadThatIsNotWholeInTimeIsRefused) {
  start({.head = kShort});
  Client silent = connect();  // not a byte: it is idle, not slow
  Client client = connect();
  client.send("GET / HT");
  expect_refusal(client, 408);
  silent.send(get("/"));
  EXPECT_EQ(silent.read_reply().status, 200);
}

TEST_F(HttpTest, SlowClientsDoNotHinderOthers) {
  start({.head = milliseconds(1500)});
  std::vector<Client> slow;
  slow.reserve(200);
  for (int i = 0; i < 200; ++i) slow.push_back(connect());
  std::atomic<bool> over{false};
  std::thread dribbler([&] {
    while (!over) {
      for (const Client& client : slow) client.send("G");
      std::this_thread::sleep_for(milliseconds(50));
    }
  });
  for (int i = 0; i < 300; ++i) EXPECT_EQ(ask(get("/")).status, 200);
  for (Client& client : slow) EXPECT_EQ(client.read_reply().status, 408) << "its bytes bought it no time";
  over = true;
  dribbler.join();
}

TEST_F(HttpTest, ABodyThatIsNotWholeInTimeIsRefused) {
  start({.body = kShort});
  Client client = connect();
  client.send(post("Content-Length: 4\r\n", "bo"));
  expect_refusal(client, 408);

  Client endless = connect();
  endless.send(post("Transfer-Encoding: chunked\r\n", ""));
  std::thread sender([&] {
    while (endless.send("1\r\nx\r\n")) std::this_thread::sleep_for(milliseconds(5));
  });
  EXPECT_EQ(endless.read_reply().status, 408);
  sender.join();  // the server does not take chunks for ever
}

TEST_F(HttpTest, AnIdleConnectionIsClosedSilently) {
  start({.idle = kLonger});
  Client fresh = connect(), used = connect(), blank = connect();
  used.send(get("/"));
  EXPECT_EQ(used.read_reply().status, 200);
  blank.send("\r\n\r\n");
  for (Client* client : {&fresh, &used, &blank}) EXPECT_TRUE(client->is_closed());
  wait_for_connections(0);
}

TEST_F(HttpTest, AClientWhoseAnswerTakesLongIsNotIdle) {
  start({.head = kShort, .body = kShort, .idle = kLonger, .stuck = kShort});
  Client client = connect();
  client.send(get("/hold"));
  const Held exchange = held_.get();
  std::promise<void> later;
  server_->after(2 * kLonger, [&] { later.set_value(); });
  later.get_future().wait();
  exchange->reply({.body = "late"});
  EXPECT_EQ(client.read_reply().body, "late");
}

TEST_F(HttpTest, AClientThatDoesNotReadIsDropped) {
  start({.stuck = kShort});
  Client client = connect(4096);
  client.send(get("/hold"));
  const Held exchange = held_.get();
  Channel<int> gone;
  exchange->on_gone([&] { gone.put(1); });
  exchange->reply({.body = std::string(50 << 20, 'x')});
  gone.get();
  wait_for_connections(0);
}

// One that takes something now and then is not dropped, though the whole takes longer than `stuck`. On a busy machine
// this test's own pauses can be too long: then it tries again.
TEST_F(HttpTest, AClientThatReadsSlowlyIsNotDropped) {
  start({.stuck = kShort});
  bool whole = false;
  for (int i = 0; i < 20 && !whole; ++i) {
    Client client = connect(64 << 10);
    client.send(get("/hold"));
    held_.get()->reply({.body = std::string(20 << 20, 'x')});
    const auto end = std::chrono::steady_clock::now() + 3 * kShort;
    while (std::chrono::steady_clock::now() < end && client.read_some()) std::this_thread::sleep_for(milliseconds(1));
    whole = client.read_reply().whole;
  }
  EXPECT_TRUE(whole);
}

TEST_F(HttpTest, HeadersThatMustNotGoOutBecomeAnError) {
  start();
  Client client = connect();
  const std::vector<HttpReply> wrong = {
      {.headers = {{"Name", "a\r\nSet-Cookie: b"}}},
      {.headers = {{"Name", "a\nb"}}},
      {.headers = {{"Name", std::string("a\0b", 3)}}},
      {.headers = {{"Name\r\nOther", "a"}}},
      {.headers = {{"", "a"}}},
      {.headers = {{"content-length", "5"}}},
      {.headers = {{"Transfer-Encoding", "chunked"}}},
      {.type = "text/plain\r\nX: y"},
      {.status = 100},
      {.status = 1000},
  };
  for (const bool stream : {false, true}) {
    for (const HttpReply& reply : wrong) {
      client.send(get("/hold"));
      const Held exchange = held_.get();
      stream ? exchange->begin(reply) : exchange->reply(reply);
      exchange->write("more");
      exchange->end();
      const ClientReply got = client.read_reply();
      EXPECT_EQ(got.status, 500);
      EXPECT_EQ(got.head.find("Cookie"), std::string::npos);
      settle();
      EXPECT_EQ(exchange->waiting(), 0u);
    }
  }
}

TEST_F(HttpTest, GoodHeadersGoOut) {
  start();
  Client client = connect();
  client.send(get("/hold"));
  held_.get()->reply({.status = 303, .headers = {{"Location", "/a"}, {"X-Text", "\xc3\xa9\tx"}}});
  const ClientReply reply = client.read_reply();
  EXPECT_TRUE(reply.head.starts_with("HTTP/1.1 303 See Other\r\n"));
  EXPECT_EQ(reply.header("Location"), "/a");
  EXPECT_EQ(reply.header("X-Text"), "\xc3\xa9\tx");
  EXPECT_EQ(reply.header("Content-Length"), "0");
}

TEST_F(HttpTest, NoContentHasNoBody) {
  start();
  Client client = connect();
  for (const int status : {204, 304}) {
    client.send(get("/hold"));
    held_.get()->reply({.status = status, .body = "no"});
    const ClientReply reply = client.read_reply();
    EXPECT_EQ(reply.status, status);
    EXPECT_EQ(reply.header("Content-Length"), "");
  }
  client.send(get("/"));
  EXPECT_EQ(client.read_reply().status, 200);
}

TEST_F(HttpTest, OnlyTheFirstAnswerCounts) {
  start();
  Client client = connect();
  client.send(get("/hold"));
  const Held exchange = held_.get();
  exchange->write("before begin");
  exchange->end();
  EXPECT_EQ(exchange->request().path, "/hold");
  settle();
  EXPECT_EQ(exchange->waiting(), 0u);
  // The end() above ended nothing.
  exchange->reply({.body = "first"});
  exchange->reply({.body = "second"});
  exchange->begin({});
  exchange->write("third");
  exchange->end();
  EXPECT_EQ(client.read_reply().body, "first");
  client.send(get("/next"));
  EXPECT_TRUE(client.read_reply().body.starts_with("GET /next\n"));
}

TEST_F(HttpTest, HandlersThatFailAreAnsweredFor) {
  start();
  Client client = connect();
  for (const char* target : {"/throw", "/drop", "/hold"}) {
    client.send(get(target));
    if (target == std::string("/hold")) held_.get()->end();  // without a begin()
    EXPECT_EQ(client.read_reply().status, 500) << target;
  }
}

TEST_F(HttpTest, AStreamThatNobodyEndsIsCutOff) {
  start();
  Client client = connect();
  client.send(get("/hold"));
  {
    const Held exchange = held_.get();
    exchange->begin({.body = "a"});
  }
  const ClientReply reply = client.read_reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_FALSE(reply.whole);
}

TEST_F(HttpTest, PiecesGoOutOneByOne) {
  start();
  Client client = connect();
  client.send(get("/hold"));
  const Held exchange = held_.get();
  exchange->begin({.type = "text/event-stream", .body = "first"});
  const auto head = client.read_until("\r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_NE(head->find("\r\nTransfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_EQ(head->find("Content-Length"), std::string::npos);
  EXPECT_EQ(client.read_chunk(), "first");
  for (int i = 0; i < 20; ++i) {
    exchange->write("");
    exchange->write("event " + std::to_string(i));
    EXPECT_EQ(client.read_chunk(), "event " + std::to_string(i)) << "it came before the next was written";
  }
  exchange->end();
  EXPECT_EQ(client.read_chunk(), "");
  client.send(get("/next"));
  EXPECT_TRUE(client.read_reply().body.starts_with("GET /next\n"));
  EXPECT_EQ(exchange->waiting(), 0u);
}

TEST_F(HttpTest, AStreamIsWrittenByAnyThread) {
  start();
  Client client = connect();
  client.send(get("/hold"));
  const Held exchange = held_.get();
  exchange->begin({});
  std::thread writer([&] {
    for (int i = 0; i < 2000; ++i) exchange->write(std::to_string(i) + " ");
    exchange->end();
  });
  std::string expected;
  for (int i = 0; i < 2000; ++i) expected += std::to_string(i) + " ";
  const ClientReply reply = client.read_reply();
  writer.join();
  EXPECT_TRUE(reply.whole);
  EXPECT_EQ(reply.body, expected);
}

TEST_F(HttpTest, OldClientsGetAStreamWithoutChunks) {
  start();
  Client client = connect();
  client.send("GET /hold HTTP/1.0\r\n\r\n");
  const Held exchange = held_.get();
  exchange->begin({.body = "a"});
  exchange->write("b");
  exchange->end();
  const ClientReply reply = client.read_reply();
  EXPECT_EQ(reply.header("Connection"), "close");
  EXPECT_EQ(reply.header("Transfer-Encoding"), "");
  EXPECT_EQ(reply.body, "ab");
}

TEST_F(HttpTest, AStreamForHeadIsItsHead) {
  start();
  Client client = connect();
  client.send("HEAD /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  const Held exchange = held_.get();
  exchange->begin({.body = "a"});
  exchange->write("b");
  exchange->end();
  EXPECT_EQ(client.read_reply(true).status, 200);
  client.send(get("/next"));
  EXPECT_TRUE(client.read_reply().body.starts_with("GET /next\n"));
  EXPECT_EQ(exchange->waiting(), 0u);
}

TEST_F(HttpTest, WaitingCountsWhatIsNotTaken) {
  start();
  Client client = connect(4096);
  client.send(get("/hold"));
  const Held exchange = held_.get();
  exchange->begin({});
  const std::string piece(1 << 20, 'x');
  for (int i = 0; i < 32; ++i) exchange->write(piece);
  settle();
  const size_t waiting = exchange->waiting();
  EXPECT_GT(waiting, 8u << 20) << "the system's buffers hold the rest";
  EXPECT_LE(waiting, 32u << 20);
  client.read_until("\r\n\r\n");
  for (int i = 0; i < 32; ++i) EXPECT_EQ(client.read_chunk()->size(), piece.size());
  settle();
  EXPECT_EQ(exchange->waiting(), 0u);
  exchange->end();
  EXPECT_EQ(client.read_chunk(), "");
}

TEST_F(HttpTest, AClientThatGoesIsNoticed) {
  start();
  for (const bool reset : {false, true}) {
    for (const bool begun : {false, true}) {
      Client client = connect();
      client.send(get("/hold"));
      const Held exchange = held_.get();
      if (begun) exchange->begin({.body = "a"});
      Channel<std::thread::id> gone;
      exchange->on_gone([&] { gone.put(std::this_thread::get_id()); });
      settle();
      reset ? client.reset() : client.close();
      EXPECT_EQ(gone.get(), thread_.get_id());
      exchange->reply({});
      exchange->write("more");
      exchange->end();
      settle();
      EXPECT_EQ(exchange->waiting(), 0u);
      EXPECT_EQ(gone.size(), 0u) << "called once";
      exchange->on_gone([&] { gone.put({}); });
      gone.get();  // at once
    }
  }
  wait_for_connections(0);
}

TEST_F(HttpTest, AClientThatClosesItsHalfHasGone) {
  start();
  Client client = connect();
  client.send(get("/hold") + get("/next"));
  client.half_close();
  Channel<int> gone;
  held_.get()->on_gone([&] { gone.put(1); });
  gone.get();
  EXPECT_TRUE(client.is_closed());
}

TEST_F(HttpTest, AClientThatGoesAfterTheAnswerIsNotMissed) {
  start();
  std::atomic<int> gone{0};
  Client client = connect();
  client.send(get("/hold"));
  const Held exchange = held_.get();
  exchange->on_gone([&] { ++gone; });
  exchange->reply({.body = "a"});
  EXPECT_EQ(client.read_reply().body, "a");
  settle();
  exchange->on_gone([&] { ++gone; });
  client.close();
  wait_for_connections(0);
  settle();
  EXPECT_EQ(gone, 0);
}

TEST_F(HttpTest, ClientsThatGoInTheMidstOfARequestLeaveNothing) {
  start();
  for (const std::string& bytes : {std::string(), std::string("GET /"), post("Content-Length: 10\r\n", "abc"),
                                   post("Transfer-Encoding: chunked\r\n", "5\r\nab")}) {
    for (const bool reset : {false, true}) {
      Client client = connect();
      client.send(bytes);
      wait_for_connections(1);
      reset ? client.reset() : client.close();
      wait_for_connections(0);
    }
  }
}

TEST_F(HttpTest, StopsAcceptingAndGoesOn) {
  start();
  Client client = connect();
  client.send(get("/"));
  client.read_reply();
  server_->stop_accepting();
  settle();
  const HttpServer other({.port = server_->port()}, [](const Held&) {});  // the port is free again
  client.send(get("/"));
  EXPECT_EQ(client.read_reply().status, 200);
}

TEST_F(HttpTest, StopEndsEverything) {
  start();
  Client idle = connect(), busy = connect();
  busy.send(get("/hold"));
  const Held exchange = held_.get();
  Channel<int> gone;
  exchange->on_gone([&] { gone.put(1); });
  settle();
  stop();
  gone.get();
  EXPECT_TRUE(idle.is_closed());
  EXPECT_TRUE(busy.is_closed());
  server_->stop();  // again: nothing
}

TEST_F(HttpTest, AnExchangeMayOutliveTheServer) {
  start();
  Client client = connect();
  client.send(get("/hold"));
  const Held exchange = held_.get();
  exchange->on_gone([exchange] {});  // a cycle that the server must break
  exchange->write("a");
  stop();
  server_.reset();
  exchange->reply({});
  exchange->begin({});
  exchange->write("b");
  exchange->end();
  exchange->on_gone([] {});
  EXPECT_EQ(exchange->waiting(), 0u);
}

TEST(HttpServerTest, MayBeStoppedBeforeItRunsOrNeverRun) {
  {
    const HttpServer never({}, [](const auto&) {});
  }
  HttpServer server({}, [](const auto&) {});
  server.stop();
  server.run();
}

TEST_F(HttpTest, CallsLater) {
  start();
  Channel<int> order;
  server_->after(milliseconds(100), [&] { order.put(2); });
  server_->after(milliseconds(1), [&] {
    order.put(1);
    throw std::runtime_error("the server goes on");
  });
  EXPECT_EQ(order.get(), 1);
  EXPECT_EQ(order.get(), 2);
}

TEST_F(HttpTest, TooManyConnectionsAreClosed) {
  start({.connections = 2});
  Client first = connect(), second = connect();
  wait_for_connections(2);
  EXPECT_TRUE(connect().is_closed());
  first.close();
  wait_for_connections(1);
  EXPECT_EQ(ask(get("/")).status, 200);
}

std::string refused_address(const std::string& address, uint16_t port, ErrorKind kind) {
  try {
    const HttpServer server({.address = address, .port = port}, [](const auto&) {});
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  return "";
}

TEST_F(HttpTest, ListensWhereItIsTold) {
  start({}, "localhost");
  const std::string port = std::to_string(server_->port());
  EXPECT_EQ(ask(get("/")).status, 200);
  EXPECT_EQ(refused_address("127.0.0.1", server_->port(), ErrorKind::kUnavailable),
            "port " + port + " of 127.0.0.1 is taken; choose another with `port`");
  EXPECT_NE(refused_address("192.0.2.1", 0, ErrorKind::kUnavailable).find("192.0.2.1"), std::string::npos);
  EXPECT_NE(refused_address("example.org", 0, ErrorKind::kUsage).find("example.org"), std::string::npos);
  EXPECT_NE(refused_address("", 0, ErrorKind::kUsage), "");
}

TEST_F(HttpTest, ListensOnBothKindsOfAddress) {
  try {
    start({}, "::");
  } catch (const Error& error) {
    GTEST_SKIP() << "this machine has no IPv6: " << error.what();
  }
  EXPECT_TRUE(ask(get("/")).body.find("peer: 127.0.0.1\n") != std::string::npos);
  const HttpServer loopback({.address = "::1"}, [](const auto&) {});
  EXPECT_NE(loopback.port(), 0);
}

// Sets the soft limit on open files back at its end.
class FileLimit {
 public:
  FileLimit() { getrlimit(RLIMIT_NOFILE, &before_); }
  ~FileLimit() { setrlimit(RLIMIT_NOFILE, &before_); }
  bool set(rlim_t soft) const {
    const rlimit limit{.rlim_cur = soft, .rlim_max = before_.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
  }

 private:
  rlimit before_{};
};

TEST_F(HttpTest, WaitsForFileDescriptors) {
  start();
  Client before = connect();
  before.send(get("/"));
  EXPECT_EQ(before.read_reply().status, 200);
  {
    const FileLimit limit;
    const int next = dup(0);
    ::close(next);
    ASSERT_TRUE(limit.set(static_cast<rlim_t>(next) + 1));
    Client waiting = connect();  // takes the last one
    waiting.send(get("/waits"));
    std::promise<void> later;
    server_->after(milliseconds(300), [&] { later.set_value(); });
    later.get_future().wait();
    EXPECT_EQ(server_->connections(), 1u);
    before.send(get("/"));
    EXPECT_EQ(before.read_reply().status, 200) << "the others are served";
    before.close();  // its two descriptors
    EXPECT_TRUE(waiting.read_reply().body.starts_with("GET /waits\n"));
  }
}

size_t resident_bytes() {
  size_t total = 0, resident = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "r"); file != nullptr) {
    if (std::fscanf(file, "%zu %zu", &total, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

TEST_F(HttpTest, AThousandIdleConnectionsCostLittle) {
  constexpr size_t kCount = 1000;
  const FileLimit limit;
  if (!limit.set(2 * kCount + 200)) GTEST_SKIP() << "the system does not allow " << 2 * kCount + 200 << " open files";
  start();
  EXPECT_EQ(ask(get("/")).status, 200);
  wait_for_connections(0);
  std::vector<Client> clients;
  clients.reserve(kCount);
  const size_t before = resident_bytes();
  for (size_t i = 0; i < kCount; ++i) {
    clients.push_back(connect());
    // What a request needed must be given back.
    clients.back().send(post("Content-Length: 10000\r\n", std::string(10'000, 'x')));
    EXPECT_EQ(clients.back().read_reply().status, 200);
  }
  wait_for_connections(kCount);
  const size_t after = resident_bytes();
  RecordProperty("kib", std::to_string((after - std::min(before, after)) >> 10));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // these keep what is freed
  EXPECT_LE(after, before + (10u << 20));
#endif
  for (Client& client : clients) client.send(get("/again"));
  for (Client& client : clients) EXPECT_EQ(client.read_reply().status, 200);
}

}  // namespace
}  // namespace sumi::app
