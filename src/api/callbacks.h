// The callbacks of a C program as the hooks of a job.
#pragma once

#include "sumi.h"
#include "sumi/request.h"

namespace sumi::api {

// A copy of what `callbacks` has, the rest NULL. Throws Error(kUsage) for a `size` that is none: below a pointer's, not
// of whole pointers, far too large, or with callbacks that this library does not know. NULL: none.
sumi_callbacks read_callbacks(const sumi_callbacks* callbacks);

// Hooks for one run. They throw Error(kCancelled) where a callback returned other than 0, and Error(kUsage) where one
// threw, which it must not.
Hooks hooks_of(const sumi_callbacks& callbacks, void* user);

}  // namespace sumi::api
