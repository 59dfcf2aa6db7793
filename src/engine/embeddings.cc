#include "engine/embeddings.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

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
constexpr const char* kEndings[] = {".safetensors", ".pt", ".bin"};
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

std::string folded(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), text::lower_ascii);
  return text;
}

// Names of many files, all found in one pass over a text: at each place only those that begin as the text does are
// looked at. Time: the text times the longest name, and the logarithm of their number.
class Names {
 public:
  explicit Names(bool any_case) : any_case_(any_case) {}
  void add(std::string name, size_t file) {
    if (!name.empty()) names_.push_back({any_case_ ? folded(std::move(name)) : std::move(name), file});
  }
  // Once all are there.
  void sort() { std::sort(names_.begin(), names_.end()); }
  // Calls hit(name, file, at) for each name that the text has, wherever it stands.
  template <class Hit> void find_in(const std::string& text, const Hit& hit) const {
    for (size_t at = 0; at < text.size(); ++at) {
      auto begin = names_.begin(), end = names_.end();
      for (size_t k = 0; begin != end; ++k) {  // all from begin to end have the text's k bytes from `at` on
        for (; begin != end && begin->first.size() == k; ++begin) hit(begin->first, begin->second, at);
        if (at + k == text.size()) break;
        const auto next = static_cast<unsigned char>(any_case_ ? text::lower_ascii(text[at + k]) : text[at + k]);
        const auto byte = [k](const Name& name) { return static_cast<unsigned char>(name.first[k]); };
        begin = std::partition_point(begin, end, [&](const Name& name) { return byte(name) < next; });
        end = std::partition_point(begin, end, [&](const Name& name) { return byte(name) == next; });
      }
    }
  }

 private:
  using Name = std::pair<std::string, size_t>;
  bool any_case_;
  std::vector<Name> names_;
};

// How the texts name a file.
struct Named {
  bool bare = false;   // by a word that may be one of any prompt
  bool exact = false;  // in a way that means an embedding and nothing else
};

