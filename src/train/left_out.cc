#include "train/left_out.h"

#include <fmt/format.h>

namespace sumi::train {

void LeftOut::add(const std::string& reason, const std::string& name) {
  Some& some = reasons_[reason];
  if (some.count++ == 0) some.first = name;
}

std::string LeftOut::str() const {
  std::string text;
  for (const auto& [reason, some] : reasons_)
    text += fmt::format("{}{} {} ({}{})", text.empty() ? "" : "; ", some.count, reason, some.first,
                        some.count > 1 ? ", …" : "");
  return text;
}

}  // namespace sumi::train
