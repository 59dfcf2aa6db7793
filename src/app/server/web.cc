#include "app/server/web.h"

#include <functional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "app/server/http_text.h"
#include "base/check.h"
#include "base/small_file.h"
#include "engine/given.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostBytes = 4 << 20;  // of a file in a folder

// What the page may load and call: this server alone.
constexpr const char* kPolicy =
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

std::string_view type_of(std::string_view name) {
  const auto ends = [&](std::string_view ending) { return name.ends_with(ending); };
  if (ends(".html")) return "text/html; charset=utf-8";
  if (ends(".css")) return "text/css; charset=utf-8";
  if (ends(".js") || ends(".mjs")) return "text/javascript; charset=utf-8";
  if (ends(".svg")) return "image/svg+xml";
  if (ends(".png")) return "image/png";
  if (ends(".json") || ends(".webmanifest")) return "application/json";
  return "application/octet-stream";
}

std::string tag_of(std::string_view bytes) { return "\"" + engine::hash_of(std::as_bytes(std::span(bytes))) + "\""; }

void send(const std::shared_ptr<HttpExchange>& exchange, std::string_view name, std::string bytes) {
  const std::string tag = tag_of(bytes);
  const std::string* known = exchange->request().header("if-none-match");
  HttpReply reply{.type = std::string(type_of(name)),
                  .headers = {{"Cache-Control", "no-cache"},
                              {"ETag", tag},
                              {"Content-Security-Policy", kPolicy},
                              {"Referrer-Policy", "no-referrer"}}};
  if (known != nullptr && *known == tag) {
    reply.status = 304;
  } else {
    reply.body = std::move(bytes);
  }
  exchange->reply(std::move(reply));
}

void add_file(Router& router, const std::string& name, const std::function<std::string()>& read) {
  const auto answer = [name, read](const auto& exchange, const Captures&) { send(exchange, name, read()); };
  router.add("GET", "/" + name, answer);
  if (name == "index.html") router.add("GET", "/", answer);
}

}  // namespace

void add_web_routes(Router& router, const fs::path& folder) {
  if (folder.empty()) {
    for (const WebFile& file : embedded_web_files())
      add_file(router, std::string(file.name), [bytes = file.bytes] { return std::string(bytes); });
    return;
  }
  std::error_code error;
  SUMI_CHECK_KIND(kNoInput, fs::exists(folder / "index.html", error), "{}: there is no index.html", folder.string());
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file(error)) continue;
    const fs::path path = entry.path();
    add_file(router, path.lexically_relative(folder).generic_string(),
             [path] { return read_small_file(path, kMostBytes); });
  }
}

}  // namespace sumi::app
