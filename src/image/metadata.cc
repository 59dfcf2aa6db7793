#include "image/metadata.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/text_util.h"

namespace sumi::image {
namespace {

using Pair = std::pair<std::string, std::string>;

constexpr std::string_view kNegative = "Negative prompt:";
constexpr std::string_view kPromptKey = "Prompt", kNegativeKey = "Negative prompt";
constexpr size_t kMostPairs = 1000, kMostInList = 64;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  const size_t begin = text.find_first_not_of(kSpace);
  return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// Quoting

bool needs_quotes(const std::string& value) {
  return value.find_first_of(",:\n\"\\") != std::string::npos || trimmed(value).size() != value.size();
}

// As a JSON string.
std::string quoted(const std::string& value) {
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// The four digits after \u; nullopt where they are not.
std::optional<uint32_t> hex4(std::string_view text, size_t at) {
  uint32_t value = 0;
  if (at + 4 > text.size()) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + 4, value, 16);
  if (error != std::errc() || end != text.data() + at + 4) return std::nullopt;
  return value;
}

// The text of a JSON string, quotes included. A text that is none stays as it is.
std::string unquoted(const std::string& text) {
  std::string out;
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    const char next = text[++i];
    constexpr std::string_view kLetters = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
    if (const size_t plain = kLetters.find(next); plain != std::string_view::npos) {
      out += kMeant[plain];
      continue;
    }
    auto code = next == 'u' ? hex4(text, i + 1) : std::nullopt;
    if (!code) return text;
    i += 4;
    if (*code >= 0xD800 && *code < 0xDC00 && text.compare(i + 1, 2, "\\u") == 0) {
      const auto low = hex4(text, i + 3);
      if (!low || *low < 0xDC00 || *low > 0xDFFF) return text;
      code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
      i += 6;
    }
    if (*code >= 0xD800 && *code < 0xE000) return text;
    append_utf8(out, *code);
  }
  return out;
}

// Where the quoted value that begins at `at` ends, if a comma or the text's end follows.
std::optional<size_t> end_of_quoted(std::string_view line, size_t at) {
  for (size_t i = at + 1; i < line.size(); ++i) {
    if (line[i] == '\\') {
      ++i;
    } else if (line[i] == '"') {
      const bool whole = i > at + 1 && (i + 1 == line.size() || line[i + 1] == ',');
      return whole ? std::optional(i + 1) : std::nullopt;
    }
  }
  return std::nullopt;
}

// Texts of values

std::string text_of(const std::string& value) { return strip_controls(value, true); }
std::string text_of(bool value) { return value ? "True" : ""; }
std::string text_of(const PictureSize& size) { return fmt::format("{}x{}", size.width, size.height); }
template <class T> std::string text_of(const std::optional<T>& value) {
  if constexpr (std::is_arithmetic_v<T>) {
    return value ? fmt::format("{}", *value) : "";
  } else {
    return value ? text_of(*value) : "";
  }
}

// Values that the separators of fields would split are quoted; the web UI's own are never such.
std::string text_of(const ControlParameters& control) {
  std::string out;
  visit_control(control, [&](std::string_view key, const auto& member) {
    const std::string value = text_of(member);
    if (value.empty()) return;
    const bool splits = value.find_first_of(",:\n\"") != std::string::npos || trimmed(value).size() != value.size();
    out += fmt::format("{}{}: {}", out.empty() ? "" : ", ", key, splits ? quoted(value) : value);
  });
  return out;
}

// Values of texts: whether the text is one

bool read_value(const std::string& text, std::string& value) {
  value = text;
  return true;
}
bool read_value(const std::string& text, bool& value) {
  const bool yes = text == "True" || text == "true", no = text == "False" || text == "false";
  if (yes || no) value = yes;
  return yes || no;
}
template <class T> bool read_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) return false;
  }
  return error == std::errc() && end == text.data() + text.size();
}
bool read_value(const std::string& text, PictureSize& size) {
  const size_t cross = text.find('x');
  return cross != std::string::npos && read_number(std::string_view(text).substr(0, cross), size.width) &&
         read_number(std::string_view(text).substr(cross + 1), size.height);
}
template <class T> bool read_value(const std::string& text, std::optional<T>& value) {
  T read{};
  bool good = false;
  if constexpr (std::is_arithmetic_v<T>) {
    good = read_number(text, read);
  } else {
    good = read_value(text, read);
  }
  if (good) value = read;
  return good;
}

