#include "models/family.h"

#include <algorithm>
#include <tuple>

#include "base/check.h"

namespace sumi::models {
namespace {

std::vector<Family>& registry() {  // built on first use: registrations run before main, in no known order
  static std::vector<Family> families;
  return families;
}

}  // namespace

FamilyRegistration::FamilyRegistration(Family family) {
  auto& families = registry();
  families.push_back(std::move(family));
  std::sort(families.begin(), families.end(),
            [](const Family& a, const Family& b) { return std::tie(a.rank, a.name) < std::tie(b.rank, b.name); });
}

std::vector<Family> list_families() { return registry(); }

Family family_of(const ModelConfig& sizes) {
  for (const Family& family : registry()) {
    if (family.fits(sizes)) return family;
  }
  fail(ErrorKind::kUnavailable, "this build has no model family registered");
}

Family family_for(const ModelConfig& config) {
  for (const Family& family : registry()) {
    if (family.name == config.family) return family;
  }
  return family_of(config);
}

}  // namespace sumi::models
