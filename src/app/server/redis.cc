#include "app/server/redis.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/parse_number.h"

namespace sumi::app {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::string_view kScheme = "redis://";
constexpr const char* kForm = "redis://[user:password@]host[:port][/database]";

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using RawReply = std::unique_ptr<redisReply, FreeReply>;

timeval timeval_of(milliseconds time) {
  return {.tv_sec = static_cast<time_t>(time.count() / 1000),
          .tv_usec = static_cast<suseconds_t>(time.count() % 1000 * 1000)};
}

// Bytes for %XX.
std::string decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned byte = 0;
    const char* end = text.data() + std::min(i + 3, text.size());
    const auto [last, error] = std::from_chars(text.data() + i + 1, end, byte, 16);
    SUMI_CHECK_KIND(kUsage, i + 3 <= text.size() && error == std::errc() && last == end,
                    "the address of the queue has a % without two hexadecimal digits; % itself is written %25");
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

int64_t number_of(std::string_view text, int64_t most, const char* what) {
  const int64_t number = number_in<int64_t>(text).value_or(-1);
  SUMI_CHECK_KIND(kUsage, number >= 0 && number <= most,
                  "the {} in the address of the queue must be a number up to {}; the form is {}", what, most, kForm);
  return number;
}

RedisReply reply_of(const redisReply& raw) {
  RedisReply reply;
  switch (raw.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
      reply.kind = RedisReply::Kind::kText;
      reply.text.assign(raw.str, raw.len);
      break;
    case REDIS_REPLY_INTEGER:
      reply.kind = RedisReply::Kind::kInteger;
      reply.integer = raw.integer;
      break;
    case REDIS_REPLY_ARRAY:
      reply.kind = RedisReply::Kind::kList;
      for (size_t i = 0; i < raw.elements; ++i) reply.items.push_back(reply_of(*raw.element[i]));
      break;
    default: break;
  }
  return reply;
}

RawReply command(redisContext* context, const std::vector<std::string>& words) {
  std::vector<const char*> bytes;
  std::vector<size_t> sizes;
  for (const std::string& word : words) {
    bytes.push_back(word.data());
    sizes.push_back(word.size());
  }
  return RawReply(
      static_cast<redisReply*>(redisCommandArgv(context, static_cast<int>(words.size()), bytes.data(), sizes.data())));
}

// What passes by itself, or is the machine's trouble and not the command's.
bool is_passing(std::string_view refusal) {
  constexpr std::string_view kWords[] = {"LOADING", "OOM", "MISCONF", "READONLY", "BUSY", "MASTERDOWN", "NOREPLICAS"};
  return std::any_of(std::begin(kWords), std::end(kWords), [&](auto word) { return refusal.starts_with(word); });
}

[[noreturn]] void refuse(const RedisAddress& address, const std::string& why) {
  const std::string shown = why.substr(0, 300);
  if (is_passing(why))
    fail(ErrorKind::kUnavailable, "{} cannot work now ({}); look at that machine", address.shown(), shown);
  if (why.starts_with("NOAUTH") || why.starts_with("NOPERM"))
    fail(ErrorKind::kUnavailable, "{} wants a user and password that may do this; give them in the address, {}",
         address.shown(), kForm);
  throw RedisRefusal(ErrorKind::kInternal, fmt::format("{} refuses: {}", address.shown(), shown));
}

}  // namespace

std::string RedisAddress::shown() const {
  const bool six = host.find(':') != std::string::npos;
  std::string text = fmt::format("{}{}:{}", kScheme, six ? "[" + host + "]" : host, port);
  if (database > 0) text += fmt::format("/{}", database);
  return text;
}

RedisAddress parse_redis_address(const std::string& url) {
  SUMI_CHECK_KIND(kUsage, !url.starts_with("rediss://"),
                  "connections to the queue are not encrypted: rediss:// is not done; use a tunnel, and {}", kForm);
  SUMI_CHECK_KIND(kUsage, url.starts_with(kScheme), "the address of the queue must have the form {}", kForm);
  std::string_view rest = std::string_view(url).substr(kScheme.size());
  RedisAddress address;
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view who = rest.substr(0, at);
    const size_t colon = who.find(':');
    SUMI_CHECK_KIND(kUsage, colon != std::string_view::npos,
                    "the address of the queue has a name without a password; the form is {}", kForm);
    address.user = decoded(who.substr(0, colon));
    address.password = decoded(who.substr(colon + 1));
    rest = rest.substr(at + 1);
  }
  if (const size_t slash = rest.find('/'); slash != std::string_view::npos) {
    if (slash + 1 < rest.size()) address.database = number_of(rest.substr(slash + 1), 1'000'000, "database");
    rest = rest.substr(0, slash);
  }
  const size_t bracket = rest.starts_with('[') ? rest.find(']') : 0;
  SUMI_CHECK_KIND(kUsage, bracket != std::string_view::npos, "the address of the queue has a [ without a ]");
  if (const size_t colon = rest.find(':', bracket); colon != std::string_view::npos) {
    address.port = static_cast<uint16_t>(number_of(rest.substr(colon + 1), 65535, "port"));
    rest = rest.substr(0, colon);
  }
  if (bracket > 0) rest = rest.substr(1, bracket - 1);
  SUMI_CHECK_KIND(kUsage, !rest.empty() && address.port > 0, "the address of the queue names no host; the form is {}",
                  kForm);
  address.host = rest;
  return address;
}

RedisConnection::RedisConnection(RedisAddress address, const RedisOptions& options)
    : address_(std::move(address)), options_(options), pause_(options.first_pause) {}

RedisConnection::~RedisConnection() {
  if (context_ != nullptr) redisFree(context_);
}

