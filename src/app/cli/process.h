// The process's own affairs: standard streams, signals, and how an error ends it.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>

namespace sumi::app {

// Opens closed standard streams on /dev/null (else the next file opened would take their place and our messages would
// end up in it), ignores SIGPIPE, and catches SIGINT and SIGTERM: the first sets stop_requested(), the second ends the
// process.
void prepare_process();

// From now on a terminal that is closed asks to stop, too, instead of ending the process. For work that looks at
// stop_requested() and has something to save.
void stop_on_hangup();

// Set when the user asked to stop.
const std::atomic<bool>& stop_requested();

// Runs `body` and turns what it throws into one line on standard error and an exit code; after a signal the code is 128
// plus its number. Output that could not be written to standard output is an error, unless the reader is gone.
int guarded(const std::function<int()>& body);

// To standard output, and to standard error. Neither throws.
void say(std::string_view text);
void complain(std::string_view text);

// While one lives, a second signal waits for its end: a file that is being put in place is finished or removed.
class SignalsWait {
 public:
  SignalsWait();
  ~SignalsWait();
  SignalsWait(const SignalsWait&) = delete;
  SignalsWait& operator=(const SignalsWait&) = delete;
};

}  // namespace sumi::app
