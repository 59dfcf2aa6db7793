// Answers, whole and in pieces.
#include "tests/support/http_fixture.h"

namespace sumi::app {
namespace {

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

}  // namespace
}  // namespace sumi::app
