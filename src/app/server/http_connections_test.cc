// Connections: their time limits, their ends, and how many there may be.
#include "tests/support/http_fixture.h"

namespace sumi::app {
namespace {

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

TEST_F(HttpTest, StopsAcceptingAndGivesItsAnswers) {
  start();
  Client idle = connect(), busy = connect();
  idle.send(get("/"));
  idle.read_reply();
  busy.send(get("/hold"));
  const Held exchange = held_.get();
  server_->stop_accepting();
  settle();
  const HttpServer other({.port = server_->port()}, [](const Held&) {});  // the port is free again
  EXPECT_TRUE(idle.is_closed());
  exchange->reply({.body = "late"});
  EXPECT_EQ(busy.read_reply().body, "late");
  EXPECT_TRUE(busy.is_closed());
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
