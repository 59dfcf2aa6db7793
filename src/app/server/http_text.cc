#include "app/server/http_text.h"
#include "io/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace sumi::app {
namespace {

const std::string* find(const HttpHeaders& pairs, std::string_view name) {
  const auto found = std::find_if(pairs.begin(), pairs.end(), [&](const auto& pair) { return pair.first == name; });
  return found == pairs.end() ? nullptr : &found->second;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Calls `call` with each part of `text` between separators.
template <class Call> void for_each_part(std::string_view text, char separator, const Call& call) {
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    call(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

bool climbs(std::string_view path) {
  bool found = false;
  for_each_part(path, '/', [&](std::string_view part) { found = found || part == ".."; });
  return found;
}

bool decode_form(std::string_view text, std::string& out) {
  std::string spaced(text);
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  return decode_percent(spaced, out);
}

bool parse_query(std::string_view text, HttpHeaders& query) {
  bool good = true;
  for_each_part(text, '&', [&](std::string_view part) {
    if (part.empty()) return;
    const size_t equals = std::min(part.find('='), part.size());
    auto& [name, value] = query.emplace_back();
    good = good && decode_form(part.substr(0, equals), name) &&
           decode_form(part.substr(std::min(equals + 1, part.size())), value);
  });
  return good;
}

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || kMarks.find(c) != kMarks.npos;
  });
}

// Bytes from 0x80 on are left to the caller: they cannot end a header.
bool is_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

bool is_written_here(std::string_view name) {
  const std::string lower = lower_case(name);
  return lower == "content-type" || lower == "content-length" || lower == "connection" ||
         lower == "transfer-encoding" || lower == "x-content-type-options";
}

}  // namespace

const std::string* HttpRequest::header(std::string_view name) const { return find(headers, lower_case(name)); }
const std::string* HttpRequest::parameter(std::string_view name) const { return find(query, name); }

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c;
  return result;
}

bool decode_percent(std::string_view text, std::string& out) {
  out.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return false;
      const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return false;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return false;
    out += c;
  }
  return true;
}

std::string_view read_target(std::string_view target, HttpRequest& request) {
  if (!target.starts_with('/')) return "the target must be a path that begins with /";
  if (target.find('#') != target.npos) return "the target must have no fragment";
  const size_t question = std::min(target.find('?'), target.size());
  if (!decode_percent(target.substr(0, question), request.path)) return "the path has a wrong percent escape";
  if (request.path.find('\\') != request.path.npos) return "the path must have no backslash";
  if (climbs(request.path)) return "the path must have no part ..";
  const std::string_view query = target.substr(std::min(question + 1, target.size()));
  return parse_query(query, request.query) ? std::string_view() : "the query has a wrong percent escape";
}

bool has_body(int status) { return status != 204 && status != 304; }

bool is_json(const HttpRequest& request) {
  const std::string* type = request.header("content-type");
  return type != nullptr && type->starts_with("application/json");
}

bool is_sendable(const HttpReply& reply) {
  if (reply.status < 200 || reply.status > 599 || !is_value(reply.type)) return false;
  return std::all_of(reply.headers.begin(), reply.headers.end(), [](const auto& header) {
    return is_token(header.first) && !is_written_here(header.first) && is_value(header.second);
  });
}

std::string head_of(const HttpReply& reply, Framing framing, bool close) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", reply.status, reason_of(reply.status));
  const auto add = [&](std::string_view name, std::string_view value) {
    head.append(name).append(": ").append(value).append("\r\n");
  };
  if (has_body(reply.status)) {
    add("Content-Type", reply.type);
    if (framing == Framing::kLength) add("Content-Length", std::to_string(reply.body.size()));
    if (framing == Framing::kChunked) add("Transfer-Encoding", "chunked");
  }
  add("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : reply.headers) add(name, value);
  if (close) add("Connection", "close");
  return head += "\r\n";
}

HttpReply refusal(int status, std::string_view message) {
  const std::string quoted = io::json_line(nlohmann::json(message));
  return {.status = status, .body = fmt::format(R"({{"error": {{"message": {}, "code": {}}}}})", quoted, status)};
}

std::string_view reason_of(int status) {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    default: return "Status";
  }
}

}  // namespace sumi::app
