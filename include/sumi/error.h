// What every function of sumi throws: one sentence for a person, and a kind for a program.
#pragma once

#include <stdexcept>
#include <string>

#include "sumi/export.h"

namespace sumi {

// The kind of error; the values are the program's exit codes (BSD sysexits) and the C interface's status codes.
enum class ErrorKind : int {
  kUsage = 64,         // a request or an option is wrong
  kData = 65,          // a file's contents are wrong
  kNoInput = 66,       // a file is missing or cannot be read
  kUnavailable = 69,   // this build or machine cannot do it (no such backend, not enough memory)
  kInternal = 70,      // numbers went wrong (NaN latents), or a bug in sumi
  kCannotCreate = 73,  // an output cannot be written
  kIo = 74,            // a read or write failed
  kCancelled = 130,    // cancelled by the caller
};

// The message is one sentence that says what is wrong and what to do. Names in backquotes are fields of Request,
// ModelOptions or EngineOptions: "`steps` must be from 1 to 10000, not 0".
class SUMI_API Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
};

}  // namespace sumi
