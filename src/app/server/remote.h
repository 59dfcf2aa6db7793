// Requests that come from elsewhere.
#pragma once

#include "sumi/request.h"

namespace sumi::app {

// Throws Error(kUsage) for a request that names files of this machine: pictures must be given whole (data URIs), and
// what else is a file has no place in it. LoRAs and embeddings named in prompts are found in the model's folders and
// sumi's own, by names alone.
void check_remote(const Request& request);

}  // namespace sumi::app
