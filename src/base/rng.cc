#include "base/rng.h"

#include "base/check.h"

namespace sumi {

std::unique_ptr<Generator> make_generator(std::string_view name, uint64_t seed) {
  if (name == "cpu") return std::make_unique<TorchCpuGenerator>(seed);
  if (name == "cuda") return std::make_unique<TorchCudaGenerator>(seed);
  if (name == "numpy") return std::make_unique<NumpyGenerator>(seed);
  fail(ErrorKind::kUsage, "unknown random generator \"{}\"; use cpu or cuda", name);
}

}  // namespace sumi
