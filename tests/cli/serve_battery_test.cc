// What strangers send to the running server, byte for byte, and how it is answered.
#include "base/base64.h"
#include "image/png.h"
#include "tests/cli/serve_fixture.h"
#include "tests/support/made_png.h"

namespace sumi::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ServeBattery : public ServeTest {
 protected:
  // The status of the first answer; 0: the connection ended without one.
  int status_of(const std::string& request) const {
    HttpConnection connection(port_);
    connection.send(request);
    const std::string answer = connection.read_until("\r\n\r\n");
    return answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9)) : 0;
  }
  int post_status(const json& body) const { return post("/v1/jobs", body.dump()).status; }
};

std::string post_head(const std::string& more) {
  return "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + more + "\r\n";
}

TEST_F(ServeBattery, BrokenRequests) {
  start();
  const std::string host = "Host: localhost\r\n";
  std::string many;
  for (int i = 0; i < 101; ++i) many += "X-" + std::to_string(i) + ": 1\r\n";
  const std::vector<std::pair<std::string, int>> cases{
      {post_head("Content-Length: 67108865\r\n"), 413},                                                  // 150
      {post_head("Transfer-Encoding: chunked\r\n") + "-2\r\nab\r\n0\r\n\r\n", 400},                      // 152
      {post_head("Content-Encoding: gzip\r\nContent-Length: 3\r\n") + "abc", 415},                       // 153
      {"GET / HTTP/1.1\r\n" + host + many + "\r\n", 431},                                                // 154
      {"GET /" + std::string(9 << 10, 'a') + " HTTP/1.1\r\n" + host + "\r\n", 414},                      // 155
      {post_head("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n") + "2\r\n{}\r\n0\r\n\r\n", 400},  // 156
      {"BREW /v1/jobs HTTP/1.1\r\n" + host + "\r\n", 405},                                               // 157
      {"DELETE /v1/jobs HTTP/1.1\r\n" + host + "\r\n", 405},
      {"POST /v1/jobs HTTP/1.1\r\n" + host + "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415},  // 158
      {"GET /images/..%2f..%2fetc/passwd HTTP/1.1\r\n" + host + "\r\n", 400},                                  // 167
      {"GET /%00 HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /v1\\jobs HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /v1/jobs HTTP/1.1\r\n" + host + "Origin: null\r\n\r\n", 403},  // 169
      {"GET /v1/jobs HTTP/1.1\r\n" + host + "Origin: https://evil.example\r\n\r\n", 403},
      {"GET /v1/jobs HTTP/1.1\r\nHost: rebound.example\r\n\r\n", 403},  // 170
      {"GET /v1/jobs HTTP/1.1\r\n\r\n", 400},
      {"GET /%0d%0aX-Evil:1 HTTP/1.1\r\n" + host + "\r\n", 404},  // 174
      {"GET /v1/jobs HTTP/1.1\r\n" + host + "X: a\rb\r\n\r\n", 400},
      {"nonsense\r\n\r\n", 400},
  };
  for (const auto& [request, status] : cases) EXPECT_EQ(status_of(request), status) << request.substr(0, 120);
  HttpConnection split(port_);
  split.send("GET /%0d%0aX-Evil:1 HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n");
  EXPECT_EQ(split.read_all().find("\r\nX-Evil"), std::string::npos);
  EXPECT_EQ(get("/health").status, 200);
}

// A picture of a few bytes that would take gigabytes.
std::string bomb() {
  const std::string head = big_endian(65535, 4) + big_endian(65535, 4) + std::string("\x08\x02\0\0\0", 5);
  const std::string file =
      "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", head) + png_chunk("IDAT", "x") + png_chunk("IEND", "");
  return "data:image/png;base64," + base64_of(std::as_bytes(std::span(file)));
}

