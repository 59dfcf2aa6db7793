#include "text/bpe_files.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/check.h"
#include "base/log.h"
#include "base/small_file.h"
#include "base/text_util.h"

namespace sumi::text {
namespace {

constexpr int64_t kMaxFileBytes = 16 << 20;  // CLIP's files have 1 MB and 0.5 MB
constexpr int64_t kMaxTokens = 1 << 20;

std::string read_text(const std::filesystem::path& file) {
  std::error_code error;
  SUMI_CHECK_KIND(kNoInput, std::filesystem::status(file, error).type() != std::filesystem::file_type::not_found,
                  "{}: no such file; a `tokenizer` is a folder with vocab.json and merges.txt", file.string());
  const std::string text = read_small_file(file, kMaxFileBytes);
  SUMI_CHECK(!text.starts_with("\xFF\xFE") && !text.starts_with("\xFE\xFF"), "{}: is UTF-16; save it as UTF-8",
             file.string());
  return std::string(without_byte_order_mark(text));
}

// Reads the vocabulary event by event: nothing nested is ever built, and repeated keys are detected.
class VocabularyReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit VocabularyReader(std::string file) : file_(std::move(file)) {}

  // Ids of any kind, each once.
  Vocabulary take_any() {
    std::unordered_map<int32_t, std::string> seen;
    for (const auto& [token, id] : vocabulary_) {
      const auto [other, fresh] = seen.emplace(id, token);
      SUMI_CHECK(fresh, "{}: the tokens \"{}\" and \"{}\" have one id, {}", file_,
                 shorten(strip_control(other->second), 60), shorten(strip_control(token), 60), id);
    }
    return std::move(vocabulary_);
  }

  Vocabulary take() {
    const auto count = static_cast<int64_t>(vocabulary_.size());
    std::vector<bool> seen(vocabulary_.size());
    for (const auto& [token, id] : vocabulary_) {
      SUMI_CHECK(id < count, "{}: token \"{}\" has id {}, but the ids of {} tokens must be 0 to {}", file_,
                 excerpt(token), id, count, count - 1);
      SUMI_CHECK(!seen[id], "{}: id {} is given twice, the second time to \"{}\"", file_, id, excerpt(token));
      seen[id] = true;
    }
    return std::move(vocabulary_);
  }