// A field of a unit, "Model: NAME", which begins at `at`. Moves `at` behind the comma that ends it; nullopt where it is
// no field.
std::optional<Pair> take_field(std::string_view text, size_t& at) {
  const size_t colon = text.find(':', at);
  if (colon >= text.find(',', at)) return std::nullopt;
  const size_t begin = std::min(text.find_first_not_of(" \t", colon + 1), text.size());
  const auto quoted_end = begin < text.size() && text[begin] == '"' ? end_of_quoted(text, begin) : std::nullopt;
  const size_t end = quoted_end ? *quoted_end : std::min(text.find(',', begin), text.size());
  const std::string value(trimmed(text.substr(begin, end - begin)));
  const std::string key(trimmed(text.substr(at, colon - at)));
  at = end + 1;
  return Pair(key, quoted_end ? unquoted(value) : value);
}

bool read_value(const std::string& text, ControlParameters& control) {
  ControlParameters read;
  for (size_t at = 0; at < text.size();) {
    const std::optional<Pair> field = take_field(text, at);
    bool good = field.has_value();
    visit_control(read, [&](std::string_view known, auto& member) {
      if (field && field->first == known) good = read_value(field->second, member);
    });
    if (!good) return false;
  }
  control = std::move(read);
  return true;
}

template <class T> constexpr bool kIsList = false;
template <class T> constexpr bool kIsList<std::vector<T>> = true;

// Reading the line of pairs: every match of \s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)

bool is_word(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u >= 0x80 || (u >= '0' && u <= '9') || (u >= 'A' && u <= 'Z') || (u >= 'a' && u <= 'z') || u == '_';
}

std::vector<Pair> pairs_of(std::string_view line) {
  std::vector<Pair> pairs;
  for (size_t at = 0; at < line.size() && pairs.size() < kMostPairs;) {
    if (!is_word(line[at])) {
      ++at;
      continue;
    }
    size_t end = at + 1;
    while (end < line.size() && (is_word(line[end]) || line[end] == ' ' || line[end] == '-' || line[end] == '/')) ++end;
    const std::string key(line.substr(at, end - at));
    if (end >= line.size() || line[end] != ':' || key.size() < 2) {
      at = end + 1;
      continue;
    }
    size_t begin = line.find_first_not_of(" \t", end + 1);
    if (begin == std::string_view::npos) begin = line.size();
    auto quoted_end = begin < line.size() && line[begin] == '"' ? end_of_quoted(line, begin) : std::nullopt;
    const size_t stop = quoted_end ? *quoted_end : std::min(line.find(',', begin), line.size());
    const std::string value(line.substr(begin, stop - begin));
    pairs.emplace_back(key, quoted_end ? unquoted(value) : value);
    at = stop + 1;
  }
  return pairs;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(trimmed(text.substr(at, end - at)));
    at = end + 1;
  }
  return lines;
}

// Takes the line with the pairs out of `lines`.
std::vector<Pair> take_pairs(std::vector<std::string_view>& lines) {
  std::vector<Pair> pairs = pairs_of(lines.back());
  if (pairs.size() >= 3) {
    lines.pop_back();
    return pairs;
  }
  for (size_t i = lines.size(); i-- > 0;) {
    if (!lines[i].starts_with("Steps: ")) continue;
    pairs = pairs_of(lines[i]);
    lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(i));
    return pairs;
  }
  return {};
}

void read_prompts(const std::vector<std::string_view>& lines, GenerationParameters& p) {
  std::string* text = &p.prompt;
  for (std::string_view line : lines) {
    if (line.starts_with(kNegative)) {
      text = &p.negative_prompt;
      line = trimmed(line.substr(kNegative.size()));
    }
    if (!text->empty()) *text += '\n';
    *text += line;
  }
}

