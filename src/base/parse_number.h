// Numbers from texts.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace sumi {

// The number that the whole text is, in C's decimal notation whatever the locale: no space, no '+', no separator.
// nullopt for every other text, the empty one too, and for a number that T cannot hold.
template <class T> std::optional<T> number_in(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

}  // namespace sumi
