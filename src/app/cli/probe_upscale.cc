// sumi probe upscale: an upscaling model on given numbers.
#include <algorithm>
#include <memory>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/probe_io.h"
#include "base/check.h"
#include "models/upscaler/upscaler.h"

namespace sumi::app {
namespace {

struct UpscaleProbe {
  EngineFlags engine;
  std::string model, in, out;
};

// "x4_in0" → "x4_out0"; empty for a name that does not end in "in" and digits.
std::string output_name(const std::string& name) {
  const size_t last = name.find_last_not_of("0123456789");
  if (last == std::string::npos || last < 1 || name.compare(last - 1, 2, "in") != 0) return {};
  return name.substr(0, last - 1) + "out" + name.substr(last + 1);
}

int run(const UpscaleProbe& probe) {
  probe.engine.apply();
  ProbeOutput out(probe.out);
  const ProbeInput in(probe.in);
  const auto upscaler = models::Upscaler::open(probe.model, {.device = device_from_name(probe.engine.backend)});
  bool found = false;
  const auto listed = io::open_checkpoint(probe.in);
  for (const io::TensorInfo& info : listed->tensors()) {
    const std::string name = output_name(info.name);
    if (name.empty()) continue;
    found = true;
    const Tensor x = in.image(info.name);
    SUMI_CHECK(x.dim(3) == 3, "{}: \"{}\" must hold pictures [N,3,H,W], not {} channels", probe.in, info.name,
               x.dim(3));
    out.add_image(name, upscaler(x.to(upscaler.device())));
  }
  SUMI_CHECK(found, "{}: holds no tensor whose name ends in \"in\" and a number", probe.in);
  out.write();
  return 0;
}

std::function<int()> declare(CLI::App& app) {
  auto probe = std::make_shared<UpscaleProbe>();
  app.add_option("--model", probe->model, "Upscaling model: .pth or .safetensors")->required()->type_name("FILE");
  app.add_option("--in", probe->in,
                 "Pictures in0, in1, … (safetensors, NCHW, in [0, 1]); names may begin with anything")
      ->required()
      ->type_name("FILE");
  app.add_option("--out", probe->out, "Where out0, out1, … go (safetensors, NCHW, float32, not clamped)")
      ->required()
      ->type_name("FILE");
  add_engine_options(app, probe->engine, false);
  return [probe] { return run(*probe); };
}

const CommandRegistration kRegistration({"probe upscale", "Upscaling model: in [B,3,H,W] -> out [B,3,sH,sW]", "",
                                         declare});

}  // namespace
}  // namespace sumi::app
