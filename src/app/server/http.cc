#include "app/server/http.h"

#include <sys/ioctl.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <list>
#include <mutex>
#include <unordered_map>

#include "app/server/http_parser.h"
#include "app/server/http_text.h"
#include "base/check.h"
#include "base/log.h"

namespace sumi::app {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using Executor = asio::io_context::executor_type;
using Tcp = asio::ip::tcp;
using Socket = asio::basic_stream_socket<Tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<Tcp, Executor>;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;

constexpr size_t kReadBytes = 16 << 10;          // at once, into a buffer that all connections share
constexpr int kReads = 16;                       // of one connection before others have their turn
constexpr size_t kBuffers = 16;                  // written at once
constexpr milliseconds kLinger{2'000};           // for a client to read the last reply and close
constexpr milliseconds kAcceptPause{100};        // after accept() failed, for want of file descriptors
constexpr milliseconds kForever{1'000'000'000};  // eleven days

// Assigning an empty string would keep the memory.
void release(std::string& text) { std::string().swap(text); }

// A callback of the program's must not end the server.
void call_safely(const std::function<void()>& call) {
  try {
    if (call) call();
  } catch (const std::exception& error) {
    warn("server: {}", error.what());
  }
}

// The way to the server's thread for those who may live longer than the server.
class Mailbox {
 public:
  explicit Mailbox(asio::io_context& io) : io_(&io) {}
  // Calls `call` on the server's thread, unless the server has ended.
  template <class Call> void post(Call call) {
    const std::lock_guard lock(mutex_);
    if (io_ != nullptr) asio::post(*io_, std::move(call));
  }
  void close() {
    const std::lock_guard lock(mutex_);
    io_ = nullptr;
  }

 private:
  std::mutex mutex_;
  asio::io_context* io_;
};

// What an exchange and its connection both know of an answer. The last two are for the server's thread.
struct AnswerState {
  std::atomic<size_t> waiting{0};
  std::atomic<bool> gone{false};
  bool whole = false;
  std::function<void()> on_gone;
};

// A client. Everything happens on the server's thread, in handlers that keep it alive. While idle it has no buffers.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // What connections share. It lives longer than their last handler.
  struct Shared {
    HttpLimits limits;
    HttpHandler handler;
    std::function<std::optional<HttpReply>(const HttpRequest&)> admit;
    std::shared_ptr<Mailbox> mailbox;
    std::function<void(Connection*)> forget;    // called once, when the connection is closed
    bool closing = false;                       // connections end with their answers
    std::array<char, kReadBytes> scratch = {};  // what was read last
  };

  Connection(Shared& shared, Socket socket, std::string peer)
      : shared_(shared),
        socket_(std::move(socket)),
        deadline_(socket_.get_executor()),
        stuck_(socket_.get_executor()),
        peer_(std::move(peer)) {}

  void start();
  void close();
  // Shared::closing has been set: now, or once the answer is out.
  void close_soon() {
    close_after_ = true;
    if (phase_ == Phase::kIdle && out_.empty()) close();
  }
  // For the server's end: nobody is called.
  void abandon() {
    if (!state_) return;
    state_->gone = true;
    state_->on_gone = nullptr;
  }

  // From an exchange.
  bool is_answering(const std::shared_ptr<AnswerState>& state) const { return !closed_ && state_ == state; }
  void reply(HttpReply reply);
  void begin(HttpReply head);
  void write(std::string piece);
  void end();
  void drop();  // the exchange is gone: nothing more will come from it

 private:
  // kBody: a request's body is awaited; kAnswer: its answer is; kClosing: the last reply is being written, and what
  // still comes is dropped.
  enum class Phase : unsigned char { kIdle, kHead, kBody, kAnswer, kClosing };
  struct Piece {
    std::string bytes;
    bool counted;  // in AnswerState::waiting
  };

  void watch();
  void read();
  size_t room() const;
  void on_read_end(bool orderly);
  void advance();
  void await_body();
  void hand_over();
  void refuse(int status, std::string_view message);
  void refuse(HttpReply reply);

  void send_whole(HttpReply reply);
  void push(std::string bytes, bool counted = false) { out_.push_back({std::move(bytes), counted}); }
  void push_piece(std::string piece);
  void flush();
  void on_written(size_t count);
  void on_flushed();
  void end_answer();
  void linger();

  void arm(milliseconds time);  // on_deadline() is called then
  void arm_stuck();             // on_stuck() is called after `stuck`
  void on_stuck();
  int queued_bytes();
  static void disarm(Timer& timer) { timer.expires_after(kForever); }
  void on_deadline();

  Shared& shared_;
  Socket socket_;
  Timer deadline_;  // of what the client must send
  Timer stuck_;     // of what it must take
  std::string peer_;
  Phase phase_ = Phase::kIdle;
  bool closed_ = false;
  bool watching_ = false;  // waits for bytes
  bool read_end_ = false;  // no more will come
  bool writing_ = false;
  std::string in_;  // read, not parsed
  std::unique_ptr<RequestParser> parser_;
  std::list<Piece> out_;  // not taken by the system yet
  size_t sent_ = 0;       // of the first
  int queued_ = 0;        // queued_bytes() when stuck_ was armed

  // The answer in phase kAnswer.
  std::shared_ptr<AnswerState> state_;
  bool begun_ = false, ended_ = false;  // begin() was called; all of it is in out_
  bool http10_ = false, head_only_ = false, close_after_ = false;
};

// An exchange of a connection that may have moved on, or away.
class Exchange final : public HttpExchange {
 public:
  Exchange(std::shared_ptr<Mailbox> mailbox, std::weak_ptr<Connection> connection, std::shared_ptr<AnswerState> state,
           HttpRequest request)
      : mailbox_(std::move(mailbox)),
        connection_(std::move(connection)),
        state_(std::move(state)),
        request_(std::move(request)) {}
  ~Exchange() override {
    tell([](Connection& connection) { connection.drop(); });
  }

  const HttpRequest& request() const override { return request_; }
  void reply(HttpReply reply) override {
    tell([reply = std::move(reply)](Connection& connection) mutable { connection.reply(std::move(reply)); });
  }
  void begin(HttpReply head) override {
    tell([head = std::move(head)](Connection& connection) mutable { connection.begin(std::move(head)); });
  }
  void write(std::string piece) override {
    if (state_->gone) return;
    const size_t size = piece.size();
    state_->waiting += size;
    tell([piece = std::move(piece)](Connection& connection) mutable { connection.write(std::move(piece)); },
         [size](AnswerState& state) { state.waiting -= size; });
  }
  void end() override {
    tell([](Connection& connection) { connection.end(); });
  }
  size_t waiting() const override { return state_->gone ? 0 : state_->waiting.load(); }
  void on_gone(std::function<void()> call) override {
    mailbox_->post([state = state_, call = std::move(call)]() mutable {
      if (state->gone) return call_safely(call);
      if (!state->whole) state->on_gone = std::move(call);
    });
  }

 private:
  static void do_nothing(AnswerState&) {}

  // Calls call(connection) on the server's thread if the connection still awaits this answer, else otherwise(state).
  template <class Call, class Otherwise = void (*)(AnswerState&)>
  void tell(Call call, Otherwise otherwise = do_nothing) {
    mailbox_->post([connection = connection_, state = state_, call = std::move(call), otherwise]() mutable {
      const std::shared_ptr<Connection> held = connection.lock();
      if (held && held->is_answering(state)) return call(*held);
      otherwise(*state);
    });
  }

  std::shared_ptr<Mailbox> mailbox_;
  std::weak_ptr<Connection> connection_;
  std::shared_ptr<AnswerState> state_;
  HttpRequest request_;
};

void Connection::start() {
  error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(Tcp::no_delay(true), ignored);
  arm(shared_.limits.idle);
  watch();
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  const std::shared_ptr<Connection> self = shared_from_this();
  error_code ignored;
  socket_.close(ignored);
  deadline_.cancel();
  stuck_.cancel();
  out_.clear();
  shared_.forget(this);
  if (!state_) return;
  state_->gone = true;
  call_safely(std::exchange(state_->on_gone, nullptr));
}

// Bytes that may be read now.
size_t Connection::room() const {
  if (phase_ == Phase::kBody || phase_ == Phase::kClosing) return kReadBytes;
  const size_t bound = shared_.limits.header_bytes + 1;  // one more shows that a head is too long
  return in_.size() >= bound ? 0 : std::min(bound - in_.size(), kReadBytes);
}

// Reads when there is something. An answer that is awaited does not end this: so the client's going is noticed.
void Connection::watch() {
  if (watching_ || closed_ || read_end_ || room() == 0) return;
  watching_ = true;
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](error_code error) {
    self->watching_ = false;
    if (self->closed_) return;
    if (error) return self->close();
    self->read();
    self->watch();
  });
}

