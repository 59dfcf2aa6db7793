// The embeddings of textual inversion that a job's texts use: found, read, and given ids.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "models/config.h"
#include "text/added_words.h"

namespace sumi::engine {

struct EmbeddingPlaces {
  std::vector<std::string> files;     // given by name
  std::filesystem::path chosen;       // the only folder to search, if not empty
  std::filesystem::path model;        // else embeddings/ beside it, and beside it what `embedding:NAME` names
  std::filesystem::path data_folder;  // and embeddings/ here; empty: nowhere else
  bool search = true;                 // false: only the files given
};

struct JobEmbeddings {
  text::AddedWords words;                  // with ids from the text encoder's number of rows on
  Tensor vectors;                          // [n,D] float32, row j of the id rows + j; undefined: none
  std::vector<std::string> files;          // those that were read
  size_t given = 0;                        // the first of them: given by name
  std::vector<text::AddedWords> words_of;  // of each file

  // The files that a job of these texts alone would have: those given, and those that the texts name.
  std::vector<std::string> used_by(const std::vector<std::string>& texts) const;
};

// An embedding is named by the name of its file without ending, a whole word in any case; by NAME in `<NAME>` and
// `embedding:NAME`; and by the word that the file itself gives it. Files in folders are read only if a text names them;
// where it does so by a bare word alone, a file that cannot be used is warned of, and the word stays text. Warns of
// given files that no text names. Throws Error(kNoInput) for `embedding:NAME` where there is no such file,
// Error(kUsage) for two given files of one name, and Error(kData) for other files that are no embedding or do not fit
// the model.
JobEmbeddings find_embeddings(const EmbeddingPlaces& places, const models::ModelConfig& config,
                              const std::vector<std::string>& texts);

}  // namespace sumi::engine
