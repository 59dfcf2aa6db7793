#include "app/server/http_parser.h"

#include <utility>
// Beast 1.74 asserts what a chunked body that comes byte by byte does not keep (basic_parser.ipp, `n >= 5`); without
// the assertion it is parsed rightly.
#define BOOST_DISABLE_ASSERTS
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

#include <algorithm>
#include <limits>

#include "app/server/http_text.h"

namespace sumi::app {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;

constexpr size_t kRequestLineRest = 64;  // of a request line, beside the target

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

// "HTTP/2.0" and the like as the third word of the request line.
bool has_other_version(std::string_view line) {
  line = line.substr(0, line.find("\r\n"));
  for (int word = 0; word < 2; ++word) {
    const size_t space = line.find(' ');
    if (space == line.npos) return false;
    line.remove_prefix(space + 1);
  }
  const auto is_digit = [&](size_t at) { return line[at] >= '0' && line[at] <= '9'; };
  return line.size() == 8 && line.starts_with("HTTP/") && is_digit(5) && line[6] == '.' && is_digit(7);
}

}  // namespace

// Parses one request, within the limits. Beast splits it; what Beast lets pass and this server does not, is refused
// here.
class RequestParser::Impl final : public beast::http::basic_parser<true> {
 public:
  explicit Impl(const HttpLimits& limits) : limits_(limits) {
    header_limit(std::numeric_limits<uint32_t>::max());  // both limits are kept here
    body_limit(std::numeric_limits<uint64_t>::max());
  }

  size_t take(std::string_view bytes);

  int status() const { return status_; }  // of the refusal; 0: nothing is wrong so far
  std::string_view message() const { return message_; }
  bool expects_continue() const;
  bool is_http10() const { return http10_; }
  HttpRequest request;

 private:
  using Field = beast::http::field;

  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target, int version,
                       error_code& error) override;
  void on_response_impl(int, beast::string_view, int, error_code&) override {}
  void on_field_impl(Field field, beast::string_view name, beast::string_view value, error_code& error) override;
  void on_header_impl(error_code& error) override;
  void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}
  size_t on_body_impl(beast::string_view bytes, error_code&) override { return append(bytes); }
  void on_chunk_header_impl(uint64_t size, beast::string_view, error_code& error) override;
  size_t on_chunk_body_impl(uint64_t, beast::string_view bytes, error_code&) override { return append(bytes); }
  void on_finish_impl(error_code&) override {}

  void check_lengths(std::string_view rest);
  void check_framing();
  void refuse_syntax(const error_code& error, std::string_view rest);
  void refuse(int status, std::string_view message) {
    if (status_ != 0) return;
    status_ = status;
    message_ = message;
  }
  // Ends Beast's parsing once something is refused.
  void report(error_code& error) const {
    if (status_ != 0) error = beast::http::error::bad_value;
  }
  size_t append(beast::string_view bytes) {
    request.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }

  const HttpLimits& limits_;
  int status_ = 0;
  std::string_view message_;  // a literal
  bool http10_ = false;
  size_t head_bytes_ = 0;  // taken so far
};

size_t RequestParser::Impl::take(std::string_view bytes) {
  size_t taken = 0;
  while (taken < bytes.size() && !is_done() && status_ == 0) {
    const bool in_head = !is_header_done();
    const std::string_view rest = bytes.substr(taken);
    error_code error;
    const size_t count = put(asio::const_buffer(rest.data(), rest.size()), error);
    taken += count;
    if (in_head) head_bytes_ += count;
    if (error == beast::http::error::need_more) break;
    if (error) refuse_syntax(error, rest);
  }
  check_lengths(bytes.substr(taken));
  return taken;
}

// `rest` has been read and is no whole line yet, or belongs to the next request.
void RequestParser::Impl::check_lengths(std::string_view rest) {
  if (is_header_done()) {
    if (head_bytes_ > limits_.header_bytes) refuse(431, "the headers are too long");
    if (!is_done() && rest.size() > limits_.header_bytes) refuse(400, "the body has a line that is too long");
  } else if (request.method.empty() && rest.size() > limits_.target_bytes + kRequestLineRest &&
             rest.find('\n') == rest.npos) {
    refuse(414, "the request line is too long");
  } else if (head_bytes_ + rest.size() > limits_.header_bytes) {
    refuse(431, "the headers are too long");
  }
}

