// HTTP as text, without sockets: what http.cc reads from a request's target and writes as a reply's head.
#pragma once

#include <string>
#include <string_view>

#include "app/server/http.h"

namespace sumi::app {

std::string lower_case(std::string_view text);  // A to Z alone

// Splits and decodes "/path?name=value" into path and query. Returns what is wrong with it, a sentence; empty: nothing.
std::string_view read_target(std::string_view target, HttpRequest& request);

// How a client knows where a reply ends: by its length, by its last chunk, or by the end of the connection.
enum class Framing : unsigned char { kLength, kChunked, kConnection };

// The status line and all headers, with the empty line after them. `reply` must be sendable.
std::string head_of(const HttpReply& reply, Framing framing, bool close);

bool is_json(const HttpRequest& request);  // by its Content-Type
bool is_sendable(const HttpReply& reply);  // what HttpReply asks for
bool has_body(int status);                 // 204 and 304 have none

// An answer in one form for all errors: {"error": {"message": …, "code": …}}.
HttpReply refusal(int status, std::string_view message);

}  // namespace sumi::app
