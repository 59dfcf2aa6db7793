// Requests of the web UI's face as they are read, with one model and a library.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "app/server/webui_request.h"
#include "base/base64.h"
#include "base/check.h"
#include "image/png.h"
#include "tests/support/tiny_engine.h"

namespace sumi::app {

using Json = nlohmann::json;

inline std::string picture(int64_t width = 8, int64_t height = 8) {
  return base64_of(image::encode_png(Image(width, height)));
}

class WebuiReading : public testing::Test {
 protected:
  Request text(const Json& body) const { return read_txt2img(body, options_).submission.request; }
  Request image(Json body) const {
    if (!body.contains("init_images")) body["init_images"] = {picture()};
    return read_img2img(body, options_).submission.request;
  }
  // The sentence with which `call` is refused; empty: it is not.
  template <class Call> static std::string sentence(const Call& call) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "";
  }
  std::string refused(const Json& body) const {
    return sentence([&] { text(body); });
  }
  std::string refused_image(const Json& body) const {
    return sentence([&] { image(body); });
  }

  const test::TempFolder folder_;
  const Shelf shelf_{{.threads = 1}, {test::tiny_options(folder_.path())}};
  const Library library_{{folder_.path()}};
  WebOptions options_{shelf_, library_};
};

}  // namespace sumi::app
