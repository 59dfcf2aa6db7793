// sumi pull: fetches the tokenizer or a model folder; the work is in app/pull.h.
#include "app/pull.h"

#include <memory>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/output.h"
#include "app/cli/process.h"
#include "base/check.h"

namespace sumi::app {
namespace {

int run(PullOptions& options, int64_t retries) {
  SUMI_CHECK_KIND(kUsage, !options.what.empty(), "pull needs a name: sumi pull tokenizer, or sumi pull OWNER/NAME");
  SUMI_CHECK_KIND(kUsage, retries >= 0 && retries <= 100, "--retries must be from 0 to 100, not {}", retries);
  if (!options.out.empty()) check_output_folder(options.out);
  options.retries = static_cast<int>(retries);
  options.cancelled = [] { return stop_requested().load(); };
  const StopsItself stops;
  say(pull(options).string() + "\n");
  return 0;
}

std::function<int()> declare(CLI::App& app) {
  auto options = std::make_shared<PullOptions>();
  auto retries = std::make_shared<int64_t>(options->retries);
  app.add_option("what", options->what, "\"tokenizer\" (CLIP's vocabulary), or OWNER/NAME of a model")->type_name("");
  app.add_option("--out", options->out, "Folder to put it in; by default sumi's data folder")->type_name("DIR");
  app.add_option("--revision", options->revision, "Branch, tag or commit")
      ->type_name("NAME")
      ->default_str(options->revision);
  app.add_option("--endpoint", options->endpoint,
                 "The hub's address; by default $HF_ENDPOINT, else https://huggingface.co")
      ->type_name("URL");
  app.add_option("--token", options->token, "Access token; by default $HF_TOKEN")->type_name("TEXT");
  app.add_flag("--fp16", options->fp16, "Weights in half precision, where the model has them");
  add_integer(app, "--retries", *retries, "Retries when the connection breaks");
  app.add_flag("--quiet", options->quiet, "No progress bar");
  return [options, retries] { return run(*options, *retries); };
}

const CommandRegistration kRegistration({
    .name = "pull",
    .help = "Fetch the tokenizer or a whole model folder",
    .examples = R"(Examples:
  sumi pull tokenizer
  sumi pull CompVis/stable-diffusion-v1-4 --fp16
)",
    .declare = declare,
});

}  // namespace
}  // namespace sumi::app
