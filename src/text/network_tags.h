// A1111's tags in a prompt that name another network: <lora:NAME:WEIGHT>.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sumi::text {

struct LoraTag {
  std::string name;  // of a file, without folder and ending
  double weight = 1.0;
  std::optional<double> unet = {}, text = {};  // of one part alone, where the tag says so
  bool operator==(const LoraTag&) const = default;
};

struct TaggedPrompt {
  std::string prompt;  // without the tags
  std::vector<LoraTag> loras;
};

// Takes the tags <lora:NAME>, <lora:NAME:WEIGHT> and <lora:NAME:TEXT:UNET> out of a prompt; A1111's te=WEIGHT and
// unet=WEIGHT may stand for the last two (te= alone is both), and "lyco" for "lora". Incomplete tags stay as text.
// Warns of a weight that a named one overrides. Throws Error(kUsage) for a prompt that check_prompt refuses, for a NAME
// that is empty or a path, a weight that is not a number from -1000 to 1000, a name of one given twice, other
// arguments, and for tags of other networks (hypernet), which are not supported. Linear time.
TaggedPrompt take_lora_tags(std::string_view prompt);

// Throws Error(kUsage) for a prompt with such a tag.
void refuse_network_tags(std::string_view prompt);

}  // namespace sumi::text