redisContext* RedisConnection::open() {
  if (context_ != nullptr) return context_;
  if (Clock::now() < next_try_) throw Error(ErrorKind::kUnavailable, last_failure_);
  const auto failed = [&](std::string sentence) {
    if (context_ != nullptr) redisFree(std::exchange(context_, nullptr));
    next_try_ = Clock::now() + pause_;
    pause_ = std::min(pause_ * 2, options_.last_pause);
    last_failure_ = std::move(sentence);
    throw Error(ErrorKind::kUnavailable, last_failure_);
  };
  context_ = redisConnectWithTimeout(address_.host.c_str(), address_.port, timeval_of(options_.connect_time));
  if (context_ == nullptr || context_->err != 0) {
    const std::string why = context_ == nullptr ? "out of memory" : context_->errstr;
    failed(fmt::format("{} cannot be reached ({}); see that Redis runs there and that its `bind` lets this machine in",
                       address_.shown(), why));
  }
  redisSetTimeout(context_, timeval_of(options_.answer_time));
  redisEnableKeepAlive(context_);
  try {
    log_in();
  } catch (const Error& error) {
    failed(error.what());
  }
  pause_ = options_.first_pause;
  return context_;
}

// What Redis says here may repeat the words of the command, the password among them: it is not passed on.
void RedisConnection::log_in() {
  const auto done = [&](const std::vector<std::string>& words) {
    const RawReply reply = command(context_, words);
    SUMI_CHECK_KIND(kUnavailable, reply, "{} does not answer; see that it is a Redis", address_.shown());
    return reply->type != REDIS_REPLY_ERROR;
  };
  if (!address_.password.empty()) {
    std::vector<std::string> words{"AUTH"};
    if (!address_.user.empty()) words.push_back(address_.user);
    words.push_back(address_.password);
    SUMI_CHECK_KIND(kUnavailable, done(words), "{} does not take this user and password; look at the address's",
                    address_.shown());
  }
  if (address_.database > 0)
    SUMI_CHECK_KIND(kUnavailable, done({"SELECT", std::to_string(address_.database)}),
                    "{} has no such database, or wants a password; the form of the address is {}", address_.shown(),
                    kForm);
}

std::string RedisConnection::close() {
  std::string why = "the connection was closed";
  if (context_ != nullptr) {
    const bool late = context_->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (late) {
      why = fmt::format("no answer in {} s", options_.answer_time.count() / 1000);
    } else if (context_->err != 0) {
      why = context_->errstr;
    }
    redisFree(std::exchange(context_, nullptr));
  }
  return fmt::format("{} does not answer ({}); see that Redis runs there", address_.shown(), why);
}

Redis::Redis(RedisAddress address, const RedisOptions& options) : connection_(std::move(address), options) {}

RedisReply Redis::call(const std::vector<std::string>& words) {
  const std::lock_guard lock(mutex_);
  for (;;) {
    const bool was_open = connection_.is_open();
    redisContext* context = connection_.open();
    errno = 0;
    const RawReply raw = command(context, words);
    if (!raw) {
      const bool late = context->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK);
      const std::string sentence = connection_.close();
      if (was_open && !late) continue;  // Redis was started again since
      throw Error(ErrorKind::kUnavailable, sentence);
    }
    if (raw->type == REDIS_REPLY_ERROR) refuse(connection_.address(), std::string(raw->str, raw->len));
    return reply_of(*raw);
  }
}

RedisListener::RedisListener(RedisAddress address, std::vector<std::string> channels, const RedisOptions& options)
    : connection_(std::move(address), options), channels_(std::move(channels)) {}

void RedisListener::subscribe() {
  redisContext* context = connection_.open();
  std::vector<std::string> words{"SUBSCRIBE"};
  words.insert(words.end(), channels_.begin(), channels_.end());
  for (size_t i = 0; i < channels_.size(); ++i) {
    // The first reply comes with the command; each further channel has one of its own.
    void* next = nullptr;
    RawReply reply;
    if (i == 0) {
      reply = command(context, words);
    } else if (redisGetReply(context, &next) == REDIS_OK) {
      reply.reset(static_cast<redisReply*>(next));
    }
    if (!reply) throw Error(ErrorKind::kUnavailable, connection_.close());
    if (reply->type == REDIS_REPLY_ERROR) {
      const std::string why(reply->str, reply->len);
      connection_.close();
      refuse(connection_.address(), why);
    }
  }
  ++connections_;
}

std::optional<RedisListener::Message> RedisListener::take() {
  for (;;) {
    void* next = nullptr;
    if (redisGetReplyFromReader(connection_.open(), &next) != REDIS_OK)
      throw Error(ErrorKind::kUnavailable, connection_.close());
    if (next == nullptr) return std::nullopt;
    const RawReply raw(static_cast<redisReply*>(next));
    RedisReply reply = reply_of(*raw);
    if (reply.items.size() == 3 && reply.items[0].text == "message")
      return Message{.channel = std::move(reply.items[1].text), .text = std::move(reply.items[2].text)};
  }
}

std::optional<RedisListener::Message> RedisListener::wait(milliseconds time) {
  if (!connection_.is_open()) subscribe();
  const auto end = Clock::now() + time;
  for (;;) {
    if (auto message = take()) return message;
    const auto left = std::chrono::ceil<milliseconds>(end - Clock::now());
    if (left.count() <= 0) return std::nullopt;
    pollfd entry{.fd = connection_.open()->fd, .events = POLLIN, .revents = 0};
    const int ready = poll(&entry, 1, static_cast<int>(left.count()));
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    if (redisBufferRead(connection_.open()) != REDIS_OK) throw Error(ErrorKind::kUnavailable, connection_.close());
  }
}

}  // namespace sumi::app