void Connection::read() {
  for (int i = 0; i < kReads && !closed_ && room() > 0; ++i) {
    error_code error;
    const size_t count = socket_.read_some(asio::buffer(shared_.scratch.data(), room()), error);
    if (error == asio::error::would_block) return;
    if (error) return on_read_end(error == asio::error::eof);
    if (phase_ == Phase::kClosing) continue;
    in_.append(shared_.scratch.data(), count);
    advance();
  }
}

void Connection::on_read_end(bool orderly) {
  read_end_ = true;
  const bool last_reply = phase_ == Phase::kClosing && !out_.empty();  // a client may close one half before reading it
  if (!orderly || !last_reply) close();
}

// Parses what has been read, as far as the phase allows.
void Connection::advance() {
  if (phase_ == Phase::kIdle) {
    in_.erase(0, in_.find_first_not_of("\r\n"));  // empty lines before a request are allowed
    if (in_.empty()) return;
    phase_ = Phase::kHead;
    parser_ = std::make_unique<RequestParser>(shared_.limits);
    arm(shared_.limits.head);
  }
  if (phase_ != Phase::kHead && phase_ != Phase::kBody) return;
  in_.erase(0, parser_->take(in_));
  if (parser_->status() != 0) return refuse(parser_->status(), parser_->message());
  if (parser_->is_done()) return hand_over();
  if (phase_ == Phase::kHead && parser_->is_header_done()) await_body();
}

