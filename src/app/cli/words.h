// From the library's words to those of the command line.
//
// The library's sentences name fields of a request in backquotes: "`steps` must be from 1 to 10000, not 0". A person
// at the command line knows options and commands instead: "--steps must be …".
#pragma once

#include <set>
#include <string>

#include "sumi/error.h"

namespace sumi::app {

// The sentence with each field in backquotes that has an option among `options` ("--steps") replaced by that option's
// name. Other texts in backquotes stay as they are.
std::string in_options(const std::string& sentence, const std::set<std::string>& options);

// The command that helps with an error of the library, to be put after its sentence: "; `sumi pull tokenizer` fetches
// one". Empty: none is known.
std::string hint_for(ErrorKind kind, const std::string& sentence);

}  // namespace sumi::app
