// Sentences for clients elsewhere: whose machine this is and how its folders are called is not their business.
#pragma once

#include <string>
#include <string_view>

#include "base/check.h"

namespace sumi::app {

// The sentence with each absolute path cut down to its last part: "/home/ann/models/x.ckpt: …" → "x.ckpt: …". A path
// ends at a space that no further '/' follows within it, or at one of , : ; " ' ( ). Advice to choose a folder is left
// out.
std::string without_folders(std::string_view sentence);

// Calls and passes on what it throws, without folders.
template <class Call> auto hiding_folders(Call&& call) {
  try {
    return call();
  } catch (const Error& error) {
    throw Error(error.kind(), without_folders(error.what()));
  }
}

}  // namespace sumi::app
