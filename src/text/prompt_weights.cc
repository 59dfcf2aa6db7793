#include "text/prompt_weights.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/check.h"
#include "base/count.h"
#include "base/text_util.h"
#include "text/normalize.h"

namespace sumi::text {
namespace {

constexpr double kRoundWeight = 1.1;
constexpr double kSquareWeight = 1.0 / 1.1;
constexpr size_t kMaxNesting = 64;
constexpr double kMaxWeight = 1000.0;

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
// Bytes above ASCII count as letters, so that BREAK inside a word of another script stays text.
bool is_word(char c) {
  return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
}

// 1.2, -.5, +3: digits and points after an optional sign.
bool looks_plain(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return std::any_of(text.begin(), text.end(), is_digit) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || c == '.'; });
}

// 1e309, nan, -inf: numbers elsewhere, never meant as words after a colon.
bool looks_exotic(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c;
  if (lower == "nan" || lower == "inf") return true;
  const size_t exponent = lower.find('e');
  return exponent != std::string::npos && exponent > 0 && looks_plain(text.substr(0, exponent)) &&
         looks_plain(text.substr(exponent + 1));
}

double parse_weight(std::string_view text) {
  const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  double value = 0.0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed);
  SUMI_CHECK_KIND(kUsage, error == std::errc() && end == digits.data() + digits.size() && std::abs(value) <= kMaxWeight,
                  "the prompt's weight {} is not a plain number from -{} to {}", strip_control(text.substr(0, 40)),
                  kMaxWeight, kMaxWeight);
  return value;
}

// One pass over the prompt; brackets still open are kept as the index of the span they begin at.
class WeightParser {
 public:
  explicit WeightParser(std::string_view prompt) : prompt_(prompt) {}

  std::vector<WeightedText> parse() {
    while (position_ < prompt_.size()) step();
    for (const size_t begin : round_) multiply_from(begin, kRoundWeight);
    for (const size_t begin : square_) multiply_from(begin, kSquareWeight);
    return merge_runs();
  }

 private:
  struct Span {
    std::string text;
    double weight;
    bool is_break;
  };

  void step() {
    const char c = prompt_[position_];
    switch (c) {
      case '\\': return escape();
      case '(': return open(round_);
      case '[': return open(square_);
      case ')': return close(round_, kRoundWeight, c);
      case ']': return close(square_, kSquareWeight, c);
      case ':': return colon();
      default: return plain_text();
    }
  }

  // \( \) \[ \] \\ stand for the character; any other backslash is dropped.
  void escape() {
    ++position_;
    if (position_ < prompt_.size() && std::string_view("()[]\\").find(prompt_[position_]) != std::string_view::npos) {
      add_text(prompt_.substr(position_++, 1));
    }
  }

  void open(std::vector<size_t>& stack) {
    SUMI_CHECK_KIND(kUsage, round_.size() + square_.size() < kMaxNesting,
                    "the prompt's brackets are nested more than {} deep at byte {}", kMaxNesting, position_);
    stack.push_back(spans_.size());
    ++position_;
  }

  void close(std::vector<size_t>& stack, double weight, char bracket) {
    ++position_;
    if (stack.empty()) return add_text(std::string_view(&bracket, 1));
    multiply_from(stack.back(), weight);
    stack.pop_back();
  }

  // ":1.2)" closes a round bracket with its weight; any other colon is text.
  void colon() {
    size_t begin = position_ + 1;
    while (begin < prompt_.size() && is_space(prompt_[begin])) ++begin;
    size_t end = begin;
    while (end < prompt_.size() && (is_word(prompt_[end]) || std::string_view("+-.").find(prompt_[end]) < 3)) ++end;
    size_t bracket = end;
    while (bracket < prompt_.size() && is_space(prompt_[bracket])) ++bracket;
    const std::string_view word = prompt_.substr(begin, end - begin);
    const bool closes = !round_.empty() && bracket < prompt_.size() && prompt_[bracket] == ')';
    if (!closes || !(looks_plain(word) || looks_exotic(word))) {
      ++position_;
      return add_text(":");
    }
    position_ = bracket;
    close(round_, parse_weight(word), ')');
  }

  // Text up to the next character of the syntax, with the BREAKs in it.
  void plain_text() {
    const size_t end = std::min(prompt_.find_first_of("\\()[]:", position_), prompt_.size());
    std::string_view text = prompt_.substr(position_, end - position_);
    position_ = end;
    for (size_t search = 0;;) {
      const size_t found = text.find("BREAK", search);
      if (found == std::string_view::npos) break;
      const size_t after = found + 5;
      search = after;
      if ((found > 0 && is_word(text[found - 1])) || (after < text.size() && is_word(text[after]))) continue;
      std::string_view before = text.substr(0, found);
      while (!before.empty() && is_space(before.back())) before.remove_suffix(1);
      add_text(before);
      spans_.push_back({"", 1.0, true});  // A1111 loses a BREAK between brackets; here it counts
      text.remove_prefix(after);
      while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
      search = 0;
    }
    add_text(text);
  }

  void add_text(std::string_view text) {
    if (!text.empty()) spans_.push_back({std::string(text), 1.0, false});
  }

