#include "app/pull_http.h"

#include <curl/curl.h>
#include <signal.h>

#include <exception>
#include <memory>
#include <mutex>

#include "base/check.h"

namespace sumi::app {
namespace {

constexpr long kConnectSeconds = 15;
constexpr long kMaxRedirects = 5;
constexpr size_t kMaxHeaders = 200;

// The callbacks' shared state. No exception may cross libcurl: the first is kept and rethrown once libcurl has
// returned.
struct Transfer {
  const FetchRequest& request;
  const HttpSink& sink;
  HttpResponse response;
  std::exception_ptr thrown;
};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c;
  return result;
}

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

size_t on_header(char* data, size_t, size_t size, void* user) {
  auto& response = static_cast<Transfer*>(user)->response;
  const std::string_view line(data, size);
  try {
    if (line.starts_with("HTTP/")) {  // the next answer of a redirect
      response.headers.clear();
      const size_t space = line.find(' ');
      response.status = space == std::string_view::npos ? 0 : std::strtol(data + space, nullptr, 10);
      return size;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || response.headers.size() >= kMaxHeaders) return size;
    const std::string name = lower(trim(line.substr(0, colon)));
    const std::string value(trim(line.substr(colon + 1)));
    if (name == "x-linked-size") response.linked_size = value;
    if (name == "x-linked-etag") response.linked_etag = value;
    response.headers[name] = value;
  } catch (...) {
    static_cast<Transfer*>(user)->thrown = std::current_exception();
    return 0;
  }
  return size;
}

size_t on_body(char* data, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (transfer.response.status != 200 && transfer.response.status != 206) return size;
  try {
    transfer.sink(transfer.response, {data, size});
    return size;
  } catch (...) {
    transfer.thrown = std::current_exception();
    return CURL_WRITEFUNC_ERROR;
  }
}

// Called about once a second, and more often while data flows.
int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& cancelled = static_cast<Transfer*>(user)->request.cancelled;
  return cancelled && cancelled() ? 1 : 0;
}

// A token is never sent unencrypted, except to localhost.
bool may_carry_token(const std::string& url) {
  if (url.starts_with("https://")) return true;
  for (const std::string_view host : {"http://127.0.0.1", "http://localhost", "http://[::1]"}) {
    if (!url.starts_with(host)) continue;
    if (const char next = url.c_str()[host.size()]; next == ':' || next == '/') return true;
  }
  return false;
}

bool is_permanent(CURLcode code) {
  return code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT || code == CURLE_TOO_MANY_REDIRECTS ||
         code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
}

// Blocks SIGPIPE, so that a connection closed by the server does not end the program: OpenSSL writes without
// MSG_NOSIGNAL.
class NoSigpipe {
 public:
  NoSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoSigpipe() {
    const timespec now{};
    if (!sigismember(&before_, SIGPIPE)) sigtimedwait(&pipe_, nullptr, &now);  // consumes a pending one
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;

 private:
  sigset_t pipe_, before_;
};

using Curl = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

Curl make_curl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  Curl curl(curl_easy_init(), &curl_easy_cleanup);
  SUMI_CHECK_KIND(kUnavailable, curl, "libcurl could not be started");
  return curl;
}

}  // namespace

std::string HttpResponse::describe() const { return error.empty() ? fmt::format("HTTP {}", status) : error; }

HttpResponse http_get(const FetchRequest& request, const HttpSink& sink) {
  Transfer transfer{request, sink, {}, nullptr};
  const Curl curl = make_curl();
  char reason[CURL_ERROR_SIZE] = "";
  const auto set = [&](CURLoption option, auto value) {
    SUMI_CHECK_KIND(kUnavailable, curl_easy_setopt(curl.get(), option, value) == CURLE_OK,
                    "this libcurl refuses option {}; 7.85 or newer is needed", static_cast<int>(option));
  };
  const bool secure = request.url.starts_with("https://");
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");  // no downgrade from https
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, kMaxRedirects);
  set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.stall_seconds));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_USERAGENT, "sumi");
  set(CURLOPT_ERRORBUFFER, reason);
  set(CURLOPT_HEADERFUNCTION, &on_header);
  set(CURLOPT_HEADERDATA, &transfer);
  set(CURLOPT_WRITEFUNCTION, &on_body);
  set(CURLOPT_WRITEDATA, &transfer);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &on_progress);
  set(CURLOPT_XFERINFODATA, &transfer);
  if (request.begin > 0) set(CURLOPT_RANGE, fmt::format("{}-", request.begin).c_str());
  if (!request.token.empty() && may_carry_token(request.url)) {
    set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
    set(CURLOPT_XOAUTH2_BEARER, request.token.c_str());
  }

  const CURLcode code = [&] {
    const NoSigpipe guard;
    return curl_easy_perform(curl.get());
  }();
  if (transfer.thrown) std::rethrow_exception(transfer.thrown);
  SUMI_CHECK_KIND(kCancelled, code != CURLE_ABORTED_BY_CALLBACK, "interrupted; run the same command again to resume");
  if (code != CURLE_OK) transfer.response.error = *reason ? reason : curl_easy_strerror(code);
  transfer.response.permanent = is_permanent(code);
  return std::move(transfer.response);
}

std::string url_escape(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool unreserved = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                            c == '.' || c == '_' || c == '~';
    result += unreserved ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return result;
}

}  // namespace sumi::app
