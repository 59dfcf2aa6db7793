// `sumi pull`: fetches CLIP's vocabulary or a whole model from a Hugging Face style hub.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "app/pull_file.h"

namespace sumi::app {

struct PullOptions {
  std::string what;               // "tokenizer", or "owner/name"
  std::string revision = "main";  // branch, tag or commit
  std::filesystem::path out;      // folder; empty: the data folder's tokenizer/ or models/owner--name/
  std::string endpoint;           // empty: $HF_ENDPOINT, else https://huggingface.co
  bool quiet = false;
  std::string token;                // empty: $HF_TOKEN; sent over https only, or to localhost
  bool fp16 = false;                // weights in half precision, where the model has them
  std::function<bool()> cancelled;  // asked several times a second
  int retries = 3;
  std::chrono::milliseconds backoff{1000};
};

// Fetches the files that are missing, checks them (sizes, SHA-256 or git's SHA-1), and returns the folder, or the
// checkpoint if that is all there is. The next call resumes an interrupted download. Throws Error, with what to do
// next.
std::filesystem::path pull(const PullOptions& options);

}  // namespace sumi::app
