// What A1111's web UI and its extensions call the choices of a request.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace sumi::engine {

struct WebWord {
  std::string_view own, web;
};

inline constexpr std::array<WebWord, 4> kWebMaskContents{
    {{"original", "original"}, {"fill", "fill"}, {"noise", "latent noise"}, {"nothing", "latent nothing"}}};
inline constexpr std::array<WebWord, 3> kWebResizes{
    {{"stretch", "Just Resize"}, {"crop", "Crop and Resize"}, {"fill", "Resize and Fill"}}};
inline constexpr std::array<WebWord, 8> kWebUpscalers{{{"latent", "Latent"},
                                                       {"latent-antialiased", "Latent (antialiased)"},
                                                       {"latent-bicubic", "Latent (bicubic)"},
                                                       {"latent-bicubic-antialiased", "Latent (bicubic antialiased)"},
                                                       {"latent-nearest", "Latent (nearest)"},
                                                       {"latent-nearest-exact", "Latent (nearest-exact)"},
                                                       {"lanczos", "Lanczos"},
                                                       {"nearest", "Nearest"}}};
inline constexpr std::array<WebWord, 2> kWebRandom{{{"cpu", "CPU"}, {"cuda", "NV"}}};

inline constexpr std::string_view kWebInverted = "Inpaint not masked", kWebOnlyMasked = "Only masked";
inline constexpr std::string_view kWebBalanced = "Balanced", kWebGuess = "ControlNet is more important";

// The other column's word; a word that is not in the table stays as it is.
template <size_t n> std::string web_word(const std::array<WebWord, n>& table, std::string_view own) {
  for (const WebWord& word : table) {
    if (word.own == own) return std::string(word.web);
  }
  return std::string(own);
}
template <size_t n> std::string own_word(const std::array<WebWord, n>& table, std::string_view web) {
  for (const WebWord& word : table) {
    if (word.web == web) return std::string(word.own);
  }
  return std::string(web);
}

}  // namespace sumi::engine
