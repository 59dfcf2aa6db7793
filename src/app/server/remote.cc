#include "app/server/remote.h"

#include <string_view>

#include "base/check.h"
#include "engine/resolve.h"

namespace sumi::app {
namespace {

void check_picture(std::string_view field, const std::string& text) {
  SUMI_CHECK_KIND(kUsage, text.empty() || text.starts_with("data:"),
                  "{} must be given whole, as \"data:image/png;base64,…\": a server opens no file and fetches nothing",
                  field);
}

void check_none(std::string_view field, bool given) {
  SUMI_CHECK_KIND(kUsage, !given, "{} names files, which a server does not open for others", field);
}

}  // namespace

void check_remote(const Request& r) {
  check_picture("`init`", r.init);
  check_picture("`mask`", r.mask);
  for (const Control& control : r.controls) check_picture("a control's `image`", control.image);
  check_none("a control's `model`", !r.controls.empty());
  check_none("`loras`", !r.loras.empty());
  check_none("`lora_folder`", !r.lora_folder.empty());
  check_none("`embeddings`", !r.embeddings.empty());
  check_none("`embedding_folder`", !r.embedding_folder.empty());
  check_none("`safety_checker`", !r.safety_checker.empty());
  const bool file = r.hires && r.hires->upscaler && !engine::is_upscaler_name(*r.hires->upscaler);
  check_none("the `upscaler` of `hires`", file);
}

}  // namespace sumi::app
