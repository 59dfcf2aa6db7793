#include "engine/embeddings.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/log.h"
#include "base/text_util.h"
#include "io/checkpoint.h"
#include "models/embedding_file.h"
#include "ops/layout.h"

namespace sumi::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNamed = "embedding:";
constexpr size_t kMostFiles = 10'000;                  // of a folder
constexpr uintmax_t kMostBytes = uintmax_t{64} << 20;  // of a file in a folder: the largest embeddings have one

bool any_finds(const text::AddedWords& words, const std::vector<std::string>& texts) {
  return std::any_of(texts.begin(), texts.end(),
                     [&](const std::string& text) { return words.find(text, 0).word != nullptr; });
}

// How a text names the file `stem`. `bare`: also by its name alone.
text::AddedWords names_of(const std::string& stem, bool bare, int64_t first, int64_t count) {
  text::AddedWords words;
  words.add({.word = std::string(kNamed) + stem, .first = first, .count = count, .whole = true, .any_case = true});
  words.add({.word = "<" + stem + ">", .first = first, .count = count, .any_case = true});
  if (bare) words.add({.word = stem, .first = first, .count = count, .whole = true, .any_case = true});
  return words;
}

std::vector<fs::path> embedding_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator() && files.size() < kMostFiles; entries.increment(error)) {
    const std::string ending = entries->path().extension().string();
    std::error_code ignored;
    if ((ending == ".pt" || ending == ".safetensors" || ending == ".bin") && entries->is_regular_file(ignored) &&
        entries->file_size(ignored) <= kMostBytes)
      files.push_back(entries->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

class Finder {
 public:
  Finder(const EmbeddingPlaces& places, const models::ModelConfig& config, const std::vector<std::string>& texts)
      : places_(places), config_(config), texts_(texts) {}

  JobEmbeddings operator()() {
    for (const std::string& file : places_.files) {
      const text::AddedWords words = read(file, true);
      if (!any_finds(words, texts_))
        warn("{}: no prompt names this embedding, so it has no effect; its word is \"{}\"", file,
             strip_control(words.words().back().word));
    }
    if (places_.search) search();
    if (!parts_.empty()) out_.vectors = parts_.size() == 1 ? parts_[0] : concat_rows(parts_);
    if (places_.search) check_all_found();
    return std::move(out_);
  }

 private:
  // Reads a file and gives its words their ids; returns these words.
  text::AddedWords read(const fs::path& path, bool bare) {
    const auto file = io::open_checkpoint(path);
    const std::string stem = path.stem().string();
    text::AddedWords words;
    std::vector<models::Embedding> embeddings = models::read_embeddings(*file, config_.text.hidden_size);
    for (const models::Embedding& embedding : embeddings) {
      const int64_t first = config_.text.vocab_size + rows_, count = embedding.vectors.dim(0);
      if (!embedding.word.empty()) words.add({.word = embedding.word, .first = first, .count = count});
      if (embeddings.size() == 1) {
        const text::AddedWords names = names_of(stem, bare, first, count);
        for (const text::AddedWord& word : names.words()) words.add(word);
      }
      parts_.push_back(embedding.vectors);
      rows_ += count;
    }
    for (const text::AddedWord& word : words.words()) out_.words.add(word);
    out_.files.push_back(path.string());
    known_.insert(stem);
    return words;
  }

  void search() {
    std::error_code error;
    if (!places_.chosen.empty()) {
      SUMI_CHECK_KIND(kNoInput, fs::is_directory(places_.chosen, error), "{}: `embedding_folder` is no folder",
                      places_.chosen.string());
      return search_in(places_.chosen, true);
    }
    const fs::path beside =
        fs::is_directory(places_.model, error) ? places_.model : fs::absolute(places_.model, error).parent_path();
    if (!places_.model.empty()) {
      search_in(beside / "embeddings", true);
      search_in(beside, false);
    }
    if (!places_.data_folder.empty()) search_in(places_.data_folder / "embeddings", true);
  }

  // `own`: a folder of embeddings alone, whose names count as words of a prompt; other folders have models too.
  void search_in(const fs::path& folder, bool own) {
    looked_ += (looked_.empty() ? "" : ", ") + folder.string();
    const bool angles = std::any_of(texts_.begin(), texts_.end(), [](const std::string& text) {
      const size_t open = text.find('<');
      return open != std::string::npos && text.find('>', open) != std::string::npos;
    });
    for (const fs::path& file : embedding_files(folder)) {
      const std::string stem = file.stem().string();
      if (known_.contains(stem)) continue;
      const bool named = any_finds(names_of(stem, own, 0, 1), texts_);
      if (named || (own && angles && names_by_its_word(file))) read(file, own);
    }
  }

  // Whether a text has the word that the file itself gives an embedding.
  bool names_by_its_word(const fs::path& path) const {
    try {
      const auto file = io::open_checkpoint(path);
      if (!models::is_embedding_file(*file)) return false;
      text::AddedWords words;
      for (const io::TensorInfo& info : file->tensors()) words.add({.word = info.name});
      return any_finds(words, texts_);
    } catch (const Error&) {
      return false;  // some other file
    }
  }

  void check_all_found() const {
    for (const std::string& text : texts_) {
      for (size_t at = text.find(kNamed); at != std::string::npos; at = text.find(kNamed, at + 1)) {
        const auto found = out_.words.find(text, at);
        if (found.word != nullptr && found.begin == at) continue;
        const size_t begin = at + kNamed.size();
        const std::string name = text.substr(begin, text.find_first_of(" \t\n,()[]:", begin) - begin);
        if (name.empty()) continue;
        fail(ErrorKind::kNoInput,
             "the prompt names the embedding \"{}\"; there is no {}.safetensors, .pt or .bin in {}; name its file with "
             "`embeddings`, or its folder with `embedding_folder`",
             shorten(strip_control(name), 100), shorten(strip_control(name), 100), looked_);
      }
    }
  }

  const EmbeddingPlaces& places_;
  const models::ModelConfig& config_;
  const std::vector<std::string>& texts_;
  JobEmbeddings out_;
  std::vector<Tensor> parts_;
  int64_t rows_ = 0;
  std::set<std::string> known_;
  std::string looked_;
};

}  // namespace

JobEmbeddings find_embeddings(const EmbeddingPlaces& places, const models::ModelConfig& config,
                              const std::vector<std::string>& texts) {
  return Finder(places, config, texts)();
}

}  // namespace sumi::engine
