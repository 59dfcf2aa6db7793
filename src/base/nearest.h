// "Did you mean": the known name that is spelled most like a given one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sumi {

// The nearest of `known` within two letter edits of `word`, one for a short word; empty if there is none. Time is
// proportional to the length of `word`, so the caller bounds it.
std::string nearest_of(std::string_view word, const std::vector<std::string>& known);

}  // namespace sumi
