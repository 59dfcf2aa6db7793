// make_synthetic: writes a synthetic checkpoint, for tests, benches and first steps without a download.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <map>

#include "base/check.h"
#include "base/parallel.h"
#include "tools/synthetic.h"

int main(int argc, char** argv) {
  using sumi::tools::CheckpointFormat;
  CLI::App app("Writes a synthetic Stable Diffusion checkpoint: weights that can be made again from their names");
  sumi::tools::SyntheticOptions options;
  std::string dtype = "f32";
  std::string out;
  int threads = 0;
  app.add_option("size", options.size, "sd1 (1.07 billion values) or tiny (17 million)")->required();
  app.add_option("--dtype", dtype, "f32, f16 or bf16")->capture_default_str();
  const std::map<std::string, CheckpointFormat> formats{{"safetensors", CheckpointFormat::kSafetensors},
                                                        {"ckpt", CheckpointFormat::kTorch},
                                                        {"diffusers", CheckpointFormat::kDiffusers}};
  app.add_option("--format", options.format, "safetensors, ckpt or diffusers (a folder)")
      ->transform(CLI::CheckedTransformer(formats));
  app.add_option("--variant", options.variant, "diffusers: name the weights so, for instance fp16");
  app.add_option("--tokenizer", options.tokenizer, "diffusers: copy vocab.json and merges.txt from this folder");
  app.add_option("--threads", threads, "threads, by default one a core")->check(CLI::Range(1, 1024));
  app.add_option("--out", out, "file or folder to write")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    if (threads > 0) sumi::set_num_threads(threads);
    options.dtype = sumi::dtype_from_name(dtype);
    sumi::tools::write_synthetic(out, options);
    std::printf("wrote %s\n", out.c_str());
    return 0;
  } catch (const sumi::Error& error) {
    std::fprintf(stderr, "make_synthetic: %s\n", error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_synthetic: %s\n", error.what());
    return static_cast<int>(sumi::ErrorKind::kInternal);
  }
}
