// An entry of a list of what there is: samplers, schedules, backends.
#pragma once

#include <string>
#include <vector>

namespace sumi {

struct NamedHelp {
  std::string name = {}, help = {};
  std::vector<std::string> aliases = {};
};

}  // namespace sumi
