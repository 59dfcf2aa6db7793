// Errors a person or a file caused: one exception type, one macro to raise it.
//
// SUMI_CHECK states what must hold and, in a sentence, what is wrong and what to do next. The message is a fmt
// string. Our own bugs are assertions or Error(kInternal). Only app/ catches.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace sumi {

// The kind of error; the values are the process's exit codes (BSD sysexits).
enum class ErrorKind : int {
  kUsage = 64,         // the command line or a request is wrong
  kData = 65,          // a file's contents are wrong
  kNoInput = 66,       // a file is missing or cannot be read
  kUnavailable = 69,   // this build or machine cannot do it (no such backend, not enough memory)
  kInternal = 70,      // numbers went wrong (NaN latents)
  kCannotCreate = 73,  // an output cannot be written
  kIo = 74,            // a read or write failed
  kCancelled = 130,    // interrupted by the user
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
};

template <class... Args> [[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace sumi

// SUMI_CHECK(condition, "format", args...): throws Error(kData) unless the condition holds.
#define SUMI_CHECK(condition, ...) SUMI_CHECK_KIND(kData, condition, __VA_ARGS__)

// SUMI_CHECK_KIND(kUsage, condition, "format", args...): the same with another ErrorKind.
#define SUMI_CHECK_KIND(error_kind, condition, ...)             \
  do {                                                          \
    if (!(condition)) [[unlikely]] {                            \
      ::sumi::fail(::sumi::ErrorKind::error_kind, __VA_ARGS__); \
    }                                                           \
  } while (false)
