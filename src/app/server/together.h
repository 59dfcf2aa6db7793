// Jobs that can be drawn in one network call: nothing but prompts and seeds sets them apart.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/server/jobs.h"

namespace sumi::app {

// Equal for submissions that can be drawn together; empty: this one is drawn by itself. `model` is the full name.
std::string together_key(const Submission& submission, const std::string& model);

// One submission that draws the pictures of all, in their order. Each has its seed, and the bytes that it has alone.
Submission joined(const std::vector<const Submission*>& all);

// The settings of the whole as those of one of its jobs (JSON).
std::string settings_of_one(const std::string& settings, const Submission& submission);

}  // namespace sumi::app
