#include "text/clip_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "base/check.h"
#include "base/count.h"
#include "base/text_util.h"
#include "text/bpe.h"
#include "text/normalize.h"

namespace sumi::text {
namespace {

constexpr const char* kWordPattern = R"('s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^ \p{L}\p{N}]+)";

struct PcreDeleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};

}  // namespace

WordSplitter::WordSplitter() {
  int error = 0;
  PCRE2_SIZE offset = 0;
  std::unique_ptr<pcre2_code, PcreDeleter> code(pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(kWordPattern), PCRE2_ZERO_TERMINATED, PCRE2_UTF, &error, &offset, nullptr));
  SUMI_CHECK_KIND(kUnavailable, code, "this PCRE2 library has no Unicode support (error {})", error);
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // where there is no JIT, matching is only slower
  code_ = std::shared_ptr<const pcre2_code>(std::move(code));
}

void WordSplitter::operator()(std::string_view text, const std::function<void(std::string_view word)>& f) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const std::unique_ptr<pcre2_match_data, PcreDeleter> match(pcre2_match_data_create(1, nullptr));
  SUMI_CHECK_KIND(kUnavailable, match, "out of memory");
  PCRE2_SIZE position = 0;
  while (position < text.size()) {
    const int result = pcre2_match(code, subject, text.size(), position, PCRE2_NO_UTF_CHECK, match.get(), nullptr);
    if (result == PCRE2_ERROR_NOMATCH) return;
    SUMI_CHECK_KIND(kInternal, result > 0, "splitting the prompt into words failed (PCRE2 error {})", result);
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match.get());
    f(text.substr(bounds[0], bounds[1] - bounds[0]));
    position = bounds[1];
  }
}

struct ClipTokenizer::Data {
  TokenizerText text;
  Bpe bpe;
  WordSplitter words;
  int64_t start_id = 0;
  int64_t end_id = 0;
  int64_t size = 0;
  AddedWords tokens;  // of the files

  // Appends the ids of text that holds no marks.
  void append_words(std::string_view part, std::vector<int64_t>& ids) const {
    words(part, [&](std::string_view word) { bpe.append(word, ids); });
  }
};

ClipTokenizer ClipTokenizer::load(const std::filesystem::path& folder) { return parse(read_tokenizer(folder)); }

ClipTokenizer ClipTokenizer::parse(TokenizerText text) {
  auto data = std::make_shared<Data>();
  data->text = std::move(text);
  data->bpe = Bpe::parse(data->text);
  const auto find_mark = [&](std::string_view mark) {
    const auto id = data->bpe.find(std::string(mark));
    SUMI_CHECK(id, "{}: no token {}; this is not the vocabulary of a CLIP tokenizer", data->text.vocabulary_source,
               mark);
    return *id;
  };
  data->start_id = find_mark(kStartMark);
  data->end_id = find_mark(kEndMark);
  data->size = data->bpe.size();
  for (const auto& [token, id] : parse_added_tokens(data->text)) {
    const auto known = data->bpe.find(token);
    SUMI_CHECK(!known || *known == id, "{}: the added token \"{}\" has the id {}, and {} in the vocabulary",
               data->text.added_source, shorten(strip_control(token), 60), id, *known);
    if (token == kStartMark || token == kEndMark) continue;
    data->tokens.add({.word = token, .first = id});
    data->size = std::max<int64_t>(data->size, int64_t{id} + 1);
  }
  ClipTokenizer tokenizer;
  tokenizer.data_ = std::move(data);
  return tokenizer;
}

ClipTokenizer ClipTokenizer::with(const AddedWords& words) const {
  auto all = std::make_shared<AddedWords>(data_->tokens);
  for (const AddedWord& word : words.words()) all->add(word);
  ClipTokenizer out = *this;
  out.words_ = std::move(all);
  return out;
}

int64_t ClipTokenizer::ids_of_word(int64_t first) const {
  if (!words_ || first < data_->size) return 1;
  for (const AddedWord& word : words_->words()) {
    if (word.first == first) return word.count;
  }
  return 1;
}

std::vector<int64_t> ClipTokenizer::encode(std::string_view prompt) const {
  count("tokenize");
  return encode_part(prompt);
}

std::vector<int64_t> ClipTokenizer::encode_part(std::string_view part) const {
  check_prompt(part);
  std::vector<int64_t> ids;
  const AddedWords& words = words_ ? *words_ : data_->tokens;
  size_t at = 0;
  for (AddedWords::Found next = words.find(part, 0); next.word != nullptr; next = words.find(part, at)) {
    append_text(part.substr(at, next.begin - at), ids);
    for (int64_t i = 0; i < next.word->count; ++i) ids.push_back(next.word->first + i);
    at = next.end;
  }
  append_text(part.substr(at), ids);
  return ids;
}

// Text without added words.
void ClipTokenizer::append_text(std::string_view part, std::vector<int64_t>& ids) const {
  const std::string cleaned = clean_prompt(part);
  std::string_view rest = cleaned;
  // The two marks, spelled out in a prompt, are found before anything else.
  while (!rest.empty()) {
    size_t mark = rest.find("<|");
    while (mark != std::string_view::npos && !rest.substr(mark).starts_with(kStartMark) &&
           !rest.substr(mark).starts_with(kEndMark)) {
      mark = rest.find("<|", mark + 1);
    }
    data_->append_words(rest.substr(0, mark), ids);
    if (mark == std::string_view::npos) break;
    const bool start = rest.substr(mark).starts_with(kStartMark);
    ids.push_back(start ? data_->start_id : data_->end_id);
    rest.remove_prefix(mark + (start ? kStartMark : kEndMark).size());
  }
}

std::vector<int64_t> ClipTokenizer::encode_padded(std::string_view prompt, int64_t length, int64_t* cut) const {
  SUMI_CHECK_KIND(kUsage, length >= 2, "a padded prompt needs a length of at least 2 for its two marks, not {}",
                  length);
  std::vector<int64_t> ids = encode(prompt);
  const auto count = static_cast<int64_t>(ids.size());
  const int64_t kept = std::min(count, length - 2);
  if (cut) *cut = count - kept;
  ids.resize(kept);
  ids.insert(ids.begin(), data_->start_id);
  ids.resize(length, data_->end_id);
  return ids;
}

const TokenizerText& ClipTokenizer::text() const { return data_->text; }
int64_t ClipTokenizer::vocab_size() const { return data_->size; }
int64_t ClipTokenizer::start_id() const { return data_->start_id; }
int64_t ClipTokenizer::end_id() const { return data_->end_id; }

}  // namespace sumi::text
