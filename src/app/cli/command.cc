#include "app/cli/command.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "app/cli/arguments.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "base/log.h"

namespace sumi::app {
namespace {

std::vector<Command>& registry() {
  static std::vector<Command> commands;
  return commands;
}

constexpr const char* kIntroduction = R"(sumi: Stable Diffusion, text to image

  sumi "PROMPT" [-o FILE.png] [options]     one picture, the short way
  sumi COMMAND [options]

)";

constexpr const char* kExamples = R"(
Examples:
  sumi "a lighthouse at dusk, oil on canvas" --ckpt sd-v1-4.ckpt -o lighthouse.png
  sumi txt2img --prompt "a photograph of an astronaut riding a horse" --plms --ckpt sd-v1-4.ckpt --n_samples 4
  sumi pull tokenizer
  sumi inspect sd-v1-4.ckpt

`sumi COMMAND --help` lists a command's options, `sumi "" --help` those of the short form.
)";

// Words that look like commands and are none, and what to do instead.
struct NoCommand {
  std::string_view word, instead;
};
constexpr NoCommand kNoCommands[] = {
    {"inpaint", "sumi \"PROMPT\" --init FILE --mask MASK draws anew what is white in the mask"},
    {"outpaint", "sumi \"PROMPT\" --init FILE --extend L,R,T,B draws around a picture"},
    {"hires", "sumi \"PROMPT\" --hires 2 draws a second time, at twice the size"},
    {"controlnet", "sumi \"PROMPT\" --control MODEL:IMAGE follows a picture"},
};

// Two-word commands with the same first word share a line.
std::string help_text() {
  std::string text = kIntroduction;
  for (const Command* command : commands()) {
    if (!command->name.empty()) text += fmt::format("  {:<18}{}\n", command->name, command->help);
  }
  text += "  --help, --version\n";
  return text + kExamples;
}

const Command* find_command(const std::string& name) {
  const auto& all = registry();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Command& c) { return c.name == name; });
  return found == all.end() ? nullptr : &*found;
}

// The second words of two-word commands that begin with `word`, as a list; empty if there are none.
std::string second_words(const std::string& word) {
  std::string list;
  for (const Command* command : commands()) {
    if (command->name.starts_with(word + " ")) {
      list += (list.empty() ? "" : ", ") + command->name.substr(word.size() + 1);
    }
  }
  return list;
}

}  // namespace

CommandRegistration::CommandRegistration(Command command) { registry().push_back(std::move(command)); }

std::vector<const Command*> commands() {
  std::vector<const Command*> sorted;
  for (const Command& command : registry()) sorted.push_back(&command);
  std::sort(sorted.begin(), sorted.end(), [](const Command* a, const Command* b) { return a->name < b->name; });
  return sorted;
}

int run_command(const Command& command, std::vector<std::string> arguments) {
  const std::string called = command.name.empty() ? "sumi PROMPT" : "sumi " + command.name;
  CLI::App app(command.help, called);
  app.set_help_flag("-h,--help", "Show this help and exit");
  app.get_formatter()->column_width(38);
  if (!command.examples.empty()) app.footer("\n" + command.examples);
  const std::function<int()> run = command.declare(app);
  const std::vector<std::string> options = long_names(app);
  set_known_options({options.begin(), options.end()});
  arguments = normalise_arguments(app, arguments, command.name);
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    say(app.help());
    return 0;
  } catch (const CLI::ParseError& error) {
    fail(ErrorKind::kUsage, "{} ({} --help lists the options)", error.what(), called);
  }
  const CLI::Option* quiet = app.get_option_no_throw("--quiet");
  const bool says_warnings = quiet == nullptr || quiet->count() == 0;
  set_warning_sink([says_warnings](const std::string& message) {
    if (says_warnings) note("warning: " + message);
  });
  return run();
}

int run_program(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    complain(help_text());
    return static_cast<int>(ErrorKind::kUsage);
  }
  const std::string& first = arguments[0];
  if (first == "--help" || first == "-h" || first == "help") {
    say(help_text());
    return 0;
  }
  if (first == "--version") {
    say(fmt::format("sumi {}\n", SUMI_VERSION));
    return 0;
  }
  const std::string kinds = second_words(first);
  if (!kinds.empty()) {
    const Command* command = arguments.size() > 1 ? find_command(first + " " + arguments[1]) : nullptr;
    if (command != nullptr) return run_command(*command, {arguments.begin() + 2, arguments.end()});
    const std::string usage = fmt::format("usage: sumi {} WHAT [options], where WHAT is one of {}", first, kinds);
    if (arguments.size() == 2 && (arguments[1] == "--help" || arguments[1] == "-h")) {
      say(usage + "\n");
      return 0;
    }
    fail(ErrorKind::kUsage, "{}", usage);
  }
  if (const Command* command = find_command(first); command != nullptr && !first.empty()) {
    return run_command(*command, {arguments.begin() + 1, arguments.end()});
  }
  for (const auto& [word, instead] : kNoCommands)
    SUMI_CHECK_KIND(kUsage, first != word, "there is no sumi {}; {}", word, instead);
  const Command* short_form = find_command("");
  SUMI_CHECK_KIND(kUsage, short_form != nullptr, "there is no command {}", first);
  return run_command(*short_form, arguments);
}

}  // namespace sumi::app