void Connection::await_body() {
  parser_->request().peer = peer_;
  std::optional<HttpReply> refusal;
  if (shared_.admit) call_safely([&] { refusal = shared_.admit(parser_->request()); });
  if (refusal) return refuse(std::move(*refusal));
  phase_ = Phase::kBody;
  arm(shared_.limits.body);
  if (!parser_->expects_continue() || !in_.empty() || !parser_->request().body.empty()) return;
  push("HTTP/1.1 100 Continue\r\n\r\n");
  flush();
}

void Connection::hand_over() {
  phase_ = Phase::kAnswer;
  disarm(deadline_);
  const std::unique_ptr<RequestParser> parser = std::move(parser_);
  begun_ = ended_ = false;
  http10_ = parser->is_http10();
  head_only_ = parser->request().method == "HEAD";
  close_after_ = http10_ || shared_.closing || !parser->keep_alive();
  parser->request().peer = peer_;
  state_ = std::make_shared<AnswerState>();
  auto exchange = std::make_shared<Exchange>(shared_.mailbox, weak_from_this(), state_, std::move(parser->request()));
  call_safely([&] { shared_.handler(std::move(exchange)); });  // one that throws drops it: 500
}

// Answers what did not become a request, and ends the connection.
void Connection::refuse(int status, std::string_view message) { refuse(refusal(status, message)); }

void Connection::refuse(HttpReply reply) {
  phase_ = Phase::kClosing;
  disarm(deadline_);
  push(head_of(reply, Framing::kLength, true));
  if (parser_ == nullptr || parser_->request().method != "HEAD") push(std::move(reply.body));
  parser_.reset();
  release(in_);
  flush();
}

void Connection::reply(HttpReply reply) {
  if (!begun_ && !ended_) send_whole(std::move(reply));
}

void Connection::send_whole(HttpReply reply) {
  if (!is_sendable(reply)) reply = refusal(500, "the server made a reply that must not be sent");
  push(head_of(reply, Framing::kLength, close_after_));
  if (!head_only_ && has_body(reply.status) && !reply.body.empty()) push(std::move(reply.body));
  ended_ = true;
  flush();
}

void Connection::begin(HttpReply head) {
  if (begun_ || ended_) return;
  if (!is_sendable(head)) return send_whole(std::move(head));
  begun_ = true;
  push(head_of(head, http10_ ? Framing::kConnection : Framing::kChunked, close_after_));
  head_only_ = head_only_ || !has_body(head.status);
  state_->waiting += head.body.size();
  push_piece(std::move(head.body));
  flush();
}

void Connection::write(std::string piece) {
  push_piece(std::move(piece));
  flush();
}

// A piece of a stream, whose bytes are counted already.
void Connection::push_piece(std::string piece) {
  if (!begun_ || ended_ || head_only_ || piece.empty()) {
    state_->waiting -= piece.size();
    return;
  }
  if (http10_) return push(std::move(piece), true);
  push(fmt::format("{:x}\r\n", piece.size()));
  push(std::move(piece), true);
  push("\r\n");
}

