#include "models/control/control_kind.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/text_util.h"

namespace sumi::models {
namespace {

struct Telltale {
  std::string_view part;  // of a tensor's name
  bool begins;            // the name begins with it
  const char* sentence;   // after "FILE: is "
};

// Of files that have a ControlNet's names as well, and of other networks that control. The surest signs come first.
constexpr Telltale kNotWhole[] = {
    {"lllite", false, "a ControlNet-LLLite, which is not supported; take a whole ControlNet"},
    {"lora_controlnet", true, "a ControlNet-LoRA, which is not supported; take a whole ControlNet"},
    {"difference", true, "a ControlNet as differences to a UNet, which is not supported; take a whole ControlNet"},
    {"control_model.difference", true,
     "a ControlNet as differences to a UNet, which is not supported; take a whole ControlNet"},
    {"control_add_embedding.", true, "a ControlNet-Union for SDXL, which is not supported; take a plain ControlNet"},
    {"controlnet_blocks.", true, "a ControlNet for a transformer, as in Flux and Stable Diffusion 3, not for a UNet"},
};
constexpr std::string_view kOwn[] = {"control_model.", "input_hint_block.", "controlnet_cond_embedding."};
constexpr Telltale kOthers[] = {
    {"ip_adapter", false, "an IP-Adapter, which is not supported"},
    {"image_proj", false, "an IP-Adapter, which is not supported"},
    {"to_k_ip", false, "an IP-Adapter, which is not supported"},
    {"lora_", false, "a LoRA; give it with `loras`"},
    {"lora.", false, "a LoRA; give it with `loras`"},
    {"hada_w1", false, "a LoRA; give it with `loras`"},
    {"lokr_w", false, "a LoRA; give it with `loras`"},
    {"adapter.", true, "a T2I-Adapter, which is not supported; take a ControlNet for the same kind of hint"},
    {"body.0.block1.", true, "a T2I-Adapter, which is not supported; take a ControlNet for the same kind of hint"},
    {"string_to_param", false, "a textual inversion embedding"},
    {"emb_params", false, "a textual inversion embedding"},
    {"model.diffusion_model.", true, "a whole model without a ControlNet; it draws by itself"},
    {"down_blocks.", true, "a UNet in diffusers' names without the encoder of hints that makes a ControlNet"},
    {"conv_first.", true, "a model that enlarges pictures"},
    {"model.0.weight", true, "a model that enlarges pictures"},
    {"first_stage_model.", true, "an autoencoder; give it with `vae`"},
    {"decoder.", true, "an autoencoder; give it with `vae`"},
};

bool has(const io::Checkpoint& file, std::string_view part, bool begins) {
  return std::any_of(file.tensors().begin(), file.tensors().end(), [&](const io::TensorInfo& info) {
    return begins ? info.name.starts_with(part) : info.name.find(part) != std::string::npos;
  });
}

void refuse(const io::Checkpoint& file, const Telltale& telltale) {
  SUMI_CHECK(!has(file, telltale.part, telltale.begins), "{}: is {}", file.path().string(), telltale.sentence);
}

bool begins_as_picture(std::string_view bytes) {
  using namespace std::string_view_literals;
  static constexpr std::string_view kMagic[] = {"\x89PNG\r\n\x1a\n"sv, "\xff\xd8\xff"sv, "GIF87a"sv, "GIF89a"sv};
  const auto at = [&](size_t from, std::string_view magic) {
    return bytes.size() > from && bytes.substr(from).starts_with(magic);
  };
  const bool known = std::any_of(std::begin(kMagic), std::end(kMagic), [&](auto magic) { return at(0, magic); });
  return known || (at(0, "RIFF") && at(8, "WEBP")) || (at(0, "BM") && at(6, "\0\0\0\0"sv)) || at(4, "ftyp");
}

}  // namespace

void check_no_picture(const std::filesystem::path& path) {
  char bytes[16] = {};
  std::ifstream stream(path, std::ios::binary);
  stream.read(bytes, sizeof bytes);
  SUMI_CHECK(!begins_as_picture({bytes, static_cast<size_t>(stream.gcount())}),
             "{}: is a picture and no ControlNet; the picture to follow is a control's `image`, and the network its "
             "`model`",
             path.string());
}

void check_is_control(const io::Checkpoint& file) {
  for (const Telltale& telltale : kNotWhole) refuse(file, telltale);
  if (std::any_of(std::begin(kOwn), std::end(kOwn), [&](auto own) { return has(file, own, true); })) return;
  for (const Telltale& telltale : kOthers) refuse(file, telltale);
  const std::string first = file.tensors().empty() ? "none at all" : excerpt(file.tensors().front().name);
  fail(ErrorKind::kData,
       "{}: is no ControlNet: no tensor begins with control_model., input_hint_block. or controlnet_cond_embedding. "
       "(the "
       "first is {})",
       file.path().string(), first);
}

}  // namespace sumi::models
