#include "api/callbacks.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <memory>

#include "api/json.h"
#include "base/check.h"

namespace sumi::api {
namespace {

constexpr size_t kMaxSize = 512;  // of a later version's struct

// Calls a callback named `name` of the C program.
template <class... Parameters, class... Arguments>
void call(const char* name, int (*callback)(Parameters...), Arguments... arguments) {
  int wish = 0;
  try {
    wish = callback(arguments...);
  } catch (const abi::__forced_unwind&) {  // the thread ends in its callback
    throw;
  } catch (const std::exception& error) {
    fail(ErrorKind::kUsage, "the {} callback threw an exception, which callbacks must not do: {}", name, error.what());
  } catch (...) {
    fail(ErrorKind::kUsage, "the {} callback threw an exception, which callbacks must not do", name);
  }
  SUMI_CHECK_KIND(kCancelled, wish == 0, "cancelled by the {} callback", name);
}

sumi_image image_of(const Image& image) {
  SUMI_CHECK_KIND(kInternal, image.channels == 3, "a picture of {} channels where RGB has 3", image.channels);
  return {.pixels = image.pixels.data(), .width = image.width, .height = image.height, .stride = 3 * image.width};
}

sumi_step step_of(const Step& step) {
  return {.batch = step.batch, .batches = step.batches, .done = step.done, .steps = step.steps};
}

}  // namespace

sumi_callbacks read_callbacks(const sumi_callbacks* callbacks) {
  sumi_callbacks known = {};
  if (callbacks == nullptr) return known;
  const size_t size = callbacks->size;
  SUMI_CHECK_KIND(kUsage, size >= sizeof(size_t) && size <= kMaxSize && size % alignof(sumi_callbacks) == 0,
                  "sumi_callbacks has the size {}; set its member size to sizeof(sumi_callbacks)", size);
  const auto* bytes = reinterpret_cast<const unsigned char*>(callbacks);
  const bool more =
      std::any_of(bytes + std::min(size, sizeof(known)), bytes + size, [](auto byte) { return byte != 0; });
  SUMI_CHECK_KIND(kUsage, !more, "sumi_callbacks sets a callback of a later version than this library's");
  std::memcpy(&known, callbacks, std::min(size, sizeof(known)));
  return known;
}

Hooks hooks_of(const sumi_callbacks& callbacks, void* user) {
  Hooks hooks;
  const auto last = std::make_shared<Step>();  // a preview does not tell its batch
  hooks.step = [=](const Step& step) {
    *last = step;
    const sumi_step told = step_of(step);
    if (callbacks.step != nullptr) call("step", callbacks.step, user, &told);
  };
  if (callbacks.preview != nullptr) {
    hooks.preview = [=](const Preview& preview) {
      const sumi_image image = image_of(preview.image);
      const sumi_step step = {
          .batch = last->batch, .batches = last->batches, .done = preview.done, .steps = preview.steps};
      call("preview", callbacks.preview, user, &image, preview.number, &step);
    };
  }
  if (callbacks.picture != nullptr) {
    hooks.picture = [=](const Picture& picture) {
      const sumi_image image = image_of(picture.image);
      const std::string info = to_json(info_of(picture));
      call("picture", callbacks.picture, user, &image, info.c_str());
    };
  }
  if (callbacks.warning != nullptr) {
    hooks.warning = [=](const std::string& sentence) { call("warning", callbacks.warning, user, sentence.c_str()); };
  }
  return hooks;
}

}  // namespace sumi::api
