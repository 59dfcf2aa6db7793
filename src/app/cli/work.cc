// sumi work: draws the jobs of a queue that servers share.
#include <cstdio>
#include <memory>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/process.h"
#include "app/cli/serving.h"
#include "app/server/worker.h"
#include "base/check.h"

namespace sumi::app {
namespace {

struct WorkFlags {
  ServingFlags serving;
  int64_t heartbeat = 10;  // seconds
};

// Those that change bytes of pictures.
std::string options_of(const ServingFlags& flags) {
  const EngineFlags& engine = flags.engine;
  const ModelChoice& model = flags.model;
  return fmt::format("{} {} {} {}\n{}\n{}\n{}\n{}\n", engine.backend, engine.dtype, engine.exact, engine.precision,
                     model.config, model.vae, model.tokenizer, model.prediction);
}

int run(const WorkFlags& flags) {
  SUMI_CHECK_KIND(kUsage, !flags.serving.queue.empty(), "name the queue with --queue redis://host");
  SUMI_CHECK_KIND(kUsage, flags.heartbeat >= 1 && flags.heartbeat <= 3600,
                  "--heartbeat must be from 1 to 3600 seconds, not {}", flags.heartbeat);
  const RedisAddress address = flags.serving.queue_address();
  flags.serving.engine.apply();
  const StopsItself stops;
  const std::vector<ModelOptions> models = flags.serving.models();
  const Library library(library_folders(models));
  Shelf shelf(flags.serving.engine.options(), models, flags.serving.model_bytes());
  shelf.get("");  // a model that cannot be opened is told of now
  Worker worker(
      address, shelf, library,
      {.queue = {.heartbeat = std::chrono::seconds(flags.heartbeat)}, .drawn_with = options_of(flags.serving)});
  const Identity identity = own_identity();
  say(fmt::format("{} draws for {} (sumi {}, {})\n", worker.name(), address.shown(), identity.version,
                  identity.instructions));
  std::fflush(stdout);
  worker.run(stop_requested());
  return 0;
}

std::function<int()> declare(CLI::App& app) {
  auto flags = std::make_shared<WorkFlags>();
  add_integer(app, "--heartbeat", flags->heartbeat,
              "Seconds without a sign of life after which a worker's job goes to another; the same for all workers");
  add_serving_options(app, flags->serving);
  return [flags] { return run(*flags); };
}

const CommandRegistration kRegistration({
    .name = "work",
    .help = "Draw jobs that servers put into a queue in Redis",
    .examples = R"(Examples:
  sumi serve --queue redis://queue.lan --ckpt sd-v1-4.ckpt       # on one machine
  sumi work --queue redis://queue.lan --ckpt sd-v1-4.ckpt        # on each that draws
The first signal gives the job that is being drawn back to the queue and ends with code 0. docs/queue.md has the rest.
)",
    .declare = declare,
});

}  // namespace
}  // namespace sumi::app
