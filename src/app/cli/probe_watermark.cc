// sumi probe watermark: the invisible watermark alone.
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/probe_io.h"
#include "base/check.h"
#include "image/png.h"
#include "image/read.h"
#include "image/watermark.h"
#include "ops/layout.h"

namespace sumi::app {
namespace {

using image::Bits;
using image::Image;

struct WatermarkProbe {
  EngineFlags engine;
  std::string in, out;
  std::vector<std::string> pictures;
  std::string sdxl_picture;
};

Tensor as_tensor(const Bits& bits) {
  return Tensor::from(std::vector<int64_t>(bits.begin(), bits.end()), {static_cast<int64_t>(bits.size())});
}
Tensor as_tensor(const Image& picture) { return Tensor::from(picture.pixels, {picture.height, picture.width, 3}); }

// The pictures and bits of the input: tensors, files that options name, or files beside the input.
class Inputs {
 public:
  explicit Inputs(const WatermarkProbe& probe)
      : probe_(probe), file_(io::open_checkpoint(probe.in)), input_(probe.in) {}

  Bits bits(const std::string& name, const Bits& otherwise) const {
    if (!file_->has(name)) return otherwise;
    Bits bits;
    for (const int64_t bit : HostView<int64_t>(input_.ids(name, 1))) {
      SUMI_CHECK(bit == 0 || bit == 1, "{}: \"{}\" must hold bits, 0 or 1, not {}", probe_.in, name, bit);
      bits.push_back(static_cast<uint8_t>(bit));
    }
    return bits;
  }

  // Numbered from 0 on.
  std::vector<Image> pictures() const {
    std::vector<Image> all;
    for (const std::string& file : probe_.pictures) all.push_back(image::read_picture({file}));
    if (!all.empty()) return all;
    while (const auto next = find("in" + std::to_string(all.size()))) all.push_back(*next);
    return all;
  }

  std::optional<Image> sdxl_picture() const {
    if (!probe_.sdxl_picture.empty()) return image::read_picture({probe_.sdxl_picture});
    return find("sdxl_in");
  }

 private:
  // A tensor of that name, else the file beside the input whose name ends in it.
  std::optional<Image> find(const std::string& name) const {
    if (file_->has(name)) return picture(name);
    std::filesystem::path beside = probe_.in;
    beside.replace_filename(beside.stem().string() + "_" + name + ".png");
    if (!std::filesystem::exists(beside)) return std::nullopt;
    return image::read_picture({beside});
  }

  Image picture(const std::string& name) const {
    const Tensor tensor = file_->tensor(name);
    SUMI_CHECK(tensor.dtype() == DType::kU8 && tensor.rank() == 3 && tensor.dim(2) == 3,
               "{}: \"{}\" must be u8 [H,W,3], not {} {}", probe_.in, name, name_of(tensor.dtype()),
               tensor.shape().str());
    Image out(tensor.dim(1), tensor.dim(0));
    const HostView<uint8_t> bytes(tensor);
    out.pixels.assign(bytes.begin(), bytes.end());
    return out;
  }

  const WatermarkProbe& probe_;
  std::unique_ptr<io::Checkpoint> file_;
  ProbeInput input_;
};

// u/127.5 - 1.
Tensor as_floats(const Image& picture) {
  Tensor x = Tensor::empty({1, picture.height, picture.width, 3});
  const HostEdit<float> values(x);
  for (int64_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(picture.pixels[static_cast<size_t>(i)]) / 127.5f - 1.0f;
  return x;
}

Image rounded(const Tensor& x) {
  Image out(x.dim(2), x.dim(1));
  const HostView<float> values(x);
  for (int64_t i = 0; i < values.size(); ++i)
    out.pixels[static_cast<size_t>(i)] = static_cast<uint8_t>(std::lround((values[i] / 2.0f + 0.5f) * 255.0f));
  return out;
}

void add_sdxl(const Image& picture, const Bits& bits, ProbeOutput& out) {
  constexpr int64_t kFirstRow = 96, kEndRow = 104;  // shown before rounding
  Tensor x = as_floats(picture);
  image::embed_sdxl_watermark(x, bits);
  const Image marked = rounded(x);
  out.add("sdxl_out", as_tensor(marked));
  if (picture.height >= kEndRow)
    out.add_image(fmt::format("sdxl_out_rows_{}_{}", kFirstRow, kEndRow),
                  crop(x, kFirstRow, kEndRow, 0, picture.width));
  out.add("sdxl_decoded", as_tensor(image::decode_watermark(marked, bits.size())));
  out.add("sdxl_decoded_unrounded_plane", as_tensor(image::decode_sdxl_watermark(marked, bits.size())));
}

int run_watermark(const WatermarkProbe& probe) {
  probe.engine.apply();
  const Inputs inputs(probe);
  const Bits bits = inputs.bits("bits", image::watermark_bits(image::kWatermarkText));
  const std::vector<Image> pictures = inputs.pictures();
  const std::optional<Image> sdxl = inputs.sdxl_picture();
  SUMI_CHECK(!pictures.empty() || sdxl,
             "{}: holds no picture \"in0\" or \"sdxl_in\", and none lies beside it; name one with --picture", probe.in);
  ProbeOutput out(probe.out);
  for (size_t k = 0; k < pictures.size(); ++k) {
    Image marked = pictures[k];
    image::embed_watermark(marked, bits);
    out.add(fmt::format("out{}", k), as_tensor(marked));
    out.add(fmt::format("decoded{}", k), as_tensor(image::decode_watermark(marked, bits.size())));
    out.add(fmt::format("decoded_unmarked{}", k), as_tensor(image::decode_watermark(pictures[k], bits.size())));
  }
  if (sdxl) add_sdxl(*sdxl, inputs.bits("sdxl_bits", image::sdxl_watermark_bits()), out);
  out.write();
  return 0;
}

constexpr const char* kHelp =
    R"(Inputs: bits [n] in i64 (otherwise those of StableDiffusionV1) and pictures in0, in1, … [H,W,3] in u8; sdxl_bits
(otherwise diffusers' 48) and the picture sdxl_in. A picture that is not in the file NAME.safetensors may lie beside it as
NAME_in0.png, …, NAME_sdxl_in.png, or be named by an option.
Outputs: out0 … (u8), decoded0 …, decoded_unmarked0 … (i64); sdxl_out (rounded), sdxl_out_rows_96_104 (before, in
[-1, 1]), sdxl_decoded (by the package's decoder) and sdxl_decoded_unrounded_plane.)";

std::function<int()> declare(CLI::App& app) {
  auto probe = std::make_shared<WatermarkProbe>();
  app.add_option("--in", probe->in, "Bits and pictures (safetensors)")->required()->type_name("FILE");
  app.add_option("--out", probe->out, "Pictures with the watermark, and the bits read from them (safetensors)")
      ->required()
      ->type_name("FILE");
  add_repeatable(app, "--picture", probe->pictures, "FILE", "A picture file in place of in0, in1, …");
  app.add_option("--sdxl-picture", probe->sdxl_picture, "A picture file in place of sdxl_in")->type_name("FILE");
  add_engine_options(app, probe->engine, false);
  return [probe] { return run_watermark(*probe); };
}

const CommandRegistration kRegistration({"probe watermark", "Watermark: bits, pictures -> marked pictures, read bits",
                                         kHelp, declare});

}  // namespace
}  // namespace sumi::app
