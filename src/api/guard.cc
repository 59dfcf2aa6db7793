#include "api/guard.h"

#include <string>

#include "base/text_util.h"

namespace sumi::api {
namespace {

struct Sentence {
  std::string text;
  const char* shown = "";  // the text, or a literal where there was no memory for it
};

Sentence& sentence_of_this_thread() noexcept {
  thread_local Sentence sentence;
  return sentence;
}

}  // namespace

const char* last_sentence() noexcept { return sentence_of_this_thread().shown; }

sumi_status remember(ErrorKind kind, const char* sentence) noexcept {
  Sentence& kept = sentence_of_this_thread();
  try {
    kept.text = strip_control(abridged(sentence));
    kept.shown = kept.text.c_str();
  } catch (const std::exception&) {
    kept.shown = "not enough memory";
  }
  return static_cast<sumi_status>(kind);
}

}  // namespace sumi::api
