#include "app/cli/words.h"

#include <algorithm>
#include <string_view>

namespace sumi::app {
namespace {

// Fields whose option has another name. A field's own name comes first where the command has such an option: `batch` is
// --batch in training, --n-samples in txt2img.
struct Renamed {
  std::string_view field, option;
};
constexpr Renamed kRenamed[] = {
    {"batch", "--n-samples"},
    {"checkpoint", "--ckpt"},
    {"controls", "--control"},
    {"copies", "--n-samples"},
    {"embedding_folder", "--embedding-dir"},
    {"embeddings", "--embedding"},
    {"fixed_noise", "--fixed-code"},
    {"iterations", "--n-iter"},
    {"lora_folder", "--lora-dir"},
    {"loras", "--lora"},
    {"path", "--ckpt"},
    {"prompts", "--prompt"},
    {"syntax", "--prompt-syntax"},
    {"tiled_decode", "--vae-tiling"},
};

bool is_field(std::string_view text) {
  return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

// The option for a field; empty where the command has none.
std::string option_of(std::string_view field, const std::set<std::string>& options) {
  std::string own = "--" + std::string(field);
  std::replace(own.begin(), own.end(), '_', '-');
  if (options.contains(own)) return own;
  for (const Renamed& renamed : kRenamed) {
    std::string other(renamed.option);
    if (renamed.field == field && options.contains(other)) return other;
  }
  return {};
}

struct Hint {
  ErrorKind kind;
  std::string_view field, advice;
};
constexpr Hint kHints[] = {
    {ErrorKind::kNoInput, "`tokenizer`", "; `sumi pull tokenizer` fetches one"},
    {ErrorKind::kUsage, "`backend`", "; `sumi list backends` shows those of this program"},
};

}  // namespace

std::string in_options(const std::string& sentence, const std::set<std::string>& options) {
  std::string shown;
  size_t at = 0;
  while (at < sentence.size()) {
    const size_t begin = std::min(sentence.find('`', at), sentence.size());
    shown.append(sentence, at, begin - at);
    if (begin == sentence.size()) break;
    const size_t end = sentence.find('`', begin + 1);
    const std::string_view text =
        end == std::string::npos ? std::string_view() : std::string_view(sentence).substr(begin + 1, end - begin - 1);
    const std::string option = is_field(text) ? option_of(text, options) : std::string();
    shown += option.empty() ? "`" : option;
    at = option.empty() ? begin + 1 : end + 1;
  }
  return shown;
}

std::string hint_for(ErrorKind kind, const std::string& sentence) {
  for (const Hint& hint : kHints) {
    if (hint.kind == kind && sentence.find(hint.field) != std::string::npos) return std::string(hint.advice);
  }
  return {};
}

}  // namespace sumi::app
