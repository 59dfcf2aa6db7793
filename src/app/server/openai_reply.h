// Replies in the form of OpenAI's images API.
#pragma once

#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "app/server/http.h"
#include "app/server/jobs.h"
#include "app/server/openai_request.h"
#include "image/image.h"

namespace sumi::app {

struct OpenaiError {
  int status = 500;
  std::string message;
  std::string param = {}, code = {};  // empty: null
};

// What was thrown, as OpenAI's clients are told: BadField, QueueIsFull (429), an Error by its kind, else a 500.
OpenaiError error_of(const std::exception& thrown);
// {"error": {"message", "type", "param", "code"}}
nlohmann::ordered_json json_of(const OpenaiError& error);
// The same as a reply; with Retry-After for a 429.
HttpReply reply_of(const OpenaiError& error);

// A finished picture as a file of the format, with its parameters where the format has room for them. Throws
// Error(kUsage) for one that is too large for it.
std::string file_of(const KeptPicture& picture, const std::string& png, const OpenaiRequest& asked);
// A picture in the making, enlarged to that size (0: as it is). `png`: in base64.
std::string preview_file_of(std::string_view png, int64_t width, int64_t height, const OpenaiRequest& asked);

// {"created", "background", "data": [{"b64_json" or "url", "seed"}], "output_format", "quality", "size", "warnings"}:
// of a job that is done. `address`: of the server, as the client calls it, "http://localhost:7860". Encodes pictures,
// which takes time.
HttpReply pictures_reply(const Jobs& jobs, const JobView& view, const OpenaiRequest& asked, std::string_view address);

}  // namespace sumi::app