// The place in a list that the rest of a key is: " 3".
std::optional<size_t> place_of(std::string_view rest) {
  size_t place = 0;
  const bool good = rest.size() >= 2 && rest[0] == ' ' && read_number(rest.substr(1), place) && place < kMostInList;
  return good ? std::optional(place) : std::nullopt;
}

// Whether the pair is a member's, and its value one. A value that is none leaves `p` as it is; in a list the places
// that the text does not tell are empty.
bool read_pair(const Pair& pair, GenerationParameters& p) {
  const std::string& key = pair.first;
  if (key == kPromptKey) return read_value(pair.second, p.prompt);
  if (key == kNegativeKey) return read_value(pair.second, p.negative_prompt);
  bool taken = false;
  visit_parameters(p, [&]<class T>(std::string_view known, T& member) {
    if constexpr (kIsList<T>) {
      const auto place = key.starts_with(known) ? place_of(std::string_view(key).substr(known.size())) : std::nullopt;
      typename T::value_type value;
      if (!place || !read_value(pair.second, value)) return;
      if (member.size() <= *place) member.resize(*place + 1);
      member[*place] = std::move(value);
      taken = true;
    } else {
      if (key == known) taken = read_value(pair.second, member);
    }
  });
  return taken;
}

// As the text gives it back: each line without the spaces around it.
std::string as_read(const std::string& prompt) {
  std::string out;
  for (const std::string_view line : lines_of(trimmed(prompt))) {
    if (!out.empty()) out += '\n';
    out += line;
  }
  return out;
}

void add(std::vector<std::string>& pairs, std::string_view key, const std::string& value) {
  if (value.empty()) return;
  pairs.push_back(fmt::format("{}: {}", key, needs_quotes(value) ? quoted(value) : value));
}

std::string with_pairs(const std::string& prompts, const std::vector<std::string>& pairs) {
  return prompts + fmt::format("{}", fmt::join(pairs, ", "));
}

}  // namespace

std::string strip_controls(std::string_view text, bool keep_newlines) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '\n' && keep_newlines) {
      out += '\n';
    } else if (c == '\n' || c == '\t') {
      out += ' ';
    } else if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) >= 0x80 &&
               static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      ++i;  // U+0080 … U+009F in UTF-8: terminals act on them too
    } else if (c >= 0x20 && c != 0x7f) {
      out += text[i];
    }
  }
  return out;
}

std::string format_parameters(const GenerationParameters& p) {
  const std::string prompt = strip_controls(p.prompt, true), negative = strip_controls(p.negative_prompt, true);
  std::string prompts = prompt + "\n";
  if (!negative.empty()) prompts += std::string(kNegative) + " " + negative + "\n";
  std::vector<std::string> pairs;
  visit_parameters(p, [&]<class T>(std::string_view key, const T& member) {
    if constexpr (kIsList<T>) {
      for (size_t i = 0; i < member.size(); ++i) add(pairs, fmt::format("{} {}", key, i), text_of(member[i]));
    } else {
      add(pairs, key, text_of(member));
      if constexpr (std::is_same_v<T, std::optional<std::string>>) {
        if (member && member->empty()) pairs.push_back(fmt::format("{}: ", key));  // said to be none
      }
    }
  });
  std::string text = with_pairs(prompts, pairs);
  const GenerationParameters back = parse_parameters(text);
  if (back.prompt == as_read(prompt) && back.negative_prompt == as_read(negative)) return text;
  pairs.push_back(fmt::format("{}: {}", kPromptKey, quoted(prompt)));
  if (!negative.empty()) pairs.push_back(fmt::format("{}: {}", kNegativeKey, quoted(negative)));
  return with_pairs(prompts, pairs);
}

GenerationParameters parse_parameters(std::string_view text) {
  GenerationParameters p;
  std::vector<std::string_view> lines = lines_of(trimmed(text));
  const std::vector<Pair> pairs = take_pairs(lines);
  read_prompts(lines, p);
  for (const Pair& pair : pairs) {
    if (!read_pair(pair, p)) p.other.push_back(pair);
  }
  return p;
}

}  // namespace sumi::image
