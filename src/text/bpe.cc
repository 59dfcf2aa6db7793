#include "text/bpe.h"

#include <queue>

#include "base/check.h"
#include "base/text_util.h"

namespace sumi::text {
namespace {

uint64_t pair_key(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

// A token of the word under way, in a list linked by index so that joining two costs the same anywhere.
struct Piece {
  int32_t id;
  int32_t previous;
  int32_t next;  // -1 after the last; -2 once joined to the piece before it
};

// A pair that could be joined; stale when its pieces have changed since.
struct Candidate {
  int32_t rank, at, left, right, result;
  // Of equal ranks the leftmost is joined first.
  bool operator<(const Candidate& other) const { return std::pair(rank, at) > std::pair(other.rank, other.at); }
};

}  // namespace

std::array<std::string, 256> byte_spellings() {
  std::array<std::string, 256> result;
  char32_t next = 256;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    append_utf8(result[byte], printable ? byte : next++);
  }
  return result;
}

Bpe Bpe::parse(const TokenizerText& text) {
  Bpe bpe;
  bpe.vocabulary_ = parse_vocabulary(text);
  const auto spellings = byte_spellings();
  for (size_t byte = 0; byte < 256; ++byte) {
    const auto inner = bpe.find(spellings[byte]);
    const auto last = bpe.find(spellings[byte] + kWordEnd);
    SUMI_CHECK(inner && last, "{}: no token for byte {:#04x}; this is not the vocabulary of a CLIP tokenizer",
               text.vocabulary_source, byte);
    bpe.inner_[byte] = static_cast<int32_t>(*inner);
    bpe.last_[byte] = static_cast<int32_t>(*last);
  }
  const MergeList merges = parse_merges(text);
  bpe.merges_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    const auto left_id = bpe.find(left), right_id = bpe.find(right), result = bpe.find(left + right);
    SUMI_CHECK(left_id && right_id && result, "{}: merge {} (\"{} {}\") is not made of tokens of {}",
               text.merges_source, rank + 1, excerpt(left), excerpt(right),
               std::filesystem::path(text.vocabulary_source).filename().string());
    bpe.merges_.try_emplace(pair_key(*left_id, *right_id),
                            Merge{static_cast<int32_t>(rank), static_cast<int32_t>(*result)});
  }
  return bpe;
}

std::optional<int64_t> Bpe::find(const std::string& token) const {
  const auto found = vocabulary_.find(token);
  if (found == vocabulary_.end()) return std::nullopt;
  return found->second;
}

const Bpe::Merge* Bpe::find_merge(int32_t left, int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void Bpe::append(std::string_view word, std::vector<int64_t>& ids) const {
  if (word.empty()) return;
  const auto count = static_cast<int32_t>(word.size());
  std::vector<Piece> pieces(word.size());
  for (int32_t i = 0; i < count; ++i) {
    const auto byte = static_cast<unsigned char>(word[i]);
    const bool last = i + 1 == count;
    pieces[i] = {last ? last_[byte] : inner_[byte], i - 1, last ? -1 : i + 1};
  }

  std::priority_queue<Candidate> candidates;
  const auto consider = [&](int32_t at) {
    if (at < 0 || pieces[at].next < 0) return;
    const int32_t left = pieces[at].id, right = pieces[pieces[at].next].id;
    if (const Merge* merge = find_merge(left, right)) candidates.push({merge->rank, at, left, right, merge->result});
  };
  for (int32_t i = 0; i < count; ++i) consider(i);

  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Piece& piece = pieces[best.at];
    if (piece.id != best.left || piece.next < 0 || pieces[piece.next].id != best.right) continue;
    Piece& joined = pieces[piece.next];
    piece.id = best.result;
    piece.next = std::exchange(joined.next, -2);
    if (piece.next >= 0) pieces[piece.next].previous = best.at;
    consider(best.at);
    consider(piece.previous);
  }
  for (int32_t i = 0; i >= 0; i = pieces[i].next) ids.push_back(pieces[i].id);
}

}  // namespace sumi::text
