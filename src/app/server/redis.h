// Redis (or Valkey) over its own protocol: commands with binary arguments, and messages of channels.
//
//   Redis redis(parse_redis_address("redis://queue.lan"));
//   redis.call({"SET", "key", bytes});
//
// What fails because of the connection throws Error(kUnavailable) with a sentence that names the address, never the
// password. A process that uses this ignores SIGPIPE.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "sumi/error.h"

struct redisContext;

namespace sumi::app {

struct RedisAddress {
  std::string host = "127.0.0.1", user = {}, password = {};  // empty: none
  uint16_t port = 6379;
  int64_t database = 0;

  std::string shown() const;  // "redis://queue.lan:6379", without user and password
};

// redis://[user:password@]host[:port][/database]; in user and password, %XX is a byte. An IPv6 address is written in
// brackets. Throws Error(kUsage) that does not repeat the text, which may have a password in it.
RedisAddress parse_redis_address(const std::string& url);

struct RedisOptions {
  std::chrono::milliseconds connect_time{2000}, answer_time{20'000};
  // After a connection failed, the next is tried no sooner than that; each failure doubles it up to the last.
  std::chrono::milliseconds first_pause{50}, last_pause{2000};
};

struct RedisReply {
  enum class Kind : unsigned char { kNil, kText, kInteger, kList };
  Kind kind = Kind::kNil;
  std::string text = {};  // also of a status
  int64_t integer = 0;
  std::vector<RedisReply> items = {};

  bool is_nil() const { return kind == Kind::kNil; }
};

// Redis has refused a command: "WRONGTYPE …".
class RedisRefusal : public Error {
 public:
  using Error::Error;
};

// One connection that is made when it is first needed, and again after it was lost.
class RedisConnection {
 public:
  RedisConnection(RedisAddress address, const RedisOptions& options);
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  // The connection, which lives until close(). Throws Error(kUnavailable) where there is none, at once where the last
  // attempt was a short time ago.
  redisContext* open();
  bool is_open() const { return context_ != nullptr; }
  // Closes it and returns the sentence for what went wrong with it.
  std::string close();
  const RedisOptions& options() const { return options_; }
  const RedisAddress& address() const { return address_; }

 private:
  void log_in();

  const RedisAddress address_;
  const RedisOptions options_;
  redisContext* context_ = nullptr;
  std::chrono::steady_clock::time_point next_try_;
  std::chrono::milliseconds pause_;
  std::string last_failure_;
};

// Any number of threads may use one; their calls take turns.
class Redis {
 public:
  explicit Redis(RedisAddress address, const RedisOptions& options = {});

  // The reply to a command. One whose connection breaks is sent again, once, over a new one: it may have been done
  // twice. Throws Error(kUnavailable) for a server that is not there, does not answer, or cannot work now (it loads its
  // files, has no memory left, …), RedisRefusal for what it refuses otherwise.
  RedisReply call(const std::vector<std::string>& words);
  const RedisAddress& address() const { return connection_.address(); }

 private:
  std::mutex mutex_;
  RedisConnection connection_;
};

// Messages of channels. One thread uses it.
class RedisListener {
 public:
  struct Message {
    std::string channel, text;
  };
  RedisListener(RedisAddress address, std::vector<std::string> channels, const RedisOptions& options = {});

  // The next message, within that time; nullopt: none came. Connects where it is not connected; throws as Redis::call.
  std::optional<Message> wait(std::chrono::milliseconds time);
  // How often it has connected. Messages may have been missed before each.
  uint64_t connections() const { return connections_; }

 private:
  void subscribe();
  std::optional<Message> take();  // of what has been read

  RedisConnection connection_;
  const std::vector<std::string> channels_;
  uint64_t connections_ = 0;
};

}  // namespace sumi::app
