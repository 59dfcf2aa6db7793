// Model families: how a checkpoint is recognised, what completes its configuration, what its tensors are called and how
// its networks are made.
//
// A family is one folder families/NAME/ whose NAME.cc ends in a FamilyRegistration; see docs/add_a_model.md.
#pragma once

#include <string>
#include <vector>

#include "models/config.h"
#include "models/recipe.h"

namespace sumi::models {

struct Family {
  std::string name;  // "sd1"
  std::string help;  // one line for `sumi list families`
  int rank = 0;      // families are tried in this order; the first that fits is used

  // Recognise: whether networks of these sizes belong to the family. Uses only what shapes determine, so not heads.
  bool (*fits)(const ModelConfig& sizes) = nullptr;

  // Configure: fills in what shapes do not determine, such as attention heads, noise schedule and picture size. Throws
  // Error(kData) that begins with `source`, the checkpoint's name, if it cannot be determined.
  void (*complete)(ModelConfig& sizes, const std::string& source) = nullptr;

  // Rename, for a family whose files do not have CompVis names: whether a file has the family's own, and what the
  // engine calls a tensor of such a file. Both null if the names are CompVis's. Names that are not the family's are
  // returned unchanged; two tensors must not get the same name.
  bool (*has_own_names)(const io::Checkpoint& file) = nullptr;
  std::string (*engine_name)(const std::string& name) = nullptr;

  // Build.
  Recipe recipe = compvis_recipe();
};

// Where a file that is seen under the engine's names has the name of the family that recognised its own names: a key of
// its metadata (see loading/open.h).
inline constexpr const char* kFamilyKey = "sumi.family";

// By rank, then by name.
std::vector<Family> list_families();

// The family of these sizes; there always is one ("ldm" fits everything).
Family family_of(const ModelConfig& sizes);

// The family that `config` names or, if that is not registered, the one that its sizes fit.
Family family_for(const ModelConfig& config);

struct FamilyRegistration {
  explicit FamilyRegistration(Family family);
};

// For a checkpoint of a known but unsupported kind (Stable Diffusion XL, Flux, …): what it is, as the end of a sentence
// that begins "FILE: is"; else empty. Recognised by names that only that kind has.
std::string unsupported_kind(const io::Checkpoint& checkpoint);

}  // namespace sumi::models
