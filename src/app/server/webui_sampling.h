// Samplers and schedules as the web UI's clients name them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/server/webui_fields.h"

namespace sumi::app {

struct WebSampling {
  std::string sampler, schedule;  // registered names
};

// `sampler`: a name of the web UI's, which may end in a schedule's. `schedule`: a label or a name of /schedulers, or
// empty; `called`: what messages call its field, "`scheduler`". DDIM, PLMS and UniPC have a schedule of their own, as
// with the web UI, and go by another only where that is sumi's ("trailing", …); `warnings` tells of it. Throws
// Error(kUsage).
WebSampling web_sampling_of(const std::string& sampler, const std::string& schedule, const std::string& called,
                            std::vector<std::string>& warnings);

// `eta` for that sampler; none where it has no use for one, or takes only its own. Throws Error(kUsage).
std::optional<double> web_eta_of(const WebFields& fields, const std::string& sampler,
                                 std::vector<std::string>& warnings);

}  // namespace sumi::app
