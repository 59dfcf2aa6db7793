// Pictures with a text in them, read for their settings.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/check.h"
#include "engine/like.h"
#include "image/png.h"

namespace sumi::engine {

inline Like like(const std::string& key, const std::string& text, const Image& picture = Image(8, 8)) {
  return read_like(image::encode_png(picture, {{key, text}}), "x.png");
}
inline Like like(const std::string& parameters) { return like("parameters", parameters); }

// What read_like says of such a picture; "taken": nothing.
inline std::string refusal(const std::string& key, const std::string& text) {
  try {
    like(key, text);
    return "taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    return error.what();
  }
}

}  // namespace sumi::engine
