#include "image/metadata.h"

#include <fmt/format.h>

#include <vector>

namespace sumi::image {
namespace {

// A1111 quotes a value as a JSON string where a reader would split it.
std::string quoted(const std::string& value) {
  if (value.find_first_of(",:\n\"") == std::string::npos) return value;
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + "\"";
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
  std::string out = strip_controls(p.prompt, true) + "\n";
  if (!p.negative_prompt.empty()) out += "Negative prompt: " + strip_controls(p.negative_prompt, true) + "\n";
  std::vector<std::string> fields;
  const auto field = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) fields.push_back(fmt::format("{}: {}", key, quoted(strip_controls(value))));
  };
  field("Steps", std::to_string(p.steps));
  field("Sampler", p.sampler);
  field("Schedule type", p.schedule);
  field("CFG scale", fmt::format("{:g}", p.guidance));
  field("Seed", std::to_string(p.seed));
  field("Size", fmt::format("{}x{}", p.width, p.height));
  if (p.eta != 0.0) field("Eta", fmt::format("{:g}", p.eta));
  field("RNG", p.rng);
  field("Seeding", p.seeding);
  field("Precision", p.precision);
  if (p.batch_pos >= 0) field("Batch pos", std::to_string(p.batch_pos));
  field("Model", p.model);
  field("Version", p.version);
  return out + fmt::format("{}", fmt::join(fields, ", "));
}

}  // namespace sumi::image