void Connection::end() {
  if (!begun_ || ended_) return;
  ended_ = true;
  if (!http10_ && !head_only_) push("0\r\n\r\n");
  flush();
}

void Connection::drop() {
  if (ended_) return;
  if (!begun_) return send_whole(refusal(500, "the server gave no answer"));
  ended_ = close_after_ = true;
  flush();
}

void Connection::flush() {
  if (writing_ || closed_) return;
  if (out_.empty()) return on_flushed();
  writing_ = true;
  std::array<asio::const_buffer, kBuffers> buffers;  // the last ones may be empty
  size_t count = 0, skip = sent_;
  for (auto piece = out_.begin(); piece != out_.end() && count < kBuffers; ++piece, skip = 0)
    buffers[count++] = asio::buffer(piece->bytes) + skip;
  arm_stuck();
  socket_.async_write_some(buffers, [self = shared_from_this()](error_code error, size_t written) {
    self->writing_ = false;
    if (self->closed_) return;
    if (error) return self->close();
    self->on_written(written);
  });
}

void Connection::on_written(size_t count) {
  while (count > 0) {
    const Piece& piece = out_.front();
    const size_t taken = std::min(count, piece.bytes.size() - sent_);
    if (piece.counted) state_->waiting -= taken;
    count -= taken;
    sent_ += taken;
    if (sent_ < piece.bytes.size()) break;
    out_.pop_front();
    sent_ = 0;
  }
  if (out_.empty()) disarm(stuck_);
  flush();
}

// Everything that was pushed is with the system.
void Connection::on_flushed() {
  if (phase_ == Phase::kClosing) return linger();
  if (phase_ == Phase::kAnswer && ended_) end_answer();
}

void Connection::end_answer() {
  state_->whole = true;
  state_->on_gone = nullptr;
  state_.reset();
  if (close_after_) {
    phase_ = Phase::kClosing;
    return linger();
  }
  phase_ = Phase::kIdle;
  if (in_.empty()) release(in_);
  arm(shared_.limits.idle);
  advance();
  watch();
}

// Says that nothing more comes and waits until the client closes: if the socket were closed with bytes unread, the
// client's system would throw away a reply that the client has not read yet.
void Connection::linger() {
  release(in_);
  if (read_end_) return close();
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  arm(kLinger);
  watch();
}

void Connection::arm(milliseconds time) {
  deadline_.expires_after(time);
  deadline_.async_wait([self = shared_from_this()](error_code error) {
    const bool moved = self->deadline_.expiry() > Clock::now();  // after this call was already on its way
    if (!error && !moved && !self->closed_) self->on_deadline();
  });
}

void Connection::arm_stuck() {
  queued_ = queued_bytes();
  stuck_.expires_after(shared_.limits.stuck);
  stuck_.async_wait([self = shared_from_this()](error_code error) {
    const bool moved = self->stuck_.expiry() > Clock::now();
    if (!error && !moved && !self->closed_) self->on_stuck();
  });
}

// The socket becomes writable again only once much of its buffer is free, which a slow client may need minutes for: so
// a client that takes anything from the buffer is given time again.
void Connection::on_stuck() {
  if (queued_bytes() >= queued_) return close();
  arm_stuck();
}