  bool start_object(size_t) override {
    if (inside_) refuse();
    return inside_ = true;
  }
  bool key(std::string& name) override {
    token_ = std::move(name);
    return true;
  }
  bool number_unsigned(uint64_t id) override {
    if (!inside_) refuse();
    SUMI_CHECK(id < uint64_t{kMaxTokens}, "{}: token \"{}\" has id {}, over the limit of {}", file_, excerpt(token_),
               id, kMaxTokens);
    const bool fresh = vocabulary_.emplace(token_, static_cast<int32_t>(id)).second;
    SUMI_CHECK(fresh, "{}: token \"{}\" is listed twice", file_, excerpt(token_));
    return true;
  }
  bool number_integer(int64_t id) override {
    fail(ErrorKind::kData, "{}: token \"{}\" has the negative id {}", file_, excerpt(token_), id);
  }
  bool end_object() override { return true; }
  bool null() override { refuse(); }
  bool boolean(bool) override { refuse(); }
  bool number_float(double, const std::string&) override { refuse(); }
  bool string(std::string&) override { refuse(); }
  bool binary(nlohmann::json::binary_t&) override { refuse(); }
  bool start_array(size_t) override { refuse(); }
  bool end_array() override { refuse(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    fail(ErrorKind::kData, "{}: not valid JSON at byte {}", file_, position);
  }

 private:
  [[noreturn]] void refuse() {
    fail(ErrorKind::kData, "{}: must be one flat object of token: whole number, which fails after token \"{}\"", file_,
         excerpt(token_));
  }

  std::string file_;
  std::string token_;
  bool inside_ = false;
  Vocabulary vocabulary_;
};

}  // namespace

namespace {

using Json = nlohmann::json;

Json parse_tokenizer_json(const std::filesystem::path& file) {
  // Depth is bounded by the parser's own stack use of CLIP's files: objects in one list in one object.
  constexpr int kMaxDepth = 16;
  const std::string text = read_text(file);
  Json json = Json::parse(
      text,
      [&](int depth, Json::parse_event_t, Json&) {
        SUMI_CHECK(depth <= kMaxDepth, "{}: is nested too deeply for a tokenizer", file.string());
        return true;
      },
      false);
  SUMI_CHECK(!json.is_discarded() && json.is_object(), "{}: is not a JSON object", file.string());
  return json;
}

// The added tokens of a tokenizer.json: a list of {"id": …, "content": …}.
std::string added_of(const Json& json, const std::string& source) {
  if (!json.contains("added_tokens") || !json["added_tokens"].is_array()) return {};
  Json added = Json::object();
  for (const Json& token : json["added_tokens"]) {
    const bool fits = token.is_object() && token.contains("content") && token["content"].is_string() &&
                      token.contains("id") && token["id"].is_number_unsigned();
    SUMI_CHECK(fits, "{}: an added token has no content or no id", source);
    added[token["content"].get<std::string>()] = token["id"];
  }
  return added.dump();
}

// The tokens that a tokenizer.json adds to the vocabulary of the files beside it; those that are in it are listed too.
std::string added_beyond(const std::filesystem::path& file, const Vocabulary& vocabulary) {
  const std::string source = file.string();
  const Vocabulary listed =
      parse_added_tokens({.added = added_of(parse_tokenizer_json(file), source), .added_source = source});
  Json beyond = Json::object();
  for (const auto& [token, id] : listed) {
    const auto known = vocabulary.find(token);
    SUMI_CHECK(known == vocabulary.end() || known->second == id,
               "{}: the added token \"{}\" has the id {}, and {} in the vocabulary", source, excerpt(token), id,
               known->second);
    if (static_cast<size_t>(id) >= vocabulary.size()) beyond[token] = id;
  }
  return beyond.empty() ? std::string() : beyond.dump();
}

// A tokenizer.json as the texts of vocab.json and merges.txt.
TokenizerText from_tokenizer_json(const std::filesystem::path& file) {
  const Json json = parse_tokenizer_json(file);
  const std::string source = file.string();
  const Json model = json.value("model", Json::object());
  SUMI_CHECK(model.is_object() && model.contains("vocab") && model["vocab"].is_object() && model.contains("merges") &&
                 model["merges"].is_array(),
             "{}: holds no byte-pair encoding (model.vocab and model.merges)", source);
  TokenizerText text{.vocabulary = {}, .merges = {}, .vocabulary_source = source, .merges_source = source};
  text.added = added_of(json, source);
  text.added_source = source;
  // Added tokens may be listed in the vocabulary too; it ends before their ids.
  text.vocabulary = model["vocab"].dump();
  for (const Json& merge : model["merges"]) {
    const bool pair = merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
    SUMI_CHECK(pair || merge.is_string(), "{}: a merge is neither text nor two of them", source);
    text.merges += pair ? merge[0].get<std::string>() + " " + merge[1].get<std::string>() : merge.get<std::string>();
    text.merges += '\n';
  }
  return text;
}

}  // namespace

TokenizerText read_tokenizer(const std::filesystem::path& folder) {
  const std::filesystem::path vocabulary = folder / "vocab.json", merges = folder / "merges.txt",
                              added = folder / "added_tokens.json", whole = folder / "tokenizer.json";
  std::error_code ignored;
  const bool has_whole = std::filesystem::exists(whole, ignored);
  if (has_whole && !std::filesystem::exists(vocabulary, ignored) && !std::filesystem::exists(merges, ignored))
    return from_tokenizer_json(whole);
  TokenizerText text{.vocabulary = read_text(vocabulary),
                     .merges = read_text(merges),
                     .vocabulary_source = vocabulary.string(),
                     .merges_source = merges.string()};
  if (std::filesystem::exists(added, ignored)) {
    text.added = read_text(added);
    text.added_source = added.string();
  } else if (has_whole) {
    const Vocabulary own = parse_vocabulary(text);
    try {
      text.added = added_beyond(whole, own);
      text.added_source = whole.string();
    } catch (const Error& error) {
      warn("{}; it is passed over, since vocab.json and merges.txt are there", error.what());
    }
  }
  return text;
}

Vocabulary parse_added_tokens(const TokenizerText& text) {
  if (text.added.empty()) return {};
  VocabularyReader reader(text.added_source);
  nlohmann::json::sax_parse(text.added, &reader);
  return reader.take_any();
}

Vocabulary parse_vocabulary(const TokenizerText& text) {
  VocabularyReader reader(text.vocabulary_source);
  nlohmann::json::sax_parse(text.vocabulary, &reader);
  return reader.take();
}

MergeList parse_merges(const TokenizerText& files) {
  const std::string& text = files.merges;
  MergeList merges;
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line(text.data() + begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    const size_t space = line.find(' ');
    const bool two_parts = space != std::string_view::npos && space > 0 && space + 1 < line.size() &&
                           line.find(' ', space + 1) == std::string_view::npos;
    SUMI_CHECK(two_parts, "{}, line {}: a merge is two tokens with one space between them", files.merges_source,
               number);
    SUMI_CHECK(!find_invalid_utf8(line), "{}, line {}: not UTF-8", files.merges_source, number);
    SUMI_CHECK(static_cast<int64_t>(merges.size()) < kMaxTokens, "{}: more than {} merges", files.merges_source,
               kMaxTokens);
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  SUMI_CHECK(!merges.empty(), "{}: holds no merges", files.merges_source);
  return merges;
}

}  // namespace sumi::text