TEST_F(ServeBattery, WrongJobs) {
  start();
  const auto request = [](const std::string& field, const json& value) {
    json request{{"prompts", {"a"}}, {"width", 64}, {"height", 64}, {"steps", 1}};
    request[field] = value;
    return json{{"request", request}};
  };
  std::string deep(100, '[');
  EXPECT_EQ(post("/v1/jobs", R"({"request": )" + deep).status, 400);  // 159
  EXPECT_EQ(post("/v1/jobs", R"({"request": {"prompts": ["a"], "prompts": ["b"]}})").status, 400);
  EXPECT_EQ(post("/v1/jobs", R"({"request": {"prompts": ["a"], "scale": NaN}})").status, 400);
  EXPECT_EQ(post_status(request("steps", -1)), 400);  // 160
  EXPECT_EQ(post_status(request("copies", 1.5)), 400);
  EXPECT_EQ(post_status(request("steps", "20")), 400);                         // 161
  EXPECT_EQ(post_status(request("batch", 1'000'000'000)), 400);                // 162
  EXPECT_EQ(post_status(request("width", 4097)), 400);                         // 163
  EXPECT_EQ(post_status(request("init", "data:image/png;base64,&&&&")), 400);  // 164
  EXPECT_EQ(post_status(request("init", bomb())), 400);                        // 165
  EXPECT_EQ(post_status(request("init", "http://127.0.0.1:1/a.png")), 400);    // 166
  EXPECT_EQ(post_status(request("init", "file:///etc/passwd")), 400);
  json wrong = request("steps", 1);
  wrong["model"] = "../../etc/passwd";  // 168
  EXPECT_EQ(post_status(wrong), 400);
  EXPECT_EQ(post_status(request("loras", {{{"file", "/etc/passwd"}}})), 400);
  EXPECT_EQ(jobs().size(), 0u);
  // The same on the other faces.
  for (const char* path : {"/sdapi/v1/txt2img", "/v1/images/generations"}) {
    EXPECT_EQ(post(path, R"({"prompt": "a", "steps": "many"})").status, 400) << path;
    EXPECT_EQ(post(path, "{").status, 400) << path;
  }
  for (const std::string& picture : {std::string("http://127.0.0.1:1/a.png"), std::string("&&&&"), bomb()})
    EXPECT_EQ(post("/sdapi/v1/img2img", json{{"prompt", "a"}, {"init_images", {picture}}}.dump()).status, 400);
}

// What goes out is what it says it is, and nothing runs.                                           173
TEST_F(ServeBattery, PicturesDoNothing) {
  start();
  const std::string id = submit(R"({"prompts": ["<script>alert(1)</script>"], "width": 64, "height": 64, "steps": 1})");
  events(id);
  const HttpAnswer picture = get("/v1/jobs/" + id + "/pictures/0");
  EXPECT_EQ(picture.header("Content-Type"), "image/png");
  EXPECT_EQ(picture.header("X-Content-Type-Options"), "nosniff");
  EXPECT_THAT(picture.header("Content-Security-Policy"), HasSubstr("sandbox"));
  EXPECT_EQ(get("/v1/jobs/" + id).header("Content-Type"), "application/json");
}

// F13: two hundred that send a byte a second are shut at the limit of a head, ten seconds; the others notice nothing.
TEST_F(ServeBattery, SlowClientsAreShut) {
  start();
  std::vector<std::unique_ptr<HttpConnection>> slow;
  for (int i = 0; i < 200; ++i) slow.push_back(std::make_unique<HttpConnection>(port_));
  const std::string request = "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: 12345\r\n\r\n";
  for (size_t second = 0; second < 14; ++second) {
    for (const auto& connection : slow) connection->send(request.substr(second, 1));
    const std::string id = submit(drawing(static_cast<int>(second), 1));
    EXPECT_THAT(events(id), HasSubstr("event: done"));
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  for (const auto& connection : slow) EXPECT_THAT(connection->read_until("\r\n"), HasSubstr(" 408 "));
}

// F14: a client that asks for much and takes nothing is let go; the memory of what it was sent with it.
TEST_F(ServeBattery, AClientThatTakesNothing) {
  start();
  HttpConnection reader(port_);
  std::string requests;
  for (int i = 0; i < 200; ++i) requests += "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
  reader.send(requests);
  EXPECT_THAT(events(submit(drawing(1, 1))), HasSubstr("event: done"));
  EXPECT_EQ(get("/health").status, 200);
}

}  // namespace
}  // namespace sumi::test