// Bytes that the system holds for the client.
int Connection::queued_bytes() {
  int bytes = 0;
  return ioctl(socket_.native_handle(), TIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

void Connection::on_deadline() {
  if (phase_ == Phase::kHead) return refuse(408, "the request's head did not come in time");
  if (phase_ == Phase::kBody) return refuse(408, "the request's body did not come in time");
  close();
}

// "localhost" is the IPv4 one: every machine has it, and browsers try both.
asio::ip::address parse_address(const std::string& text) {
  error_code error;
  auto address = asio::ip::make_address(text == "localhost" ? "127.0.0.1" : text, error);
  SUMI_CHECK_KIND(kUsage, !error, "`address` must be an IP address of this machine or localhost, not '{}'", text);
  return address;
}

std::string describe_peer(const asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  return address.to_string();
}

}  // namespace

struct HttpServer::Impl {
  Impl(const HttpOptions& options, HttpHandler handler);
  ~Impl();
  void listen(const HttpOptions& options);
  void accept();
  void welcome();
  void pause_accepting();
  void close_all();

  asio::io_context io;  // destroyed last, with the handlers in it
  asio::executor_work_guard<Executor> work{io.get_executor()};
  Connection::Shared shared;
  Acceptor acceptor{io.get_executor()};
  Socket next{io.get_executor()};
  Timer pause{io.get_executor()};
  std::unordered_map<Connection*, std::shared_ptr<Connection>> open;
  std::atomic<size_t> count{0};  // of those
  uint16_t port = 0;
};

HttpServer::Impl::Impl(const HttpOptions& options, HttpHandler handler)
    : shared{.limits = options.limits,
             .handler = std::move(handler),
             .admit = options.admit,
             .mailbox = std::make_shared<Mailbox>(io),
             .forget = [this](Connection* connection) {
               open.erase(connection);
               count = open.size();
             }} {
  listen(options);
  accept();
}

HttpServer::Impl::~Impl() {
  shared.mailbox->close();
  for (const auto& [key, connection] : open) connection->abandon();
}

void HttpServer::Impl::listen(const HttpOptions& options) {
  const Tcp::endpoint endpoint(parse_address(options.address), options.port);
  const auto check = [&](const error_code& error) {
    if (!error) return;
    if (error == asio::error::address_in_use) {
      fail(ErrorKind::kUnavailable, "port {} of {} is taken; choose another with `port`", options.port,
           options.address);
    }
    if (error == asio::error::access_denied) {
      fail(ErrorKind::kUnavailable,
           "port {} needs a privilege that this process lacks; choose one from 1024 on with `port`", options.port);
    }
    fail(ErrorKind::kUnavailable, "cannot listen on {} ({}); give an address of this machine with `address`",
         options.address, error.message());
  };
  error_code error;
  check(acceptor.open(endpoint.protocol(), error));
  check(acceptor.set_option(Acceptor::reuse_address(true), error));
  if (endpoint.address().is_v6()) check(acceptor.set_option(asio::ip::v6_only(false), error));
  check(acceptor.bind(endpoint, error));
  check(acceptor.listen(Acceptor::max_listen_connections, error));
  port = acceptor.local_endpoint().port();
}

void HttpServer::Impl::accept() {
  acceptor.async_accept(next, [this](error_code error) {
    if (!acceptor.is_open()) return;
    if (error) return pause_accepting();
    welcome();
    accept();
  });
}

// Too many open files, for instance: those who wait are taken once others have gone.
void HttpServer::Impl::pause_accepting() {
  pause.expires_after(kAcceptPause);
  pause.async_wait([this](error_code error) {
    if (!error && acceptor.is_open()) accept();
  });
}

void HttpServer::Impl::welcome() {
  Socket socket = std::move(next);  // which is then as new
  error_code error;
  const Tcp::endpoint peer = socket.remote_endpoint(error);
  if (error || open.size() >= shared.limits.connections) return;
  const auto connection = std::make_shared<Connection>(shared, std::move(socket), describe_peer(peer.address()));
  open.emplace(connection.get(), connection);
  count = open.size();
  connection->start();
}

void HttpServer::Impl::close_all() {
  error_code ignored;
  acceptor.close(ignored);
  const auto connections = open;  // close() changes it
  for (const auto& [key, connection] : connections) connection->close();
}

HttpServer::HttpServer(const HttpOptions& options, HttpHandler handler)
    : impl_(std::make_unique<Impl>(options, std::move(handler))) {}

HttpServer::~HttpServer() = default;

uint16_t HttpServer::port() const { return impl_->port; }
size_t HttpServer::connections() const { return impl_->count; }

void HttpServer::run() {
  for (;;) {
    try {
      impl_->io.run();
      return;
    } catch (const std::exception& error) {  // no memory for one connection, for instance: the others go on
      warn("server: {}", error.what());
    }
  }
}

void HttpServer::stop_accepting() {
  asio::post(impl_->io, [impl = impl_.get()] {
    error_code ignored;
    impl->acceptor.close(ignored);
    impl->shared.closing = true;
    const auto connections = impl->open;  // close() changes it
    for (const auto& [key, connection] : connections) connection->close_soon();
  });
}

void HttpServer::stop() {
  asio::post(impl_->io, [impl = impl_.get()] {
    impl->close_all();
    impl->io.stop();
  });
}

void HttpServer::after(milliseconds time, std::function<void()> call) {
  asio::post(impl_->io, [impl = impl_.get(), end = Clock::now() + time, call = std::move(call)] {
    const auto timer = std::make_shared<Timer>(impl->io.get_executor(), end);
    timer->async_wait([timer, call](error_code error) {
      if (!error) call_safely(call);
    });
  });
}

}  // namespace sumi::app
