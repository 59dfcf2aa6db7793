#include "app/server/openai_reply.h"

#include <span>
#include <utility>
#include <vector>

#include "app/server/router.h"
#include "base/base64.h"
#include "base/check.h"
#include "image/jpeg_writer.h"
#include "image/png.h"
#include "image/resize.h"
#include "image/webp.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kConflict = 409, kTooMany = 429;

std::string encoded(const Image& image, std::string_view parameters, const OpenaiRequest& asked) {
  switch (asked.format) {
    case FileFormat::kJpeg: return image::encode_jpeg(image, asked.compression, parameters);
    case FileFormat::kWebp: return image::encode_webp(image, asked.compression, parameters);
    default: break;
  }
  const std::vector<std::byte> bytes = image::encode_png(image);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

const char* type_of(int status) {
  if (status >= 500) return "server_error";
  return status == kTooMany ? "rate_limit_error" : "invalid_request_error";
}

}  // namespace

OpenaiError error_of(const std::exception& thrown) {
  if (const auto* field = dynamic_cast<const BadField*>(&thrown))
    return {.status = field->status, .message = field->what(), .param = field->param, .code = field->code};
  if (dynamic_cast<const QueueIsFull*>(&thrown) != nullptr)
    return {.status = kTooMany, .message = thrown.what(), .code = "rate_limit_exceeded"};
  if (const auto* error = dynamic_cast<const Error*>(&thrown))
    return {.status = status_of(error->kind()), .message = error->what(), .param = field_of(error->what())};
  return {.status = 500, .message = thrown.what()};
}

Json json_of(const OpenaiError& error) {
  const auto text_or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  return {{"error",
           {{"message", error.message},
            {"type", type_of(error.status)},
            {"param", text_or_null(error.param)},
            {"code", text_or_null(error.code)}}}};
}

HttpReply reply_of(const OpenaiError& error) {
  HttpReply reply{.status = error.status, .body = io::json_line(json_of(error))};
  if (error.status == kTooMany) reply.headers.emplace_back("Retry-After", std::to_string(QueueIsFull::kRetryAfter));
  // OpenAI's clients send a 409 again by themselves; here it means that someone has cancelled the job.
  if (error.status == kConflict) reply.headers.emplace_back("x-should-retry", "false");
  return reply;
}

std::string file_of(const KeptPicture& picture, const std::string& png, const OpenaiRequest& asked) {
  if (asked.format == FileFormat::kPng) return png;
  const Image image = image::decode_png(std::as_bytes(std::span(png))).image;
  return encoded(image, picture.parameters, asked);
}

std::string preview_file_of(std::string_view png, int64_t width, int64_t height, const OpenaiRequest& asked) {
  const auto bytes = from_base64(png);
  SUMI_CHECK_KIND(kInternal, bytes, "a preview is not base64");
  Image image = image::decode_png(*bytes).image;
  if (width > 0 && height > 0) image = image::resize(image, width, height);
  return encoded(image, {}, asked);
}

HttpReply pictures_reply(const Jobs& jobs, const JobView& view, const OpenaiRequest& asked, std::string_view address) {
  Json data = Json::array();
  for (const KeptPicture& picture : view.pictures) {
    Json entry;
    if (asked.url) {
      entry["url"] = fmt::format("{}/v1/jobs/{}/pictures/{}", address, view.id, picture.number);
    } else {
      const auto png = jobs.picture(view.id, picture.number);
      SUMI_CHECK_KIND(kUnavailable, png, "the job's pictures have been forgotten already; ask again");
      const std::string file = file_of(picture, *png, asked);
      entry["b64_json"] = base64_of(std::as_bytes(std::span(file)));
    }
    entry["seed"] = picture.seed;
    data.push_back(std::move(entry));
  }
  Json json{{"created", static_cast<int64_t>(view.finished)},
            {"background", "opaque"},
            {"data", std::move(data)},
            {"output_format", name_of(asked.format)},
            {"quality", asked.quality}};
  if (!view.pictures.empty())
    json["size"] = fmt::format("{}x{}", view.pictures.front().width, view.pictures.front().height);
  std::vector<std::string> warnings = asked.notes;
  warnings.insert(warnings.end(), view.warnings.begin(), view.warnings.end());
  if (!warnings.empty()) json["warnings"] = warnings;
  return {.headers = {{"Cache-Control", "no-store"}}, .body = io::json_line(json)};
}

}  // namespace sumi::app
