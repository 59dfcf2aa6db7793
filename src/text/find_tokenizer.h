// Where the tokenizer's files are on this machine.
#pragma once

#include <filesystem>
#include <optional>

namespace sumi::text {

// Folders of this machine that may hold a tokenizer; empty: there is none. They need not exist.
struct Places {
  std::filesystem::path data_folder;  // sumi's own: tokenizer/
  std::filesystem::path hub_cache;    // Hugging Face's: models--openai--clip-vit-large-patch14/snapshots/*
};

// The folder with vocab.json and merges.txt, or tokenizer.json. Looked for in `explicit_dir` and its tokenizer/ alone
// if it is given, else in `model_path` (its folder if it is a file; empty: none), in tokenizer/ there, and in `places`
// in their order. Throws Error(kNoInput) that lists what was looked at, Error(kData) for a folder with one file of the
// two.
std::filesystem::path find_tokenizer(const std::optional<std::filesystem::path>& explicit_dir,
                                     const std::filesystem::path& model_path, const Places& places);

}  // namespace sumi::text
