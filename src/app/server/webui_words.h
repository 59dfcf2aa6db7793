// The web UI's words for what the library's sentences name.
#pragma once

#include <string>

namespace sumi::app {

// A sentence of the library or of a job, which names fields of the library's request in backquotes, with the names that
// the web UI's API has for them.
std::string in_web_words(std::string sentence);

}  // namespace sumi::app
