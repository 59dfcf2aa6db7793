#include "app/cli/process.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <new>

#include "app/cli/words.h"
#include "base/atomic_file.h"
#include "base/check.h"
#include "base/parallel.h"
#include "base/text_util.h"
#include "io/mapped_file.h"

namespace sumi::app {
namespace {

std::atomic<bool> stop{false};
std::atomic<int> stop_signal{0};
std::atomic<Job*> running_job{nullptr};
std::atomic<int> listeners{0};       // StopsItselfs alive
std::atomic<int> waits{0};           // SignalsWaits alive
std::atomic<bool> leave_now{false};  // a signal that ends the process came during a SignalsWait
int output_error = 0;                // errno of the first write to standard output that failed
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free &&
              std::atomic<Job*>::is_always_lock_free);

// Only what a signal handler may call. Temporary files go; what was printed and not yet written is lost.
[[noreturn]] void leave(int number) {
  remove_temporary_files();
  _exit(128 + number);
}

// Says so unless nobody reads: a full pipe must not hold up the end.
void say_stopped() {
  constexpr std::string_view kStopped = "sumi: stopped\n";
  pollfd stream{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (poll(&stream, 1, 0) == 1 && (stream.revents & POLLOUT) != 0)
    static_cast<void>(!write(STDERR_FILENO, kStopped.data(), kStopped.size()));
}

void on_signal(int number) {
  const int error = errno;
  const bool first = !stop.exchange(true);
  if (first) {
    stop_signal = number;
    if (Job* job = running_job) job->cancel();  // a store to an atomic
  }
  // A closed terminal may send several of SIGHUP; none forces an exit.
  const bool stops_itself = listeners > 0 && (first || number == SIGHUP);
  if (!stops_itself) {
    leave_now = true;
    if (waits == 0) {
      if (first) say_stopped();
      leave(number);
    }
  }
  errno = error;
}

void catch_signal(int number) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  struct sigaction before {};
  sigaction(number, nullptr, &before);
  if (before.sa_handler != SIG_IGN) sigaction(number, &action, nullptr);  // keeps signals ignored by nohup
}

std::set<std::string>& known_options() {
  static std::set<std::string> options;
  return options;
}

int report(const std::string& message, int exit_code) {
  note(message);
  return exit_code;
}

// Output must have been written; a reader that closes the pipe is not an error.
int finish_output(int exit_code) {
  if (std::fflush(stdout) != 0 && output_error == 0) output_error = errno;
  if (output_error == 0 || output_error == EPIPE) return exit_code;
  return report(std::string("writing to standard output failed: ") + std::strerror(output_error),
                static_cast<int>(ErrorKind::kIo));
}

}  // namespace

void prepare_process() {
  for (int stream = 0; stream < 3; ++stream) {
    if (fcntl(stream, F_GETFD) == -1 && errno == EBADF &&
        open("/dev/null", stream == 0 ? O_RDONLY : O_WRONLY) != stream) {
      std::_Exit(static_cast<int>(ErrorKind::kIo));
    }
  }
  set_pinning(true);
  io::catch_truncated_files();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a write over the limit of `ulimit -f` fails with EFBIG instead
  catch_signal(SIGINT);
  catch_signal(SIGTERM);
}

void stop_on_hangup() { catch_signal(SIGHUP); }

const std::atomic<bool>& stop_requested() { return stop; }

StopsItself::StopsItself() { ++listeners; }
StopsItself::~StopsItself() { --listeners; }

StopCancels::StopCancels(Job& job) {
  running_job = &job;
  if (stop) job.cancel();
}

StopCancels::~StopCancels() { running_job = nullptr; }

int guarded(const std::function<int()>& body) {
  try {
    return finish_output(body());
  } catch (const Error& error) {
    const bool stopped = error.kind() == ErrorKind::kCancelled;
    const int signal = stop_signal;
    return report(error.what() + hint_for(error.kind(), error.what()),
                  stopped && signal != 0 ? 128 + signal : error.exit_code());
  } catch (const std::bad_alloc&) {
    return report("out of memory", static_cast<int>(ErrorKind::kUnavailable));
  } catch (const std::filesystem::filesystem_error& error) {  // its own text repeats the library's words
    return report(error.path1().string() + ": " + error.code().message(), static_cast<int>(ErrorKind::kIo));
  } catch (const std::exception& error) {
    return report(error.what(), static_cast<int>(ErrorKind::kInternal));
  }
}

void say(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() && output_error == 0) output_error = errno;
}

void complain(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

void set_known_options(std::set<std::string> options) { known_options() = std::move(options); }

std::string in_options(const std::string& sentence) { return in_options(sentence, known_options()); }

void note(const std::string& sentence) { complain("sumi: " + strip_control(abridged(in_options(sentence))) + "\n"); }

SignalsWait::SignalsWait() { ++waits; }
SignalsWait::~SignalsWait() {
  if (--waits == 0 && leave_now) leave(stop_signal);
}

}  // namespace sumi::app
