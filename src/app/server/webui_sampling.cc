#include "app/server/webui_sampling.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "app/server/http_text.h"
#include "app/server/webui_info.h"
#include "base/check.h"
#include "base/text_util.h"
#include "diffusion/sampling.h"

namespace sumi::app {
namespace {

template <size_t n> bool is_among(const std::array<std::string_view, n>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_automatic(const std::string& schedule) { return schedule.empty() || lower_case(schedule) == "automatic"; }

// Whether the schedule is one of sumi's that the web UI does not have.
bool is_sumis(const std::string& schedule) {
  const std::vector<NamedHelp> all = diffusion::list_schedules();
  const bool known = std::any_of(all.begin(), all.end(), [&](const NamedHelp& one) { return one.name == schedule; });
  return known && diffusion::web_name_of_schedule(schedule, "euler") == schedule;
}

// Whether both are one schedule for that sampler, `name` perhaps none at all.
bool means(const std::string& name, const std::string& schedule, const std::string& sampler) {
  try {
    return diffusion::resolve_schedule(web_schedule_label(name), sampler) == schedule;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

WebSampling web_sampling_of(const std::string& sampler, const std::string& schedule, const std::string& called,
                            std::vector<std::string>& warnings) {
  constexpr std::array<std::string_view, 3> kOwnSchedule{"ddim", "plms", "unipc"};
  WebSampling out;
  std::string named;
  out.sampler = diffusion::resolve_sampler(sampler, &named);
  const std::string asked = is_automatic(schedule) ? named : schedule;
  if (is_among(kOwnSchedule, out.sampler) && !is_sumis(asked)) {
    out.schedule = diffusion::resolve_schedule("Automatic", out.sampler);
    if (!asked.empty() && !means(asked, out.schedule, out.sampler))
      warnings.push_back(fmt::format("the sampler {} has its own schedule; {} \"{}\" is not used",
                                     diffusion::web_name_of_sampler(out.sampler), called, excerpt(asked)));
    return out;
  }
  out.schedule = is_automatic(schedule) && !named.empty()
                     ? named
                     : diffusion::resolve_schedule(web_schedule_label(schedule), out.sampler);
  SUMI_CHECK_KIND(kUsage, named.empty() || named == out.schedule,
                  "the sampler \"{}\" means the schedule {}, but {} says {}", excerpt(sampler), named, called,
                  excerpt(schedule));
  diffusion::check_sampler(out.sampler, out.schedule);
  return out;
}

// DDIM has none by itself, ancestral samplers have 1, others have no use for it. Older clients send 0 for the default.
std::optional<double> web_eta_of(const WebFields& fields, const std::string& sampler,
                                 std::vector<std::string>& warnings) {
  constexpr std::array<std::string_view, 5> kAncestral{"euler_ancestral", "dpm_2_ancestral", "dpmpp_2s_ancestral",
                                                       "dpmpp_sde", "dpmpp_2m_sde"};
  const auto eta = fields.number("eta", 0.0, 1.0);
  if (!eta) return {};
  if (sampler == "ddim") return eta;
  if (!is_among(kAncestral, sampler)) return {};
  const std::string name = diffusion::web_name_of_sampler(sampler);
  SUMI_CHECK_KIND(kUsage, *eta == 0.0 || *eta == 1.0, "`eta` of the sampler {} is 1 here, not {}", name, *eta);
  if (*eta == 0.0) warnings.push_back(fmt::format("`eta` 0 is taken as not given: that of the sampler {} is 1", name));
  return {};
}

}  // namespace sumi::app
