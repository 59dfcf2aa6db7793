// Base64 of RFC 4648, section 4.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sumi {

std::string base64_of(std::span<const std::byte> bytes);

// The bytes of a text, which may be folded into lines and end without its padding; nullopt where it is not base64.
std::optional<std::vector<std::byte>> from_base64(std::string_view text);

}  // namespace sumi
