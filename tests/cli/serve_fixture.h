// `sumi serve` on a free port, with the tiny model.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "tests/cli/cli_fixture.h"
#include "tests/support/http_client.h"

namespace sumi::test {

class ServeTest : public CliTest {
 protected:
  // Starts it on a free port.
  void start(const Words& more = {}) {
    server_.emplace(Words{SUMI_BINARY, "serve", "--port", "0"} + model() + more, isolated({}));
    ASSERT_TRUE(server_->wait_until([&] { return server_->out().find('\n') != std::string::npos; })) << server_->err();
    const std::string url = server_->out();
    port_ = static_cast<uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  }
  HttpAnswer get(const std::string& target) const { return ask(port_, "GET", target); }
  HttpAnswer post(const std::string& target, const std::string& body = "") const {
    return ask(port_, "POST", target, body);
  }
  static std::string drawing(int seed, int steps = 2, const std::string& more = "") {
    return nlohmann::json{{"prompts", {"a cat"}}, {"width", 64}, {"height", 64}, {"steps", steps}, {"seed", seed}}
        .dump()
        .replace(0, 1, "{" + more);
  }
  std::string submit(const std::string& request, const std::string& more = "") const {
    const HttpAnswer answer = post("/v1/jobs", R"({"request": )" + request + more + "}");
    EXPECT_EQ(answer.status, 201) << answer.body;
    const std::string id = nlohmann::json::parse(answer.body)["id"];
    EXPECT_EQ(answer.header("Location"), "/v1/jobs/" + id);
    return id;
  }
  // All events, to the job's end.
  std::string events(const std::string& id, const Words& headers = {}) const {
    const HttpAnswer answer = ask(port_, "GET", "/v1/jobs/" + id + "/events", "", headers);
    EXPECT_EQ(answer.header("Content-Type"), "text/event-stream");
    return answer.body;
  }
  nlohmann::json jobs() const { return nlohmann::json::parse(get("/v1/jobs").body)["jobs"]; }  // the newest first
  nlohmann::json job(const std::string& id) const { return nlohmann::json::parse(get("/v1/jobs/" + id).body); }

  std::optional<Child> server_;
  uint16_t port_ = 0;
};

}  // namespace sumi::test
