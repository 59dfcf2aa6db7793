// Model families: what a set of sizes is called, and what names and shapes alone cannot tell about it.
//
// A new family is one file in families/ that ends in a FamilyRegistration.
#pragma once

#include <string>
#include <vector>

#include "models/config.h"

namespace sumi::models {

struct Family {
  std::string name;  // "sd1"
  std::string help;  // one line for `sumi list families`
  int rank = 0;      // families are asked in this order; the first that fits gives its name
  // Whether networks of these sizes belong to the family. Looks at nothing that shapes don't tell (so not at heads).
  bool (*fits)(const ModelConfig& sizes);
  // Fills in what shapes don't tell: attention heads, noise schedule, picture size. Throws Error(kData) that
  // begins with `source`, the checkpoint's name, where it cannot be known.
  void (*complete)(ModelConfig& sizes, const std::string& source);
};

// By rank, then by name.
std::vector<Family> list_families();

// The family of these sizes; there always is one ("ldm" fits everything).
Family family_of(const ModelConfig& sizes);

struct FamilyRegistration {
  explicit FamilyRegistration(Family family);
};

// A sentence on what the checkpoint is where it is of a kind that is known and not supported (Stable Diffusion XL,
// Flux, …), else empty. Told by the names that only that kind has.
std::string unsupported_kind(const io::Checkpoint& checkpoint);

}  // namespace sumi::models
