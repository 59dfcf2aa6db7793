// Model families: how a checkpoint is recognised, what completes its configuration, what its tensors are called and how
// its networks are made.
//
// A family is one folder families/NAME/ whose NAME.cc ends in a FamilyRegistration; docs/add_a_model.md is the way to
// one.
#pragma once

#include <string>
#include <vector>

#include "models/config.h"
#include "models/recipe.h"

namespace sumi::models {

struct Family {
  std::string name;  // "sd1"
  std::string help;  // one line for `sumi list families`
  int rank = 0;      // families are asked in this order; the first that says yes is taken

  // Recognise: whether networks of these sizes belong to the family. Looks only at what shapes tell, so not at heads.
  bool (*fits)(const ModelConfig& sizes) = nullptr;

  // Configure: fills in what shapes do not tell, such as attention heads, noise schedule and picture size. Throws
  // Error(kData) that begins with `source`, the checkpoint's name, where it cannot be known.
  void (*complete)(ModelConfig& sizes, const std::string& source) = nullptr;

  // Rename, for a family whose files do not have CompVis names: whether a file has the family's own, and what the
  // engine calls a tensor of such a file. Both null where the names are CompVis's. A name that is not the family's
  // comes back as it is; no two tensors may get one name.
  bool (*has_own_names)(const io::Checkpoint& file) = nullptr;
  std::string (*engine_name)(const std::string& name) = nullptr;

  // Build.
  Recipe recipe = compvis_recipe();
};

// By rank, then by name.
std::vector<Family> list_families();

// The family of these sizes; there always is one ("ldm" fits everything).
Family family_of(const ModelConfig& sizes);

// The family that `config` names; where it names none that is registered, that of its sizes.
Family family_for(const ModelConfig& config);

struct FamilyRegistration {
  explicit FamilyRegistration(Family family);
};

// What the checkpoint is, as the end of a sentence that begins "FILE: is", where it is of a kind that is known and not
// supported (Stable Diffusion XL, Flux, …); else empty. Told by the names that only that kind has.
std::string unsupported_kind(const io::Checkpoint& checkpoint);

}  // namespace sumi::models
