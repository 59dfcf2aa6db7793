#include "text/network_tags.h"

#include <charconv>
#include <cmath>
#include <optional>

#include "base/check.h"
#include "base/count.h"
#include "base/log.h"
#include "base/text_util.h"
#include "text/normalize.h"

namespace sumi::text {
namespace {

constexpr double kMaxWeight = 1000.0;

struct Tag {
  std::string_view kind, inside;  // "lora", "NAME:WEIGHT"
  size_t begin, end;              // in the prompt, the brackets included
};

// The first whole tag at or after `from`. Reads nothing beyond its end, so that finding all of a prompt's tags takes
// one pass.
std::optional<Tag> find_tag(std::string_view prompt, size_t from) {
  for (size_t begin = prompt.find('<', from); begin != std::string_view::npos; begin = prompt.find('<', begin + 1)) {
    for (const std::string_view kind : {"lora", "lyco", "hypernet"}) {
      const size_t colon = begin + 1 + kind.size();
      if (!prompt.substr(begin + 1).starts_with(kind) || !prompt.substr(colon).starts_with(':')) continue;
      const size_t end = prompt.find('>', colon);
      if (end == std::string_view::npos) return std::nullopt;  // nothing from here on is closed
      return Tag{kind, prompt.substr(colon + 1, end - colon - 1), begin, end + 1};
    }
  }
  return std::nullopt;
}

std::string shown(std::string_view name) { return strip_control(name.substr(0, 80)); }

double read_weight(std::string_view name, std::string_view text) {
  double weight = 0.0;
  const char* const end = text.data() + text.size();
  const auto [stopped, trouble] = std::from_chars(text.data(), end, weight);
  SUMI_CHECK_KIND(kUsage, trouble == std::errc() && stopped == end && std::fabs(weight) <= kMaxWeight,
                  "the lora \"{}\" has the weight \"{}\"; it must be a number from -{} to {}", shown(name), shown(text),
                  kMaxWeight, kMaxWeight);
  return weight;
}

// A weight given by name, each once.
void read_named(std::string_view argument, std::optional<double>& weight, const LoraTag& tag) {
  const size_t equals = argument.find('=');
  SUMI_CHECK_KIND(kUsage, !weight, "the lora \"{}\" has \"{}\" twice; leave one out", shown(tag.name),
                  argument.substr(0, equals + 1));
  weight = read_weight(tag.name, argument.substr(equals + 1));
}

// What follows the name: "0.8", "TEXT:UNET", "te=0.5:unet=0.8". A weight by name goes before one by its place, and the
// UNet's is the text encoder's where none is given, as in A1111.
void read_weights(std::string_view arguments, LoraTag& tag) {
  int place = 0;
  std::optional<double> named_unet, second;
  for (bool more = true; more;) {
    const size_t colon = arguments.find(':');
    more = colon != std::string_view::npos;
    const std::string_view argument = arguments.substr(0, colon);
    arguments.remove_prefix(more ? colon + 1 : arguments.size());
    if (argument.starts_with("te=")) {
      read_named(argument, tag.text, tag);
    } else if (argument.starts_with("unet=")) {
      read_named(argument, named_unet, tag);
    } else {
      SUMI_CHECK_KIND(kUsage, place < 2 && argument.find('=') == std::string_view::npos,
                      "the lora \"{}\" has the argument \"{}\", which is not supported; write <lora:NAME:WEIGHT> or "
                      "<lora:NAME:TEXT:UNET>",
                      shown(tag.name), shown(argument));
      (place == 0 ? tag.weight : second.emplace()) = read_weight(tag.name, argument);
      ++place;
    }
  }
  tag.unet = named_unet ? named_unet : second ? second : tag.text;
  if ((place > 0 && tag.text) || (second && named_unet))
    warn("the lora \"{}\" has a weight twice, by its place and as te= or unet=; the named one counts", shown(tag.name));
}

LoraTag read_tag(const Tag& tag) {
  const size_t colon = tag.inside.find(':');
  const std::string_view name = tag.inside.substr(0, colon);
  const bool path = name.find_first_of("/\\") != std::string_view::npos || name.find("..") != std::string_view::npos;
  SUMI_CHECK_KIND(kUsage, !path, "the prompt's {} name \"{}\" is a path; a name has no slashes and no \"..\"", tag.kind,
                  shown(name));
  SUMI_CHECK_KIND(kUsage, tag.kind == "lora" || tag.kind == "lyco",
                  "the prompt asks for the {} \"{}\", which this build does not support; leave the tag out", tag.kind,
                  shown(name));
  SUMI_CHECK_KIND(kUsage, !name.empty() && !find_invalid_utf8(name) && name.find('\0') == std::string_view::npos,
                  "a lora tag of the prompt has no name: <lora:NAME:WEIGHT>");
  LoraTag out{.name = std::string(name)};
  if (colon != std::string_view::npos) read_weights(tag.inside.substr(colon + 1), out);
  return out;
}

}  // namespace

TaggedPrompt take_lora_tags(std::string_view prompt) {
  count("parse_tags");
  check_prompt(prompt);
  TaggedPrompt out;
  size_t at = 0;
  for (std::optional<Tag> tag = find_tag(prompt, 0); tag; tag = find_tag(prompt, at)) {
    out.loras.push_back(read_tag(*tag));
    out.prompt += prompt.substr(at, tag->begin - at);
    at = tag->end;
  }
  out.prompt += prompt.substr(at);
  return out;
}

void refuse_network_tags(std::string_view prompt) {
  const std::optional<Tag> tag = find_tag(prompt, 0);
  if (!tag) return;
  const LoraTag lora = read_tag(*tag);
  fail(ErrorKind::kUsage,
       "the lora \"{}\" cannot be named here; name it in the prompt itself, or its file with `loras`",
       shown(lora.name));
}

}  // namespace sumi::text