std::vector<fs::path> embedding_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator() && files.size() < kMostFiles; entries.increment(error)) {
    const std::string ending = entries->path().extension().string();
    std::error_code ignored;
    if (std::find(std::begin(kEndings), std::end(kEndings), ending) != std::end(kEndings) &&
        entries->is_regular_file(ignored) && entries->file_size(ignored) <= kMostBytes)
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
      if (std::count(out_.files.begin(), out_.files.end(), file) > 0) {
        warn("{}: this embedding is given twice, which is once", file);
        continue;
      }
      const text::AddedWords words = read(file, true);
      check_names(words, file);
      if (!any_finds(words, texts_))
        warn("{}: no prompt names this embedding, so it has no effect; its word is \"{}\"", file,
             strip_control(words.words().back().word));
    }
    out_.given = out_.files.size();
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
    out_.words_of.push_back(words);
    known_.insert(folded(stem));
    return words;
  }

  // Fails where another given file has the same name: only one of them could be meant.
  void check_names(const text::AddedWords& words, const std::string& file) {
    for (size_t i = words.words().size(); i-- > 0;) {  // the file's own name, the last, is the one to tell
      const text::AddedWord& word = words.words()[i];
      const auto [other, fresh] = given_.emplace(folded(word.word), file);
      SUMI_CHECK_KIND(kUsage, fresh || other->second == file,
                      "{} and {}: both are called \"{}\" in prompts; rename one of the files, or give only one",
                      other->second, file, shorten(strip_control(word.word), 100));
    }
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
    searched_.push_back(folder);
    const std::vector<fs::path> files = embedding_files(folder);
    std::vector<Named> named = named_by_file(files, own);
    const bool angles = std::any_of(texts_.begin(), texts_.end(), [](const std::string& text) {
      const size_t open = text.find('<');
      return open != std::string::npos && text.find('>', open) != std::string::npos;
    });
    if (own && angles) add_named_inside(files, named);
    for (size_t i = 0; i < files.size(); ++i) {
      if ((!named[i].bare && !named[i].exact) || known_.contains(folded(files[i].stem().string()))) continue;
      try {
        read(files[i], own);
      } catch (const Error& error) {
        if (named[i].exact) throw;
        warn("{}; the prompt's words stay text", error.what());  // a plain word, which need not mean the file
      }
    }
  }

  // How the texts name each file by its own name. `bare`: also by the name alone.
  std::vector<Named> named_by_file(const std::vector<fs::path>& files, bool bare) const {
    std::vector<Named> named(files.size());
    Names names(true);
    for (size_t i = 0; i < files.size(); ++i) names.add(files[i].stem().string(), i);
    names.sort();
    for (const std::string& text : texts_) {
      names.find_in(text, [&](const std::string& name, size_t file, size_t at) {
        const text::AddedWord alone{.word = name, .whole = true, .any_case = true};
        const text::AddedWord angled{.word = "<" + name + ">", .any_case = true};
        const text::AddedWord full{.word = std::string(kNamed) + name, .whole = true, .any_case = true};
        named[file].bare |= bare && text::stands_at(alone, text, at);
        named[file].exact |= (at > 0 && text::stands_at(angled, text, at - 1)) ||
                             (at >= kNamed.size() && text::stands_at(full, text, at - kNamed.size()));
      });
    }
    return named;
  }

  // Adds how the texts name files by the words that they themselves give their embeddings.
  void add_named_inside(const std::vector<fs::path>& files, std::vector<Named>& named) const {
    Names names(false);
    for (size_t i = 0; i < files.size(); ++i) {
      try {
        const auto file = io::open_checkpoint(files[i]);
        if (!models::is_embedding_file(*file)) continue;
        for (const io::TensorInfo& info : file->tensors()) names.add(info.name, i);
      } catch (const Error&) {
        continue;  // some other file
      }
    }
    names.sort();
    for (const std::string& text : texts_) {
      names.find_in(text, [&](const std::string& name, size_t file, size_t) {
        (name.starts_with('<') ? named[file].exact : named[file].bare) = true;
      });
    }
  }

  // Fails if a file of that name is in a folder that was searched, saying why it was not read.
  void explain_unread(const std::string& name) const {
    if (name.find_first_of("/\\") != std::string::npos) return;
    for (const fs::path& folder : searched_) {
      for (const char* ending : kEndings) {
        const fs::path file = folder / (name + ending);
        std::error_code error;
        if (!fs::is_regular_file(file, error)) continue;
        SUMI_CHECK_KIND(kNoInput, std::count(out_.files.begin(), out_.files.end(), file.string()) == 0,
                        "{}: holds several embeddings, and prompts name each by its own word", file.string());
        const uintmax_t bytes = fs::file_size(file, error);
        SUMI_CHECK_KIND(kNoInput, error || bytes <= kMostBytes,
                        "{}: has {} bytes, and in folders only embeddings of up to {} are read; name it with "
                        "`embeddings`",
                        file.string(), bytes, kMostBytes);
        SUMI_CHECK_KIND(kNoInput, embedding_files(folder).size() < kMostFiles,
                        "{}: was not looked at, since its folder has more than {} embeddings; name it with "
                        "`embeddings`",
                        file.string(), kMostFiles);
      }
    }
  }

  std::string looked() const {
    std::string all;
    for (const fs::path& folder : searched_) all += (all.empty() ? "" : ", ") + folder.string();
    return all;
  }

  void check_all_found() const {
    for (const std::string& text : texts_) {
      for (size_t at = text.find(kNamed); at != std::string::npos; at = text.find(kNamed, at + 1)) {
        const auto found = out_.words.find(text, at);
        if (found.word != nullptr && found.begin == at) continue;
        const size_t begin = at + kNamed.size();
        const std::string name = text.substr(begin, text.find_first_of(" \t\n,()[]:", begin) - begin);
        if (name.empty()) continue;
        explain_unread(name);
        fail(ErrorKind::kNoInput,
             "the prompt names the embedding \"{}\"; there is no {}.safetensors, .pt or .bin in {}; name its file with "
             "`embeddings`, or its folder with `embedding_folder`",
             shorten(strip_control(name), 100), shorten(strip_control(name), 100), looked());
      }
    }
  }

  const EmbeddingPlaces& places_;
  const models::ModelConfig& config_;
  const std::vector<std::string>& texts_;
  JobEmbeddings out_;
  std::vector<Tensor> parts_;
  int64_t rows_ = 0;
  std::set<std::string> known_;               // files' names without ending, in lower case
  std::map<std::string, std::string> given_;  // in lower case: the given file that is called so
  std::vector<fs::path> searched_;
};

}  // namespace

std::vector<std::string> JobEmbeddings::used_by(const std::vector<std::string>& texts) const {
  std::vector<std::string> used;
  for (size_t i = 0; i < files.size(); ++i) {
    if (i < given || any_finds(words_of[i], texts)) used.push_back(files[i]);
  }
  return used;
}

JobEmbeddings find_embeddings(const EmbeddingPlaces& places, const models::ModelConfig& config,
                              const std::vector<std::string>& texts) {
  return Finder(places, config, texts)();
}

}  // namespace sumi::engine
