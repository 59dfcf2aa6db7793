// Enlarging as the web UI's "extras" are asked for it. Declared in webui_request.h.
#include <utility>

#include "app/server/webui_fields.h"
#include "app/server/webui_info.h"
#include "app/server/webui_request.h"
#include "app/server/webui_size.h"
#include "base/check.h"
#include "base/text_util.h"

namespace sumi::app {
namespace {

using Json = nlohmann::json;

constexpr int64_t kSide = 512;
constexpr double kMostScale = 64.0;

Upscaling upscaling_of(const WebFields& fields) {
  for (const char* name : {"gfpgan_visibility", "codeformer_visibility"})
    SUMI_CHECK_KIND(kUsage, fields.number(name, 0.0, 1.0).value_or(0.0) == 0.0,
                    "{}: faces are not restored; leave it out", fields.called(name));
  const std::string second = fields.text_or("upscaler_2", "None");
  SUMI_CHECK_KIND(kUsage, second == "None" || fields.number("extras_upscaler_2_visibility", 0, 1).value_or(0) == 0,
                  "`upscaler_2`: a second upscaler is not done; leave it out");
  const std::string upscaler = fields.text_or("upscaler_1", "None");
  Upscaling u{.upscaler = web_upscaler(upscaler)};
  SUMI_CHECK_KIND(kUsage, !upscaler.starts_with("Latent"),
                  "`upscaler_1`: \"{}\" is for drawing alone; see /sdapi/v1/upscalers", excerpt(upscaler));
  const int64_t mode = fields.whole("resize_mode", 0, 1).value_or(0);
  const double scale = fields.number("upscaling_resize", 0.0, kMostScale).value_or(2.0);
  if (upscaler == "None") {  // the picture as it is
    u.upscaler = "nearest";
    u.scale = 1.0;
  } else if (mode == 0) {
    SUMI_CHECK_KIND(kUsage, scale > 0.0, "`upscaling_resize` must be above 0");
    u.scale = scale;
  } else {
    u.width = fields.whole("upscaling_resize_w", 1, kMostWebSide).value_or(kSide);
    u.height = fields.whole("upscaling_resize_h", 1, kMostWebSide).value_or(kSide);
    u.crop = fields.flag("upscaling_crop", fields.flag("upscaling_resize_crop", true));
  }
  return u;
}

}  // namespace

Submission read_extra_image(const Json& body) {
  const WebFields fields(body);
  Submission submission{.upscaling = upscaling_of(fields)};
  submission.upscaling->picture = fields.picture("image");
  SUMI_CHECK_KIND(kUsage, !submission.upscaling->picture.empty(), "`image` must be given, a picture in base64");
  return submission;
}

Submission read_extra_batch(const Json& body) {
  const WebFields fields(body);
  Submission submission{.upscaling = upscaling_of(fields)};
  const char* name = fields.has("image_list") ? "image_list" : "imageList";  // some clients' name for it
  const Json* list = fields.list(name);
  SUMI_CHECK_KIND(kUsage, list != nullptr && list->size() == 1 && list->front().is_object(),
                  "{} must have one picture, {{\"data\", \"name\"}}; send several one by one", fields.called(name));
  const WebFields entry(list->front(), fmt::format(" in `{}`", name));
  submission.upscaling->picture = entry.picture(entry.has("data") ? "data" : "image");
  SUMI_CHECK_KIND(kUsage, !submission.upscaling->picture.empty(), "{} must be given, a picture in base64",
                  entry.called("data"));
  return submission;
}

}  // namespace sumi::app
