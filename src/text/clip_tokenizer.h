// CLIP's byte-pair-encoding tokenizer, ids equal to the original's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/bpe_files.h"

namespace sumi::text {

class ClipTokenizer {
 public:
  // Reads `vocab.json` and `merges.txt` in `folder`. Throws Error with the file, the line and the rule broken.
  static ClipTokenizer load(const std::filesystem::path& folder);
  // The same from the files' contents.
  static ClipTokenizer parse(TokenizerText text);
  const TokenizerText& text() const;

  // Ids of the prompt alone, without start and end marks. Throws Error(kUsage) for invalid UTF-8, a NUL or over 64 KiB.
  std::vector<int64_t> encode(std::string_view prompt) const;
  // The same for a part of a prompt, by whoever encodes a prompt in parts: base/count.h counts whole prompts.
  std::vector<int64_t> encode_part(std::string_view part) const;
  // [start] ids [end] padded with the end mark to `length`, cut to fit; `cut` receives how many ids did not.
  std::vector<int64_t> encode_padded(std::string_view prompt, int64_t length = 77, int64_t* cut = nullptr) const;

  int64_t vocab_size() const;
  int64_t start_id() const;
  int64_t end_id() const;

 private:
  struct Data;
  std::shared_ptr<const Data> data_;
};

// The marks at the end of every vocabulary.
inline constexpr std::string_view kStartMark = "<|startoftext|>";
inline constexpr std::string_view kEndMark = "<|endoftext|>";

// Splits text that clean_prompt has cleaned into words, which byte-pair encoding takes one by one: an English ending
// after an apostrophe, a run of letters, one digit, or a run of anything else but spaces.
class WordSplitter {
 public:
  WordSplitter();  // throws Error(kUnavailable) where the PCRE2 library has no Unicode support
  void operator()(std::string_view text, const std::function<void(std::string_view word)>& f) const;

 private:
  std::shared_ptr<const void> code_;
};

// Where a tokenizer's two files are looked for, in this order: `explicit_dir` (--tokenizer), `model_path` itself or its
// folder, then their `tokenizer/` subfolder, sumi's data folder ($SUMI_HOME, else $XDG_DATA_HOME/sumi, else
// ~/.local/share/sumi: `tokenizer/`), the Hugging Face cache ($HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub:
// models--openai--clip-vit-large-patch14/snapshots/*). Throws Error(kNoInput) that lists what was looked at and says
// how to get one (`sumi pull tokenizer`).
std::filesystem::path find_tokenizer(const std::optional<std::filesystem::path>& explicit_dir,
                                     const std::filesystem::path& model_path);

// The data folder named above; nothing where no variable is set, as under `env -i`.
std::optional<std::filesystem::path> find_data_folder();
// The same, but throws Error(kNoInput) where there is none.
std::filesystem::path data_folder();

}  // namespace sumi::text
