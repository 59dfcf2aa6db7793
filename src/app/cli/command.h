// The commands of the program: a registry to which each file of this folder adds its own.
//
// A new command is one file: a function that declares its options and returns the action, and a CommandRegistration.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <string>
#include <vector>

namespace sumi::app {

struct Command {
  std::string name;      // "txt2img"; or two words, "probe unet"
  std::string help;      // one line
  std::string examples;  // closes the command's --help; may be empty
  // Declares the options on `app` and returns the action to run once they are parsed; it returns the exit code or
  // throws Error. Options are named with dashes; the command line also accepts underscores.
  std::function<std::function<int()>(CLI::App& app)> declare;
};

struct CommandRegistration {
  explicit CommandRegistration(Command command);
};

// Every command, by name; the short form ("sumi PROMPT") has the empty name.
std::vector<const Command*> commands();

// The whole program except process setup: --help, --version, a command, or the short form. Returns the exit code;
// throws Error.
int run_program(const std::vector<std::string>& arguments);

// Parses `arguments` (without the command's name) and runs the command.
int run_command(const Command& command, std::vector<std::string> arguments);

}  // namespace sumi::app
