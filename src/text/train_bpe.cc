#include "text/train_bpe.h"

#include <map>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/check.h"
#include "text/bpe.h"
#include "text/clip_tokenizer.h"
#include "text/normalize.h"

namespace sumi::text {
namespace {

constexpr int64_t kBytes = 2 * 256, kMarks = 2, kMostTokens = 1 << 20;

using Pair = std::pair<std::string, std::string>;

struct Word {
  std::vector<std::string> pieces;
  int64_t count = 0;  // how often it is in the texts
};

std::vector<Word> count_words(const std::vector<std::string>& texts) {
  const WordSplitter words;
  const std::array<std::string, 256> spellings = byte_spellings();
  std::map<std::string, int64_t> counts;
  for (const std::string& text : texts) {
    check_prompt(text);
    words(clean_prompt(text), [&](std::string_view word) { ++counts[std::string(word)]; });
  }
  std::vector<Word> out;
  for (const auto& [word, count] : counts) {
    Word& to = out.emplace_back();
    to.count = count;
    for (const char c : word) to.pieces.push_back(spellings[static_cast<unsigned char>(c)]);
    to.pieces.back() += kWordEnd;
  }
  return out;
}

// Joins every such pair of the word, from the left, and keeps the counts of pairs up to date.
void join(Word& word, const Pair& pair, std::map<Pair, int64_t>& counts) {
  const auto change = [&](int64_t by) {
    for (size_t i = 0; i + 1 < word.pieces.size(); ++i) counts[{word.pieces[i], word.pieces[i + 1]}] += by;
  };
  change(-word.count);
  std::vector<std::string> joined;
  for (size_t i = 0; i < word.pieces.size(); ++i) {
    if (i + 1 < word.pieces.size() && word.pieces[i] == pair.first && word.pieces[i + 1] == pair.second) {
      joined.push_back(pair.first + pair.second);
      ++i;
    } else {
      joined.push_back(word.pieces[i]);
    }
  }
  word.pieces = std::move(joined);
  change(word.count);
}

}  // namespace

TokenizerText train_bpe(const std::vector<std::string>& texts, int64_t size) {
  SUMI_CHECK_KIND(kUsage, size > kBytes + kMarks && size <= kMostTokens,
                  "a vocabulary has from {} to {} tokens, not {}", kBytes + kMarks + 1, kMostTokens, size);
  std::vector<Word> words = count_words(texts);
  std::map<Pair, int64_t> counts;
  for (const Word& word : words) {
    for (size_t i = 0; i + 1 < word.pieces.size(); ++i) counts[{word.pieces[i], word.pieces[i + 1]}] += word.count;
  }
  std::vector<std::string> tokens;
  for (const char* ending : {"", kWordEnd}) {
    for (const std::string& spelling : byte_spellings()) tokens.push_back(spelling + ending);
  }
  std::map<std::string, int64_t> known;
  for (const std::string& token : tokens) known.emplace(token, static_cast<int64_t>(known.size()));
  std::string merges = "#version: 0.2\n";
  while (static_cast<int64_t>(known.size()) + kMarks < size) {
    const Pair* best = nullptr;
    int64_t most = 1;
    for (const auto& [pair, count] : counts) {
      if (count > most) {
        best = &pair;
        most = count;
      }
    }
    if (best == nullptr) break;
    const Pair pair = *best;
    merges += pair.first + " " + pair.second + "\n";
    known.emplace(pair.first + pair.second, static_cast<int64_t>(known.size()));  // two pairs may join to one token
    for (Word& word : words) {
      for (size_t i = 0; i + 1 < word.pieces.size(); ++i) {
        if (word.pieces[i] != pair.first || word.pieces[i + 1] != pair.second) continue;
        join(word, pair, counts);
        break;
      }
    }
    counts.erase(pair);
  }
  SUMI_CHECK_KIND(kUsage, static_cast<int64_t>(known.size()) > kBytes,
                  "no pair of letters occurs twice in the texts; a vocabulary needs more text");
  nlohmann::ordered_json vocabulary;
  std::vector<std::string> by_id(known.size());
  for (const auto& [token, id] : known) by_id[static_cast<size_t>(id)] = token;
  for (const std::string_view mark : {kStartMark, kEndMark}) by_id.emplace_back(mark);
  for (size_t id = 0; id < by_id.size(); ++id) vocabulary[by_id[id]] = id;
  return {.vocabulary = vocabulary.dump(), .merges = merges};
}

void write_tokenizer(const std::filesystem::path& folder, const TokenizerText& text) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  for (const auto& [name, content] : {std::pair{"vocab.json", &text.vocabulary}, {"merges.txt", &text.merges}}) {
    AtomicFile file(folder / name);
    file.write(*content);
    file.commit();
  }
}

}  // namespace sumi::text
