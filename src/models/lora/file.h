// An adapter file as it lies: its tensors grouped by the layers that they change.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "models/lora/keys.h"

namespace sumi::models::lora {

enum class Kind : unsigned char { kLora, kLoha, kLokr, kIa3, kFull, kNorm, kBias, kNothing };
std::string_view name_of(Kind kind);

// The parts of one layer's change. Not yet known: whether the model has such a layer, and whether the shapes fit it.
struct Group {
  std::string module;  // as the file spells it
  std::map<Part, io::TensorInfo> parts;
  std::vector<Place> places = {};

  bool has(Part part) const { return parts.contains(part); }
  const Shape& shape(Part part) const { return parts.at(part).shape; }
  // kNothing where there is nothing but factors such as an alpha.
  Kind kind() const;
  bool is_dora() const { return has(Part::kMagnitude) || has(Part::kOutMagnitude); }
  bool is_tucker() const { return has(Part::kMid) || has(Part::kHadaT1) || has(Part::kLokrT2); }
  // Of the factors that alpha is divided by; 0: there are none, or they are no matrices.
  int64_t rank() const;
};

class AdapterFile {
 public:
  // `file` must outlive it. Throws Error(kData) for a kind that is known and not read (OFT, BOFT, GLoRA), for several
  // adapters in one file, and for parts that make no change together.
  explicit AdapterFile(const io::Checkpoint& file);

  const io::Checkpoint& file() const { return *file_; }
  std::string path() const { return file_->path().string(); }
  const std::vector<Group>& groups() const { return groups_; }
  // Tensors whose names have no known ending.
  const std::vector<std::string>& others() const { return others_; }
  // Words whose embeddings are bundled with the adapters (`bundle_emb.WORD.…`).
  const std::vector<std::string>& bundled() const { return bundled_; }

  // The tensor itself, on the host, in a type that activations have: in the file's where it is one, else in float32.
  // Throws Error(kData) if it is of whole numbers, or holds values that are not finite.
  Tensor tensor(const Group& group, Part part) const;
  // A part that is one number of any type; nullopt if the group does not have it.
  std::optional<double> number(const Group& group, Part part) const;
  // alpha divided by `rank`: from the group, from the file's `lora_adapter_metadata`, or from PEFT's
  // adapter_config.json beside the file; 1 if none says.
  double scale(const Group& group, int64_t rank) const;

 private:
  // What PEFT's configuration of one network says.
  struct Config {
    std::optional<double> alpha = {};
    // By the end of a module's name; of several ends the last in their order.
    std::map<std::string, double, std::less<>> alpha_pattern = {};
    size_t longest_pattern = 0;
    bool rank_stabilised = false;  // alpha / sqrt(rank) (Kalajdzievski 2023)

    std::optional<double> alpha_of(std::string_view module) const;
  };
  void read_configs();
  void read_config(const std::string& json, const std::string& source, bool of_component);
  const Config* config_of(const Group& group) const;

  const io::Checkpoint* file_;
  std::vector<Group> groups_;
  std::vector<std::string> others_, bundled_;
  std::map<std::string, Config> configs_;  // by component: "unet", "text_encoder"; "" of all
};

}  // namespace sumi::models::lora
