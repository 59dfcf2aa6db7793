// --like: the settings of a picture, where the command line leaves them open.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

#include "app/cli/generate.h"

namespace sumi::app {

void add_like_option(CLI::App& app, SharedFlags& flags);

// Of the picture file: what the job's request leaves open, the files that it names, and how the model was opened
// (precision, types, autoencoder, …) unless the command line has it. Files are looked for in the present folder, beside
// the picture, and where their kind is found by name. Says on standard error what is not taken; warns of files that are
// not those that the picture was made with. Returns what was not taken, in words. Throws Error(kNoInput) for a file
// that is not found, with the option that gives it, and as engine::read_like.
std::vector<std::string> take_like(const std::string& file, const SharedFlags& flags, GenerateJob& job);

}  // namespace sumi::app
