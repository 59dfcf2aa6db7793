// Errors a person or a file caused: one exception type, one macro to raise it.
//
// SUMI_CHECK states what must hold and, in a sentence, what is wrong and what to do next. The message is a fmt
// string. Our own bugs are assertions or Error(kInternal). Only app/ catches.
#pragma once

#include <fmt/format.h>

#include "sumi/error.h"  // Error and its kinds

namespace sumi {

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
