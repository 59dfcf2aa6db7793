// Readers of a picture's settings text by the rules of the programs that read them: A1111's web UI and Civitai. Written
// from what those programs do; the library's own reader is not used.
#pragma once

#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace sumi::test {

struct Infotext {
  std::string prompt, negative;
  std::map<std::string, std::string> fields;
};

inline std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// The web UI: the last line holds the pairs if a pattern matches three times; a quoted value is JSON; WxH is two
// values; what begins a line with "Negative prompt:" and all lines after it are the negative prompt.
inline Infotext read_as_web_ui(const std::string& text) {
  static const std::regex pair(R"re(\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$))re");
  static const std::regex size(R"(^(\d+)x(\d+)$)");
  const auto matches = [](const std::string& line) {
    std::vector<std::pair<std::string, std::string>> found;
    for (std::sregex_iterator at(line.begin(), line.end(), pair), end; at != end; ++at)
      found.emplace_back((*at)[1], (*at)[2]);
    return found;
  };
  std::vector<std::string> lines = lines_of(trimmed(text));
  auto pairs = lines.empty() ? decltype(matches("")){} : matches(lines.back());
  if (pairs.size() < 3) {
    pairs.clear();
  } else {
    lines.pop_back();
  }
  Infotext out;
  std::string* into = &out.prompt;
  for (std::string line : lines) {
    line = trimmed(line);
    if (line.rfind("Negative prompt:", 0) == 0) {
      into = &out.negative;
      line = trimmed(line.substr(16));
    }
    *into += (into->empty() ? "" : "\n") + line;
  }
  for (auto& [key, value] : pairs) {
    if (value.size() > 1 && value.front() == '"' && value.back() == '"') {
      const auto read = nlohmann::json::parse(value, nullptr, false);
      if (read.is_string()) value = read.get<std::string>();
    }
    std::smatch sides;
    if (std::regex_match(value, sides, size)) {
      out.fields[key + "-1"] = sides[1];
      out.fields[key + "-2"] = sides[2];
    } else {
      out.fields[key] = value;
    }
  }
  // Values named so replace what the lines say.
  if (out.fields.count("Prompt") != 0) out.prompt = out.fields["Prompt"];
  if (out.fields.count("Negative prompt") != 0) out.negative = out.fields["Negative prompt"];
  return out;
}

// Civitai: the first line that begins with "Steps: " holds the pairs, read character by character with quotes that
// keep commas and colons together; the rest is split at "Negative prompt:".
inline Infotext read_as_civitai(const std::string& text) {
  Infotext out;
  std::string details, rest;
  for (const std::string& line : lines_of(text)) {
    if (trimmed(line).empty()) continue;
    if (details.empty() && line.rfind("Steps: ", 0) == 0) {
      details = line;
    } else {
      rest += (rest.empty() ? "" : "\n") + line;
    }
  }
  std::string key, value;
  bool quoted = false;
  for (const char c : details) {
    if (c == '"') {
      if (quoted) {
        out.fields[key] = trimmed(value);
        key.clear();
      }
      quoted = !quoted;
    } else if (c == ':' && !quoted) {
      key = trimmed(value);
      value.clear();
    } else if (c == ',' && !quoted) {
      if (!key.empty()) out.fields[key] = trimmed(value);
      key.clear();
      value.clear();
    } else {
      value += c;
    }
  }
  if (!key.empty()) out.fields[key] = trimmed(value);
  const size_t negative = rest.find("Negative prompt:");
  out.prompt = trimmed(rest.substr(0, negative));
  if (negative != std::string::npos) out.negative = trimmed(rest.substr(negative + 16));
  return out;
}

}  // namespace sumi::test
