// sumi probe resample: pictures and latents in other sizes.
#include <array>
#include <cmath>
#include <memory>
#include <optional>
#include <set>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/probe_io.h"
#include "base/check.h"
#include "base/parse_number.h"
#include "base/text_util.h"
#include "image/resize.h"
#include "ops/interpolate.h"

namespace sumi::app {
namespace {

constexpr std::array<const char*, 8> kModes{
    "nearest",           "nearest-exact",          "bilinear", "bicubic", "bilinear_antialias",
    "bicubic_antialias", "bilinear_align_corners", "area"};
constexpr std::array<const char*, 6> kFilters{"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"};
// Where the input names no outputs and no size is asked for.
constexpr std::array<const char*, 5> kTensorSizes{"14x18", "11x14", "13x5", "5x4", "3x7"};
constexpr std::array<const char*, 3> kScales{"1.5", "2.0", "0.6"};
constexpr std::array<const char*, 5> kPictureSizes{"48x64", "29x50", "13x17", "11x37", "40x9"};
constexpr int64_t kMostSide = 16384;
constexpr double kMostScale = 64.0;

struct ResampleProbe {
  EngineFlags engine;
  std::string in, out;
  std::vector<std::string> sizes, scales;
};

struct Size {
  int64_t height, width;
};

std::optional<Size> size_of(std::string_view text) {
  const size_t cross = text.find('x');
  if (cross == std::string_view::npos) return std::nullopt;
  const auto height = number_in<int64_t>(text.substr(0, cross)), width = number_in<int64_t>(text.substr(cross + 1));
  const auto fits = [](const std::optional<int64_t>& side) { return side && *side >= 1 && *side <= kMostSide; };
  if (!fits(height) || !fits(width)) return std::nullopt;
  return Size{*height, *width};
}

std::optional<double> scale_of(std::string_view text) {
  const auto scale = number_in<double>(text);
  return scale && std::isfinite(*scale) && *scale > 0.0 && *scale <= kMostScale ? scale : std::nullopt;
}

// An output by its name: torch_MODE_HxW, torch_MODE_scaleS, pillow_FILTER_HxW, pillow_FILTER_gray_HxW.
struct Output {
  std::string name;
  std::optional<Interpolation> mode;  // else a filter
  image::Filter filter = image::Filter::kNearest;
  bool gray = false;
  std::optional<Size> size;  // else a scale
  double scale = 0.0;
};

std::optional<Output> output_of(const std::string& name) {
  const size_t first = name.find('_'), last = name.rfind('_');
  if (first == std::string::npos || first == last) return std::nullopt;
  const std::string maker = name.substr(0, first), ending = name.substr(last + 1);
  std::string how = name.substr(first + 1, last - first - 1);
  Output out{.name = name};
  out.size = size_of(ending);
  if (maker == "torch") {
    out.mode = find_interpolation(how);
    if (!out.size) {
      const auto scale = ending.starts_with("scale") ? scale_of(ending.substr(5)) : std::nullopt;
      if (!scale) return std::nullopt;
      out.scale = *scale;
    }
    return out.mode ? std::optional(out) : std::nullopt;
  }
  constexpr std::string_view kGray = "_gray";
  out.gray = how.ends_with(kGray);
  if (out.gray) how.resize(how.size() - kGray.size());
  const auto filter = image::find_filter(how);
  if (maker != "pillow" || !filter || !out.size) return std::nullopt;
  out.filter = *filter;
  return out;
}

// The inputs that are there, and what is made of them.
class Resampling {
 public:
  explicit Resampling(const ResampleProbe& probe)
      : file_(io::open_checkpoint(probe.in)), input_(probe.in), path_(probe.in) {
    SUMI_CHECK(input_.has("torch_x") || input_.has("pillow_rgb") || input_.has("pillow_gray"),
               "{}: holds none of the tensors \"torch_x\", \"pillow_rgb\", \"pillow_gray\"", path_);
    if (input_.has("torch_x")) x_ = input_.image("torch_x");
    if (input_.has("pillow_rgb")) rgb_ = picture("pillow_rgb", 3);
    if (input_.has("pillow_gray")) gray_ = picture("pillow_gray", 1);
  }

  // The outputs that the input names; those of the sizes and scales asked for; without any the usual ones.
  std::vector<std::string> outputs(const ResampleProbe& probe) const {
    std::vector<std::string> names;
    for (const io::TensorInfo& info : file_->tensors())
      if (output_of(info.name)) names.push_back(info.name);
    for (const std::string& size : probe.sizes) {
      add_tensor_outputs(names, size);
      add_picture_outputs(names, size);
    }
    for (const std::string& scale : probe.scales) add_scaled_outputs(names, scale);
    if (!names.empty()) return names;
    for (const char* size : kTensorSizes) add_tensor_outputs(names, size);
    for (const char* scale : kScales) add_scaled_outputs(names, scale);
    for (const char* size : kPictureSizes) add_picture_outputs(names, size);
    return names;
  }

  void write(const std::string& name, ProbeOutput& to) const {
    const Output out = *output_of(name);
    if (out.mode) {
      SUMI_CHECK(x_, "{}: \"{}\" is made of the tensor \"torch_x\", which is missing", path_, name);
      to.add_image(name, interpolated(out));
      return;
    }
    const std::optional<image::Image>& picture = out.gray ? gray_ : rgb_;
    SUMI_CHECK(picture, "{}: \"{}\" is made of the tensor \"{}\", which is missing", path_, name,
               out.gray ? "pillow_gray" : "pillow_rgb");
    const image::Image made = image::resize(*picture, out.size->width, out.size->height, out.filter);
    Shape shape{made.height, made.width, 3};
    if (out.gray) shape = {made.height, made.width};
    to.add(name, Tensor::from(made.pixels, shape));
  }

