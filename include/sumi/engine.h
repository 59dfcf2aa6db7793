// Stable Diffusion as a library: open a model, prepare a job, run it.
//
//   sumi::Engine engine;
//   sumi::Model model = engine.open({.path = "sd-v1-4.ckpt"});
//   sumi::Job job = model.prepare({.prompts = {"a red apple"}, .seed = 42});
//   job.run({.picture = [](sumi::Picture&& p) { sumi::write_png("apple.png", p.image, p.parameters); }});
//
// Engine, Model and Job are handles: copies mean the same object, which lives as long as a handle, a Model made from an
// Engine, or a Job made from a Model. All functions may be called from any thread; several jobs of one model may run at
// once, and each gives the bytes that it gives alone. Everything throws sumi::Error.
//
// An engine has its own threads, installs no signal handler and pins no thread unless its options ask for it, and reads
// no environment variable. Process-wide are only the table of mapped files (256 at most) and memory kept for reuse.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sumi/error.h"
#include "sumi/image.h"
#include "sumi/named_help.h"
#include "sumi/request.h"

namespace sumi {

struct EngineOptions {
  int64_t threads = 0;       // 1 to 1024; 0: one per core that the process may run on
  bool pin_threads = false;  // bind each worker thread to a core: fewer migrations where nothing else runs
  // Survive a model file that is cut short while it is mapped: installs a handler of SIGBUS for the whole process,
  // which passes on faults that are not its own. Without it such a file ends the process; with it the job fails.
  bool catch_truncated_files = false;
  int64_t memory_budget = 0;  // bytes that jobs and weights may take together; 0: what the machine has free. A job that
                              // does not fit beside those that run waits; one that can never fit is refused.
  std::string data_folder = {};  // has tokenizer/ and loras/; empty: none
  std::string hub_cache = {};    // of Hugging Face, where CLIP's tokenizer may be; empty: none
};

struct ModelOptions {
  std::string path = {};               // .ckpt, .safetensors, .gguf or a diffusers folder
  std::string name = {};               // under which Engine::model finds it; empty: the path
  std::string variant = {};            // of a diffusers folder: "fp16" reads *.fp16.safetensors; empty: the plain files
  std::string config = {};             // LDM configuration (YAML); empty: the folder's, else inferred from the tensors
  std::string vae = {};                // an autoencoder in place of the model's: a file or folder; "own": the model's,
                                       // even where NAME.vae.pt or .vae.safetensors lies beside it; empty: that one
  std::string preview_vae = {};        // a tiny autoencoder (TAESD) that draws previews; empty: a linear estimate
  std::string tokenizer = {};          // folder with vocab.json and merges.txt; empty: searched for
  std::string prediction = "auto";     // what the UNet predicts: "eps", "v", "x0"; "auto": as configured
  std::string backend = "cpu";         // a name of Engine::backends()
  std::string dtype = "auto";          // weights rounded to "f32", "f16", "bf16", "q8_0" or "q4_0"; "auto": as stored
  std::string precision = "autocast";  // what the networks compute in: "full", "f16", "bf16"; "autocast": full
  bool exact = false;                  // direct instead of Winograd convolutions: less rounding, slower
};

struct ModelInfo {
  std::string name = {}, path = {}, family = {}, format = {};
  int64_t default_size = 0;                 // pixels on each side
  std::string prediction = {};              // "eps", "v" or "x0"
  std::string sampler = {}, schedule = {};  // the model's own; empty: it names none, or the sampler's own schedule
  int64_t steps = 0;                        // 0: it names none
  double scale = 0.0;                       // 0: it names none
  int64_t multiple = 8;                     // of pixels, that width and height must be
  int64_t latent_channels = 4;
  bool loaded = false;                     // whether the weights are bound
  std::vector<std::string> warnings = {};  // of opening, and of loading by load(); a job that loads reports its own
};

// A request that was checked and parsed as far as no model is needed, so that what is wrong with it is found before a
// model is opened. Model::prepare takes it without doing that again. Never changes.
class SUMI_API CheckedRequest {
 public:
  struct Impl;
  // Throws Error(kUsage): numbers out of range, unknown samplers, prompts that are no text or whose syntax is broken.
  explicit CheckedRequest(const Request& request);
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

// A job, prepared and checked; it runs once.
class SUMI_API Job {
 public:
  struct Impl;
  explicit Job(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

  const Settings& settings() const;
  // Draws all pictures on the calling thread and the engine's, and returns when all are done. Loads the model's weights
  // if no job has. Throws Error(kCancelled) within a step of cancel(), Error(kInternal) where numbers are not finite,
  // Error(kUsage) if the job has run before, Error(kData) where a file of the model changed meanwhile.
  void run(const Hooks& hooks = {});
  // From any thread, at any time, also before run().
  void cancel();

 private:
  std::shared_ptr<Impl> impl_;
};

class SUMI_API Model {
 public:
  struct Impl;
  explicit Model(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

  ModelInfo info() const;
  // Binds the weights now rather than in the first job.
  void load();
  // Decides everything that the request leaves open, checks it, and plans its memory. Reads no weights. Throws
  // Error(kUsage) for what is wrong with the request, Error(kUnavailable) where memory will not do.
  Job prepare(const Request& request) const;
  Job prepare(const CheckedRequest& request) const;

 private:
  std::shared_ptr<Impl> impl_;
};

class SUMI_API Engine {
 public:
  struct Impl;
  explicit Engine(const EngineOptions& options = {});

  // Reads names and shapes, not weights. Throws Error(kNoInput) or Error(kData) naming the file, Error(kUnavailable)
  // for a backend that this build does not have, Error(kUsage) for a name that is taken. Where no tokenizer is
  // found, Model::prepare throws Error(kNoInput).
  Model open(const ModelOptions& options);
  // A model opened before, not closed, and kept by a handle or a job; Error(kUsage) that lists the names.
  Model model(const std::string& name) const;
  std::vector<std::string> models() const;
  // Forgets the name, if it is known; the model is freed once its handles and jobs are gone.
  void close(const std::string& name);

  static std::vector<NamedHelp> samplers();
  static std::vector<NamedHelp> schedules();
  static std::vector<NamedHelp> backends();
  static std::string version();  // "0.1.0"

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace sumi
