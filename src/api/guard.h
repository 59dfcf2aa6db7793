// Turns what is thrown into a status and a sentence, so that no exception leaves the C interface.
#pragma once

#include <cxxabi.h>

#include <exception>
#include <new>
#include <utility>

#include "sumi.h"
#include "sumi/error.h"

namespace sumi::api {

// The sentence for the calling thread's last call that failed; "" before any.
const char* last_sentence() noexcept;

// Keeps `sentence` for last_sentence, without line breaks; returns `kind` as a status.
sumi_status remember(ErrorKind kind, const char* sentence) noexcept;

// Runs body(): SUMI_OK, or the status of what it threw. Not noexcept: a thread that ends by pthread_exit or
// pthread_cancel in a callback is unwound through here.
template <class Body> sumi_status guarded(Body&& body) {
  try {
    std::forward<Body>(body)();
    return SUMI_OK;
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (const Error& error) {
    return remember(error.kind(), error.what());
  } catch (const std::bad_alloc&) {
    return remember(ErrorKind::kUnavailable, "not enough memory");
  } catch (const std::exception& error) {
    return remember(ErrorKind::kInternal, error.what());
  } catch (...) {
    return remember(ErrorKind::kInternal, "an exception that is not of the standard library");
  }
}

}  // namespace sumi::api