  void multiply_from(size_t begin, double factor) {
    for (size_t i = begin; i < spans_.size(); ++i) spans_[i].weight *= factor;
  }

  std::vector<WeightedText> merge_runs() const {
    std::vector<WeightedText> merged;
    for (const Span& span : spans_) {
      if (span.is_break) {
        merged.push_back({"", 1.0f, true});
        continue;
      }
      SUMI_CHECK_KIND(kUsage, std::abs(span.weight) <= kMaxWeight,
                      "the prompt's brackets multiply to a weight of {}, beyond ±{}", span.weight, kMaxWeight);
      const auto weight = static_cast<float>(span.weight);
      if (!merged.empty() && !merged.back().is_break && merged.back().weight == weight) {
        merged.back().text += span.text;
      } else {
        merged.push_back({span.text, weight, false});
      }
    }
    if (merged.empty()) merged.push_back({});
    return merged;
  }

  std::string_view prompt_;
  size_t position_ = 0;
  std::vector<Span> spans_;
  std::vector<size_t> round_, square_;
};

// Fills rows and puts the marks around them.
class ChunkBuilder {
 public:
  ChunkBuilder(const ClipTokenizer& tokenizer, size_t row) : tokenizer_(tokenizer), row_(row) {
    const std::vector<int64_t> comma = tokenizer.encode_part(",");
    if (comma.size() == 1) comma_ = comma[0];
  }

  void add(int64_t id, float weight) {
    const bool comma = id == comma_;
    if (ids_.size() == row_) {
      if (!comma && after_comma_ > 0 && row_ - after_comma_ < kBacktrack) {
        // The words after the comma move to the next row, so that they stay together.
        const std::vector<int64_t> moved_ids(ids_.begin() + after_comma_, ids_.end());
        const std::vector<float> moved_weights(weights_.begin() + after_comma_, weights_.end());
        ids_.resize(after_comma_);
        weights_.resize(after_comma_);
        end_row();
        ids_ = moved_ids;
        weights_ = moved_weights;
      } else {
        end_row();
      }
    }
    ids_.push_back(id);
    weights_.push_back(weight);
    if (comma) after_comma_ = ids_.size();
  }

  // Ends the row if that many ids do not fit into what is left of it, but would into an empty one.
  void make_room(size_t count) {
    if (count <= row_ && ids_.size() + count > row_) end_row();
  }

  void end_row() {
    std::vector<int64_t> ids{tokenizer_.start_id()};
    ids.insert(ids.end(), ids_.begin(), ids_.end());
    ids.resize(row_ + 2, tokenizer_.end_id());
    std::vector<float> weights{1.0f};
    weights.insert(weights.end(), weights_.begin(), weights_.end());
    weights.resize(row_ + 2, 1.0f);
    chunks_.ids.push_back(std::move(ids));
    chunks_.weights.push_back(std::move(weights));
    ids_.clear();
    weights_.clear();
    after_comma_ = 0;
  }

  WeightedChunks finish() {
    if (!ids_.empty() || chunks_.ids.empty()) end_row();
    return std::move(chunks_);
  }

 private:
  static constexpr size_t kBacktrack = 20;

  const ClipTokenizer& tokenizer_;
  size_t row_;
  int64_t comma_ = -1;
  std::vector<int64_t> ids_;
  std::vector<float> weights_;
  size_t after_comma_ = 0;  // where the text after the row's last comma begins; 0: there is none
  WeightedChunks chunks_;
};

}  // namespace

std::vector<WeightedText> parse_weighted_prompt(std::string_view prompt) {
  count("parse_prompt");
  check_prompt(prompt);
  refuse_network_tags(prompt);
  return WeightParser(prompt).parse();
}

bool WeightedChunks::plain() const {
  return ids.size() == 1 &&
         std::all_of(weights[0].begin(), weights[0].end(), [](float weight) { return weight == 1.0f; });
}

WeightedChunks chunk_weighted_prompt(const ClipTokenizer& tokenizer, std::string_view prompt, int64_t row) {
  return chunk_weighted_prompt(tokenizer, parse_weighted_prompt(prompt), row);
}

WeightedChunks chunk_weighted_prompt(const ClipTokenizer& tokenizer, const std::vector<WeightedText>& parsed,
                                     int64_t row) {
  SUMI_CHECK_KIND(kUsage, row >= 1, "a row of a prompt holds one token at least, not {}", row);
  count("tokenize");
  ChunkBuilder builder(tokenizer, static_cast<size_t>(row));
  for (const WeightedText& span : parsed) {
    if (span.is_break) {
      builder.end_row();
      continue;
    }
    const std::vector<int64_t> ids = tokenizer.encode_part(span.text);
    for (size_t i = 0; i < ids.size(); ++i) {
      // The vectors of an embedding stay together, as in A1111.
      if (ids[i] >= tokenizer.vocab_size()) builder.make_room(static_cast<size_t>(tokenizer.ids_of_word(ids[i])));
      builder.add(ids[i], span.weight);
    }
  }
  return builder.finish();
}

}  // namespace sumi::text
