// A1111's tags in a prompt that name another network: <lora:NAME:WEIGHT>.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sumi::text {

struct LoraTag {
  std::string name;  // of a file, without folder and ending
  double weight = 1.0;
  bool operator==(const LoraTag&) const = default;
};

struct TaggedPrompt {
  std::string prompt;  // without the tags
  std::vector<LoraTag> loras;
};

// Takes the tags <lora:NAME> and <lora:NAME:WEIGHT> out of a prompt. Incomplete tags stay as text. Throws Error(kUsage)
// for a prompt that check_prompt refuses, for a NAME that is empty or a path, a WEIGHT that is not a number from -1000
// to 1000, and for tags of other networks (lyco, hypernet), which are not supported. Linear time.
TaggedPrompt take_lora_tags(std::string_view prompt);

// Throws Error(kUsage) for a prompt with such a tag.
void refuse_network_tags(std::string_view prompt);

}  // namespace sumi::text
