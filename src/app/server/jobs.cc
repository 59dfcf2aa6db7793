#include "app/server/jobs.h"

#include <chrono>
#include <random>

#include "base/check.h"

namespace sumi::app {

const char* name_of(JobState state) {
  switch (state) {
    case JobState::kQueued: return "queued";
    case JobState::kRunning: return "running";
    case JobState::kDone: return "done";
    case JobState::kFailed: return "failed";
    default: return "cancelled";
  }
}

std::optional<JobState> state_of(std::string_view name) {
  for (const JobState state :
       {JobState::kQueued, JobState::kRunning, JobState::kDone, JobState::kFailed, JobState::kCancelled}) {
    if (name == name_of(state)) return state;
  }
  return std::nullopt;
}

std::string new_job_id() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace sumi::app