 private:
  Tensor interpolated(const Output& out) const {
    if (out.size) return interpolate(x_, out.size->height, out.size->width, *out.mode);
    const int64_t height = scaled_side(x_.dim(1), out.scale), width = scaled_side(x_.dim(2), out.scale);
    SUMI_CHECK(height >= 1 && width >= 1 && height <= kMostSide && width <= kMostSide,
               "{}: {}x{} times {} makes sides of {} and {}, which must be from 1 to {}", path_, x_.dim(1), x_.dim(2),
               out.scale, height, width, kMostSide);
    return interpolate(x_, height, width, *out.mode, out.scale);
  }

  image::Image picture(const std::string& name, int64_t channels) const {
    const Tensor tensor = file_->tensor(name);
    const bool shaped = tensor.rank() == (channels == 1 ? 2 : 3) && (channels == 1 || tensor.dim(2) == channels);
    SUMI_CHECK(tensor.dtype() == DType::kU8 && shaped && tensor.numel() > 0, "{}: \"{}\" must be u8 [H,W{}], not {} {}",
               path_, name, channels == 1 ? "" : ",3", name_of(tensor.dtype()), tensor.shape().str());
    image::Image out(tensor.dim(1), tensor.dim(0), channels);
    const HostView<uint8_t> bytes(tensor);
    out.pixels.assign(bytes.begin(), bytes.end());
    return out;
  }

  void add_tensor_outputs(std::vector<std::string>& names, const std::string& size) const {
    if (!x_) return;
    for (const char* mode : kModes) names.push_back(fmt::format("torch_{}_{}", mode, size));
  }
  // PyTorch takes no scale factor for corners that are aligned otherwise, nor makes a difference for means.
  void add_scaled_outputs(std::vector<std::string>& names, const std::string& scale) const {
    if (!x_) return;
    for (const char* mode : kModes) {
      const auto known = find_interpolation(mode);
      if (known != Interpolation::kArea && known != Interpolation::kBilinearAlignCorners)
        names.push_back(fmt::format("torch_{}_scale{}", mode, scale));
    }
  }
  void add_picture_outputs(std::vector<std::string>& names, const std::string& size) const {
    for (const char* filter : kFilters) {
      if (rgb_) names.push_back(fmt::format("pillow_{}_{}", filter, size));
      if (gray_) names.push_back(fmt::format("pillow_{}_gray_{}", filter, size));
    }
  }

  std::unique_ptr<io::Checkpoint> file_;
  ProbeInput input_;
  std::string path_;
  Tensor x_;
  std::optional<image::Image> rgb_, gray_;
};

int run_resample(const ResampleProbe& probe) {
  probe.engine.apply();
  for (const std::string& size : probe.sizes)
    SUMI_CHECK_KIND(kUsage, size_of(size), "--size must be HEIGHTxWIDTH, each from 1 to {}, not {}", kMostSide,
                    excerpt(size));
  for (const std::string& scale : probe.scales)
    SUMI_CHECK_KIND(kUsage, scale_of(scale), "--scale must be over 0 and at most {}, not {}", kMostScale,
                    excerpt(scale));
  ProbeOutput out(probe.out);
  const Resampling resampling(probe);
  std::set<std::string> written;
  for (const std::string& name : resampling.outputs(probe))
    if (written.insert(name).second) resampling.write(name, out);
  out.write();
  return 0;
}

constexpr const char* kHelp =
    R"(Outputs are made by their names, of torch_x [N,C,H,W] as PyTorch's interpolate makes them, and of pillow_rgb [H,W,3]
and pillow_gray [H,W] in u8 as PIL's resize makes them:
  torch_MODE_HEIGHTxWIDTH      nearest, nearest-exact, bilinear, bicubic, bilinear_antialias, bicubic_antialias,
                               bilinear_align_corners, area
  torch_MODE_scaleS            the scale factor given in place of the size (not the last two modes)
  pillow_FILTER_HEIGHTxWIDTH   nearest, box, bilinear, hamming, bicubic, lanczos
  pillow_FILTER_gray_HEIGHTxWIDTH
Made are those that the input file names (its values are not looked at) and every mode and filter at each --size and
--scale. Where that is nothing: torch_* at 14x18, 11x14, 13x5, 5x4, 3x7 and the scales 1.5, 2.0, 0.6, and pillow_* at
48x64, 29x50, 13x17, 11x37, 40x9.)";

std::function<int()> declare(CLI::App& app) {
  auto probe = std::make_shared<ResampleProbe>();
  app.add_option("--in", probe->in, "torch_x, pillow_rgb, pillow_gray: at least one (safetensors)")
      ->required()
      ->type_name("FILE");
  app.add_option("--out", probe->out, "Where the outputs go (safetensors)")->required()->type_name("FILE");
  add_repeatable(app, "--size", probe->sizes, "HxW", "Every mode and filter at this height and width");
  add_repeatable(app, "--scale", probe->scales, "S", "Every mode at this scale factor");
  add_engine_options(app, probe->engine, false);
  return [probe] { return run_resample(*probe); };
}

const CommandRegistration kRegistration({"probe resample", "Resampling: torch_x, pillow_rgb -> other sizes", kHelp,
                                         declare});

}  // namespace
}  // namespace sumi::app