void RequestParser::Impl::refuse_syntax(const error_code& error, std::string_view rest) {
  using Http = beast::http::error;
  if (error == Http::bad_version && has_other_version(rest)) refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  if (error == Http::header_limit) refuse(431, "a header is too long");  // one folded over several lines
  if (error == Http::bad_content_length || error == Http::bad_transfer_encoding)
    refuse(400, "the request's length is not clear");
  if (error == Http::bad_field || error == Http::bad_value) refuse(400, "a header has a wrong character");
  if (error == Http::bad_chunk || error == Http::bad_chunk_extension) refuse(400, "the body has a wrong chunk");
  refuse(400, "this is not HTTP");
}

void RequestParser::Impl::on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target,
                                          int version, error_code& error) {
  http10_ = version == 10;
  request.method = view(method);
  if (target.size() > limits_.target_bytes) {
    refuse(414, "the target is too long");
  } else if (const std::string_view wrong = read_target(view(target), request); !wrong.empty()) {
    refuse(400, wrong);
  }
  report(error);
}

void RequestParser::Impl::on_field_impl(Field field, beast::string_view name, beast::string_view value,
                                        error_code& error) {
  if (is_header_done()) return;  // after a chunked body; nobody needs them
  if (request.headers.size() >= limits_.headers) refuse(431, "there are too many headers");
  const std::string lower = lower_case(view(name));
  const auto before = std::find_if(request.headers.begin(), request.headers.end(),
                                   [&](const auto& header) { return header.first == lower; });
  if (before == request.headers.end()) {
    request.headers.emplace_back(lower, view(value));
  } else if (field == Field::host || field == Field::content_length) {
    refuse(400, "a header that may be given once is given twice");
  } else {
    before->second.append(", ").append(view(value));
  }
  report(error);
}

void RequestParser::Impl::on_header_impl(error_code& error) {
  check_framing();
  const std::string* coding = request.header("content-encoding");
  if (coding != nullptr && lower_case(*coding) != "identity") refuse(415, "send the body without Content-Encoding");
  if (content_length().value_or(0) > limits_.body_bytes) refuse(413, "the body is too long");
  report(error);
}

// One way to read where the request ends, so that no other program between can see another.
void RequestParser::Impl::check_framing() {
  if (!http10_ && request.header("host") == nullptr) refuse(400, "the Host header is missing");
  const std::string* coding = request.header("transfer-encoding");
  if (coding == nullptr) return;
  if (http10_ || request.header("content-length") != nullptr) refuse(400, "the request's length is not clear");
  if (lower_case(*coding) != "chunked") refuse(501, "the only Transfer-Encoding known here is chunked");
}

void RequestParser::Impl::on_chunk_header_impl(uint64_t size, beast::string_view, error_code& error) {
  if (size > limits_.body_bytes - request.body.size()) refuse(413, "the body is too long");
  report(error);
}

bool RequestParser::Impl::expects_continue() const {
  const std::string* expect = request.header("expect");
  return expect != nullptr && lower_case(*expect) == "100-continue" && !http10_;
}

RequestParser::RequestParser(const HttpLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;
size_t RequestParser::take(std::string_view bytes) { return impl_->take(bytes); }
bool RequestParser::is_header_done() const { return impl_->is_header_done(); }
bool RequestParser::is_done() const { return impl_->is_done(); }
int RequestParser::status() const { return impl_->status(); }
std::string_view RequestParser::message() const { return impl_->message(); }
bool RequestParser::expects_continue() const { return impl_->expects_continue(); }
bool RequestParser::is_http10() const { return impl_->is_http10(); }
bool RequestParser::keep_alive() const { return impl_->keep_alive(); }
HttpRequest& RequestParser::request() { return impl_->request; }

}  // namespace sumi::app
