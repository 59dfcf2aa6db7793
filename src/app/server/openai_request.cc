#include "app/server/openai_request.h"

#include <algorithm>
#include <array>
#include <utility>

#include "app/server/openai_fields.h"
#include "app/server/openai_pictures.h"
#include "base/check.h"
#include "base/parse_number.h"
#include "base/text_util.h"

namespace sumi::app {
namespace {

// Steps for a quality that asks for less or more than the model's own number.
constexpr int64_t kLowSteps = 15, kHighSteps = 50;
constexpr double kFaithfulStrength = 0.5;  // for `input_fidelity` "high"

BadField bad_value(std::string_view field, const std::string& sentence) {
  return {sentence, std::string(field), "invalid_value"};
}

// Names of OpenAI's own models stand for the default one: clients send them unasked.
bool is_openai_name(const std::string& model) {
  return model.starts_with("gpt-image-") || model.starts_with("dall-e-") || model == "chatgpt-image-latest";
}

std::string model_of(const OpenaiFields& fields, const FindModel& find) {
  const std::string name = fields.text("model").value_or("");
  try {
    return find(name);
  } catch (const Error& error) {
    if (is_openai_name(name)) return find("");
    throw BadField(error.what(), "model", "model_not_found", 404);
  }
}

// "512x768"; nothing for "auto".
void read_size(const OpenaiFields& fields, Request& request) {
  const std::string size = fields.text("size").value_or("auto");
  if (size == "auto") return;
  const auto side = [&](std::string_view text) {
    const int64_t value = number_in<int64_t>(text).value_or(0);
    if (value <= 0)
      throw bad_value("size", fmt::format("`size` must be \"auto\" or as \"512x768\", not \"{}\"", excerpt(size)));
    return value;
  };
  const size_t cross = std::min(size.find('x'), size.size());
  request.width = side(std::string_view(size).substr(0, cross));
  request.height = side(std::string_view(size).substr(std::min(cross + 1, size.size())));
}

// What drawings of both kinds have in common.
Request request_of(const OpenaiFields& fields) {
  const auto prompt = fields.text("prompt");
  if (!prompt) throw BadField("Missing required parameter: 'prompt'.", "prompt", "missing_required_parameter");
  Request request{.prompts = {*prompt},
                  .negative_prompt = fields.text("negative_prompt"),
                  .copies = fields.whole("n", 1, 10),
                  .sampler = fields.text("sampler"),
                  .schedule = fields.text("schedule"),
                  .steps = fields.whole("steps"),
                  .scale = fields.number("scale"),
                  .seed = fields.seed("seed"),
                  .seeding = "picture"};
  read_size(fields, request);
  const std::string quality =
      fields.word("quality", {"auto", "standard", "low", "medium", "high", "hd", "xhigh", "max"}).value_or("auto");
  if (!request.steps && quality == "low") request.steps = kLowSteps;
  if (!request.steps && (quality == "high" || quality == "hd" || quality == "xhigh" || quality == "max"))
    request.steps = kHighSteps;
  return request;
}

FileFormat format_of(const OpenaiFields& fields) {
  const std::string name = fields.word("output_format", {"png", "jpeg", "webp"}).value_or("png");
  return name == "png" ? FileFormat::kPng : name == "jpeg" ? FileFormat::kJpeg : FileFormat::kWebp;
}

// How the answer is to look.
void read_answer(const OpenaiFields& fields, OpenaiRequest& out) {
  out.format = format_of(fields);
  const auto compression = fields.whole("output_compression", 0, 100);
  if (compression && out.format == FileFormat::kPng && *compression != 100)
    throw bad_value("output_compression",
                    "`output_compression` means nothing for PNG; take `output_format` jpeg or webp");
  out.compression = static_cast<int>(compression.value_or(100));
  out.quality = fields.text("quality").value_or("auto");
  const std::string background = fields.word("background", {"auto", "opaque", "transparent"}).value_or("auto");
  if (background == "transparent")
    throw bad_value("background", "`background` transparent is not to be had: models draw every pixel");
  fields.word("moderation", {"auto", "low"});
  if (fields.word("style", {"vivid", "natural"})) out.notes.emplace_back("`style` has no effect: say it in the prompt");
  out.url = fields.word("response_format", {"b64_json", "url"}).value_or("b64_json") == "url";
  if (out.url && out.format != FileFormat::kPng)
    throw bad_value("response_format", "`response_format` url gives PNG files; leave `output_format` out");
}

void read_stream(const OpenaiFields& fields, OpenaiRequest& out) {
  out.stream = fields.flag("stream");
  out.partial_images = fields.whole("partial_images", 0, 3).value_or(0);
  if (!out.stream && out.partial_images > 0)
    throw bad_value("partial_images", "`partial_images` needs `stream` to be true");
  if (!out.stream) return;
  if (out.url) throw bad_value("response_format", "a stream has pictures in base64; leave `response_format` out");
  if (out.submission.request.copies.value_or(1) > 1) throw bad_value("n", "Streaming is only supported with n=1.");
  out.submission.previews = out.partial_images > 0;
}

OpenaiRequest read_common(const OpenaiFields& fields, const FindModel& find) {
  OpenaiRequest out;
  out.submission = {.request = request_of(fields), .model = model_of(fields, find)};
  read_answer(fields, out);
  read_stream(fields, out);
  return out;
}

// How far the result is from the image.
void read_strength(const OpenaiFields& fields, OpenaiRequest& out) {
  Request& request = out.submission.request;
  const bool masked = !request.mask.empty();
  const bool faithful = fields.word("input_fidelity", {"low", "high"}).value_or("low") == "high";
  request.strength = fields.number("strength");
  if (faithful && (masked || request.strength))
    out.notes.emplace_back("`input_fidelity` has no effect beside a mask or `strength`");
  if (request.width) request.resize = "crop";  // nothing is stretched
  if (request.strength) return;
  if (faithful && !masked) request.strength = kFaithfulStrength;
  if (!masked) return;
  // All under the mask is new, beginning from the colours around it. The web UI's rules make use of them at full
  // strength too.
  request.strength = 1.0;
  request.mask_content = "fill";
  request.convention = "webui";
}

}  // namespace

const char* name_of(FileFormat format) {
  return format == FileFormat::kPng ? "png" : format == FileFormat::kJpeg ? "jpeg" : "webp";
}

OpenaiRequest read_generation(std::string_view json, const FindModel& find) {
  return read_common(OpenaiFields::of_generation(json), find);
}

OpenaiRequest read_edit(const std::vector<FormPart>& form, const FindModel& find) {
  const OpenaiFields fields = OpenaiFields::of_edit(form, {"image", "image[]", "mask"});
  OpenaiRequest out = read_common(fields, find);
  read_edit_pictures(form, out);
  read_strength(fields, out);
  return out;
}

std::string field_of(std::string_view sentence) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kNames{
      {{"prompts", "prompt"},
       {"negative_prompt", "negative_prompt"},
       {"copies", "n"},
       {"width", "size"},
       {"height", "size"},
       {"sampler", "sampler"},
       {"schedule", "schedule"},
       {"steps", "steps"},
       {"scale", "scale"},
       {"seed", "seed"},
       {"strength", "strength"},
       {"init", "image"},
       {"mask", "mask"},
       {"mask_blur", "mask"}}};
  const size_t begin = sentence.find('`');
  if (begin == std::string_view::npos) return "";
  const std::string_view name = sentence.substr(begin + 1, sentence.find('`', begin + 1) - begin - 1);
  const auto* found =
      std::find_if(kNames.begin(), kNames.end(), [&](const auto& known) { return known.first == name; });
  return found == kNames.end() ? "" : std::string(found->second);
}

}  // namespace sumi::app
