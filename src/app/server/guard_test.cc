#include "app/server/guard.h"

#include <gtest/gtest.h>

#include "app/server/router.h"
#include "base/base64.h"
#include "base/check.h"

namespace sumi::app {
namespace {

int status(const Guard& guard, const HttpHeaders& headers, const std::string& path = "/v1/jobs") {
  const auto refusal = guard.refuse({.method = "GET", .path = path, .headers = headers});
  return refusal ? refusal->status : 200;
}

std::string basic(const std::string& credentials) {
  return "Basic " + base64_of(std::as_bytes(std::span(credentials)));
}

// A page of another site that has its name point here (DNS rebinding) sends that name.
TEST(Guard, KnowsItsHosts) {
  const Guard guard({.hosts = {"Studio.local"}});
  for (const char* host :
       {"127.0.0.1:7860", "localhost", "LOCALHOST:1", "[::1]:7860", "192.168.0.7", "studio.local:80"})
    EXPECT_EQ(status(guard, {{"host", host}}), 200) << host;
  for (const char* host : {"evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "[evil"})
    EXPECT_EQ(status(guard, {{"host", host}}), 403) << host;
  EXPECT_EQ(status(guard, {}), 403);
}

TEST(Guard, KnowsItsOrigins) {
  const Guard guard({.origins = {"https://studio.example"}});
  const auto from = [&](const char* origin) { return status(guard, {{"host", "127.0.0.1:7860"}, {"origin", origin}}); };
  EXPECT_EQ(from("http://127.0.0.1:7860"), 200);
  EXPECT_EQ(from("https://studio.example"), 200);
  for (const char* origin : {"null", "http://127.0.0.1:7861", "http://evil.example", "https://studio.example.evil", ""})
    EXPECT_EQ(from(origin), 403) << origin;
  const HttpRequest named{.headers = {{"origin", "https://studio.example"}}},
      own{.headers = {{"origin", "http://127.0.0.1"}}};
  EXPECT_EQ(guard.cors_of(named).at(0).second, "https://studio.example");
  EXPECT_TRUE(guard.cors_of(own).empty());
}

TEST(Guard, AsksForItsToken) {
  const Guard guard({.address = "0.0.0.0", .token = "a secret of some length"});
  const auto with = [&](const std::string& authorization) {
    return status(guard, {{"host", "127.0.0.1"}, {"authorization", authorization}});
  };
  EXPECT_EQ(with("Bearer a secret of some length"), 200);
  EXPECT_EQ(with("bearer a secret of some length"), 200);
  EXPECT_EQ(with(basic("anyone:a secret of some length")), 200);
  for (const std::string& wrong :
       {std::string("Bearer a secret of some lengtH"), std::string("Bearer "), std::string("Bearer"), std::string(),
        std::string("Basic !!"), basic("a secret of some length"), basic("x:a secret of some length "),
        std::string("Digest a secret of some length")})
    EXPECT_EQ(with(wrong), 401) << wrong;
  EXPECT_EQ(status(guard, {{"host", "127.0.0.1"}}), 401);
  EXPECT_EQ(status(guard, {{"host", "127.0.0.1"}}, "/health"), 200);
  EXPECT_THROW(Guard({.address = "0.0.0.0"}), Error);
  EXPECT_THROW(Guard({.address = "192.168.0.7"}), Error);
  EXPECT_NO_THROW(Guard({.address = "::1"}));
}

// Keeps the answer.
class Exchange : public HttpExchange {
 public:
  explicit Exchange(HttpRequest request) : request_(std::move(request)) {}
  const HttpRequest& request() const override { return request_; }
  void reply(HttpReply reply) override { given = std::move(reply); }
  void begin(HttpReply) override {}
  void write(std::string) override {}
  void end() override {}
  size_t waiting() const override { return 0; }
  void on_gone(std::function<void()>) override {}
  HttpReply given{.status = 0};

 private:
  HttpRequest request_;
};

TEST(Router, FindsTheAnswer) {
  Router router;
  router.add("GET", "/v1/jobs/{}/pictures/{}",
             [](const auto& exchange, const Captures& parts) { exchange->reply({.body = parts[0] + " " + parts[1]}); });
  router.add("POST", "/v1/jobs", [](const auto&, const Captures&) { fail(ErrorKind::kUsage, "wrong"); });
  router.add("GET", "/v1/jobs", [](const auto&, const Captures&) { throw std::runtime_error("broken"); });
  const auto ask = [&](const char* method, const char* path) {
    const auto exchange = std::make_shared<Exchange>(HttpRequest{.method = method, .path = path});
    router.answer(exchange);
    return exchange->given;
  };
  EXPECT_EQ(ask("GET", "/v1/jobs/a b/pictures/2").body, "a b 2");
  EXPECT_EQ(ask("HEAD", "/v1/jobs/x/pictures/2").status, 200);
  EXPECT_EQ(ask("GET", "/v1/jobs//pictures/2").status, 404);
  EXPECT_EQ(ask("GET", "/v1/jobs/x/pictures/2/").status, 404);
  EXPECT_EQ(ask("GET", "/").status, 404);
  EXPECT_EQ(ask("POST", "/v1/jobs").status, 400);
  EXPECT_EQ(ask("GET", "/v1/jobs").status, 500);
  const HttpReply other = ask("PATCH", "/v1/jobs");
  EXPECT_EQ(other.status, 405);
  EXPECT_EQ(other.headers.at(0), (std::pair<std::string, std::string>("Allow", "POST, GET")));
}

}  // namespace
}  // namespace sumi::app
