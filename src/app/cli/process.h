// Process setup: standard streams, signals, and exit on errors.
#pragma once

#include <atomic>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "sumi/engine.h"

namespace sumi::app {

// Opens closed standard streams on /dev/null (otherwise the next file opened would get their number and our messages),
// ignores SIGPIPE and SIGXFSZ (writes then fail with an error that is told), lets jobs survive model files that are cut
// short, binds the pool's threads to cores, and catches SIGINT and SIGTERM: the first ends the process, removing its
// temporary files, unless a StopsItself lives; a second ends it in any case.
void prepare_process();

// From now on closing the terminal counts as the first signal. For work that has something to save.
void stop_on_hangup();

// Set when the user asked to stop.
const std::atomic<bool>& stop_requested();

// A promise to look at stop_requested() often and never to wait for a file: while one lives, the first signal only sets
// that.
class StopsItself {
 public:
  StopsItself();
  ~StopsItself();
  StopsItself(const StopsItself&) = delete;
  StopsItself& operator=(const StopsItself&) = delete;
};

// While one lives, the first signal cancels the job, from the signal's handler. At most one lives.
class StopCancels {
 public:
  explicit StopCancels(Job& job);
  ~StopCancels();
  StopCancels(const StopCancels&) = delete;
  StopCancels& operator=(const StopCancels&) = delete;

 private:
  StopsItself stops_;
};

// Runs `body` and turns an exception into one line on standard error, with what helps, and an exit code; after a signal
// the code is 128 plus its number. A failed write to standard output is an error, unless the reader has closed the
// pipe.
int guarded(const std::function<int()>& body);

// Print to standard output and to standard error. Neither throws.
void say(std::string_view text);
void complain(std::string_view text);

// The running command's long options ("--steps"), in which sentences are shown from now on. To be set before threads
// start.
void set_known_options(std::set<std::string> options);
// The sentence with its fields as options of the running command (words.h).
std::string in_options(const std::string& sentence);
// Prints "sumi: SENTENCE" to standard error, in options of the running command and without control characters.
void note(const std::string& sentence);

// Delays the end that a signal forces during its lifetime, so that a file being written is finished or removed.
class SignalsWait {
 public:
  SignalsWait();
  ~SignalsWait();
  SignalsWait(const SignalsWait&) = delete;
  SignalsWait& operator=(const SignalsWait&) = delete;
};

}  // namespace sumi::app
