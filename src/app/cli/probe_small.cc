// sumi probe tokens and randn: the tokenizer and the random numbers alone.
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/output.h"
#include "app/cli/probe_io.h"
#include "app/places.h"
#include "base/atomic_file.h"
#include "base/check.h"
#include "base/rng.h"
#include "engine/open.h"
#include "io/json_file.h"
#include "models/loading/open.h"

namespace sumi::app {
namespace {

struct TokensProbe {
  EngineFlags engine;
  ModelChoice model;
  std::string in, out;
};

constexpr int64_t kMaxPrompts = 64 << 20;  // bytes of the file

int run_tokens(const TokensProbe& probe) {
  probe.engine.apply();
  check_writable_file(probe.out);
  const nlohmann::json prompts = io::read_json_file(probe.in, kMaxPrompts);
  SUMI_CHECK(prompts.is_array(), "{}: must be a JSON list of prompts", probe.in);
  std::unique_ptr<io::Checkpoint> checkpoint;
  if (!probe.model.checkpoint.empty()) checkpoint = models::open_model_files(probe.model.checkpoint);
  const text::ClipTokenizer tokenizer =
      engine::load_tokenizer(checkpoint.get(), probe.model.checkpoint, probe.model.tokenizer, find_places());
  auto result = nlohmann::ordered_json::array();
  for (const auto& prompt : prompts) {
    SUMI_CHECK(prompt.is_string(), "{}: entry {} is not a string", probe.in, result.size());
    const auto text = prompt.get<std::string>();
    result.push_back({{"prompt", text}, {"ids", tokenizer.encode(text)}, {"padded", tokenizer.encode_padded(text)}});
  }
  AtomicFile file(probe.out);
  file.write(result.dump() + "\n");
  file.commit();
  return 0;
}

std::function<int()> declare_tokens(CLI::App& app) {
  auto probe = std::make_shared<TokensProbe>();
  app.add_option("--in", probe->in, "A JSON list of prompts")->required()->type_name("FILE");
  app.add_option("--out", probe->out, "A JSON list of {prompt, ids, padded}")->required()->type_name("FILE");
  add_model_options(app, probe->model);
  add_engine_options(app, probe->engine);
  return [probe] { return run_tokens(*probe); };
}

struct RandnProbe {
  EngineFlags engine;
  std::string seed = "0", rng = "cpu", out;
  int64_t count = 0;
};

constexpr int64_t kMaxCount = int64_t{1} << 30;

int run_randn(const RandnProbe& probe) {
  probe.engine.apply();
  SUMI_CHECK_KIND(kUsage, probe.count >= 1 && probe.count <= kMaxCount, "--count must be from 1 to {}, not {}",
                  kMaxCount, probe.count);
  const auto seed = parse_seed(probe.seed);
  SUMI_CHECK_KIND(kUsage, seed, "--seed must be from 0 to 2^64-1");
  const auto generator = make_generator(probe.rng, *seed);
  ProbeOutput out(probe.out);
  Tensor values = Tensor::empty({probe.count});
  const HostEdit<float> drawn(values);
  generator->randn(drawn.span());
  out.add("randn", values);
  out.write();
  return 0;
}

std::function<int()> declare_randn(CLI::App& app) {
  auto probe = std::make_shared<RandnProbe>();
  app.add_option("--seed", probe->seed, "0 to 2^64-1")->type_name("N")->default_str(probe->seed);
  add_integer(app, "--count", probe->count, "Number of values, in one draw")->required();
  app.add_option("--rng", probe->rng, "Whose numbers: PyTorch's on the cpu, or on cuda")
      ->type_name("KIND")
      ->default_str("cpu");
  app.add_option("--out", probe->out, "Where the tensor \"randn\" goes (safetensors)")->required()->type_name("FILE");
  add_engine_options(app, probe->engine);
  return [probe] { return run_randn(*probe); };
}

const CommandRegistration kTokensRegistration({"probe tokens", "Tokenizer: prompts -> ids and padded ids", "",
                                               declare_tokens});
const CommandRegistration kRandnRegistration({"probe randn", "Random numbers: seed, count -> randn", "",
                                              declare_randn});

}  // namespace
}  // namespace sumi::app
