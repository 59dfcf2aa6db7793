// Requests as they are read and refused.
#include "tests/support/http_fixture.h"

namespace sumi::app {
namespace {

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

}  // namespace
}  // namespace sumi::app
