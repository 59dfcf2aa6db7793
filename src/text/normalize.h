// What happens to a prompt before it is split into words.
#pragma once

#include <string>
#include <string_view>

namespace sumi::text {

// Throws Error(kUsage) for a prompt over 64 KiB, with a NUL, or that is not UTF-8.
void check_prompt(std::string_view prompt);

// CLIP's cleaning as in Hugging Face's CLIPTokenizer: Unicode's composed form (NFC), each run of white space one space,
// lower case character by character. For text that check_prompt accepts. Time n log n.
std::string clean_prompt(std::string_view prompt);

}  // namespace sumi::text
