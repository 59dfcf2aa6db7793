// Runs a program as a child process and keeps its output.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace sumi::test {

struct Outcome {
  int code = -1;  // exit status; 128 + the signal's number if one killed it
  bool killed = false;
  std::string out, err;
  double cpu_seconds = 0.0;  // processor time of all its threads
};

struct RunOptions {
  std::filesystem::path folder;                                  // working folder; empty: this process's
  std::vector<std::pair<std::string, std::string>> environment;  // set in addition to the inherited one
  std::string stdout_file;                                       // instead of keeping it
  bool close_stdout = false;
  std::optional<rlim_t> address_space;  // bytes, RLIMIT_AS
  std::optional<rlim_t> file_size;      // bytes, RLIMIT_FSIZE
};

// A running program; wait() must be called once.
class Child {
 public:
  Child(const std::vector<std::string>& command, const RunOptions& options)
      : out_(memfd_create("out", MFD_CLOEXEC)), err_(memfd_create("err", MFD_CLOEXEC)) {
    std::vector<char*> argv;
    argv.reserve(command.size() + 1);
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("cannot fork");
    if (pid_ == 0) become(argv.data(), options);
  }
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(out_);
    close(err_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  void send(int signal) const { ::kill(pid_, signal); }
  std::string out() const { return content(out_); }
  std::string err() const { return content(err_); }
  // Processor time that it has had so far.
  double cpu_seconds() const {
    clockid_t clock{};
    timespec time{};
    if (clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &time) != 0)
      throw std::runtime_error("cannot read the child's processor time");
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

  // False if the program ended before `condition` held, or after ten minutes, when it is taken to hang.
  bool wait_until(const std::function<bool()>& condition) const {
    for (int i = 0; i < 60'000; ++i) {
      if (condition()) return true;
      siginfo_t info{};
      if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid_) {
        return condition();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  Outcome wait() {
    int status = 0;
    rusage usage{};
    wait4(pid_, &status, 0, &usage);
    pid_ = -1;
    Outcome outcome;
    for (const timeval& time : {usage.ru_utime, usage.ru_stime})
      outcome.cpu_seconds += static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    outcome.killed = WIFSIGNALED(status);
    outcome.code = outcome.killed ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    outcome.out = content(out_);
    outcome.err = content(err_);
    return outcome;
  }

 private:
  [[noreturn]] void become(char** argv, const RunOptions& options) const {
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null, 0);
    dup2(err_, 2);
    if (options.close_stdout) {
      close(1);
    } else if (!options.stdout_file.empty()) {
      dup2(open(options.stdout_file.c_str(), O_WRONLY | O_CLOEXEC), 1);
    } else {
      dup2(out_, 1);
    }
    if (!options.folder.empty() && chdir(options.folder.c_str()) != 0) _exit(127);
    for (const auto& [name, value] : options.environment) setenv(name.c_str(), value.c_str(), 1);
    if (options.address_space) {
      const rlimit limit{*options.address_space, *options.address_space};
      setrlimit(RLIMIT_AS, &limit);
    }
    if (options.file_size) {
      const rlimit limit{*options.file_size, *options.file_size};
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    // A shell starts its background jobs with these ignored, and children inherit that.
    for (const int ignored : {SIGHUP, SIGINT, SIGQUIT}) ::signal(ignored, SIG_DFL);
    execv(argv[0], argv);
    _exit(127);
  }

  static std::string content(int file) {
    std::string text(static_cast<size_t>(lseek(file, 0, SEEK_END)), '\0');
    text.resize(static_cast<size_t>(std::max<ssize_t>(pread(file, text.data(), text.size(), 0), 0)));
    return text;
  }

  int out_, err_;
  pid_t pid_ = -1;
};

inline Outcome run_program(const std::vector<std::string>& command, const RunOptions& options = {}) {
  return Child(command, options).wait();
}

}  // namespace sumi::test
