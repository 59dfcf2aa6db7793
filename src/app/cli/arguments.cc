#include "app/cli/arguments.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "app/cli/command.h"
#include "base/check.h"
#include "base/nearest.h"
#include "base/parse_number.h"

namespace sumi::app {
namespace {

// Whether the command `name` has that option.
bool takes(const std::string& name, const std::string& option) {
  for (const Command* command : commands()) {
    if (command->name != name) continue;
    CLI::App app;
    command->declare(app);
    return app.get_option_no_throw(option) != nullptr;
  }
  return false;
}

[[noreturn]] void fail_unknown(const CLI::App& app, const std::string& name, const std::string& command) {
  // Users of the short form may know the original's script.
  const std::string shown = name.substr(0, 60);
  if (command.empty() && takes("txt2img", name))
    fail(ErrorKind::kUsage, "{} is an option of sumi txt2img, which takes its prompt with --prompt", shown);
  const std::string nearest = nearest_of(name, long_names(app));
  if (!nearest.empty()) fail(ErrorKind::kUsage, "unknown option {}; did you mean {}?", shown, nearest);
  fail(ErrorKind::kUsage, "unknown option {}; sumi {} --help lists the options", shown,
       command.empty() ? "\"\"" : command);
}

// A parsed argument.
struct Token {
  std::string name;                  // "--n-samples", "-o"; empty: a value
  std::optional<std::string> value;  // after "="
};

Token split(const std::string& argument) {
  Token token;
  if (argument.size() > 2 && argument.starts_with("--")) {
    const size_t equals = argument.find('=');
    token.name = argument.substr(0, equals);
    std::replace(token.name.begin(), token.name.end(), '_', '-');
    if (equals != std::string::npos) token.value = argument.substr(equals + 1);
  } else if (argument.size() > 1 && argument[0] == '-' && argument[1] != '-') {
    token.name = argument.substr(0, 2);
    if (argument.size() > 2) token.value = argument.substr(2);
  }
  return token;
}

const CLI::Option* find_option(const CLI::App& app, const std::string& name) {
  return name.empty() ? nullptr : app.get_option_no_throw(name);
}

template <class T> T parse(std::string_view text, const std::string& names, const char* what) {
  std::string_view digits = text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = end == digits.data() + digits.size() && !digits.empty();
  SUMI_CHECK_KIND(kUsage, !(whole && error == std::errc::result_out_of_range), "{}: {} is too large", names,
                  text.substr(0, 40));
  SUMI_CHECK_KIND(kUsage, whole && error == std::errc(), "{}: \"{}\" is not {}", names, text.substr(0, 40), what);
  return value;
}

constexpr const char* kInteger = "a whole number";
constexpr const char* kNumber = "a number";

}  // namespace

std::vector<std::string> long_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> normalise_arguments(const CLI::App& app, const std::vector<std::string>& arguments,
                                             const std::string& command) {
  std::vector<std::string> out;
  std::set<const CLI::Option*> seen;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--") {
      out.insert(out.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i), arguments.end());
      break;
    }
    Token token = split(arguments[i]);
    if (token.name.empty()) {
      out.push_back(arguments[i]);
      continue;
    }
    const CLI::Option* option = find_option(app, token.name);
    if (option == nullptr) fail_unknown(app, token.name, command);
    const bool may_repeat = option->get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
    SUMI_CHECK_KIND(kUsage, seen.insert(option).second || may_repeat, "{} is given twice", option->get_name());
    out.push_back(token.name);
    if (option->get_items_expected_max() == 0) {
      SUMI_CHECK_KIND(kUsage, !token.value, "{} takes no value", token.name);
      continue;
    }
    if (!token.value && i + 1 < arguments.size() && find_option(app, split(arguments[i + 1]).name) == nullptr) {
      token.value = arguments[++i];
    }
    SUMI_CHECK_KIND(kUsage, token.value, "{} needs a value; if it begins like an option, write {}=VALUE", token.name,
                    token.name);
    // The result of an unset shell variable.
    SUMI_CHECK_KIND(kUsage, !token.value->empty() || option->get_type_name() == "TEXT", "{} is empty", token.name);
    out.push_back(*token.value);
  }
  return out;
}

CLI::Option* add_integer(CLI::App& app, const std::string& names, int64_t& value, const std::string& help) {
  const auto read = [&value, names](const std::string& text) { value = parse<int64_t>(text, names, kInteger); };
  return app.add_option_function<std::string>(names, read, help)->type_name("N")->default_str(std::to_string(value));
}

CLI::Option* add_integer(CLI::App& app, const std::string& names, std::optional<int64_t>& value,
                         const std::string& help) {
  const auto read = [&value, names](const std::string& text) { value = parse<int64_t>(text, names, kInteger); };
  return app.add_option_function<std::string>(names, read, help)->type_name("N");
}

CLI::Option* add_number(CLI::App& app, const std::string& names, double& value, const std::string& help) {
  const auto read = [&value, names](const std::string& text) { value = parse<double>(text, names, kNumber); };
  return app.add_option_function<std::string>(names, read, help)->type_name("X")->default_str(fmt::format("{}", value));
}

CLI::Option* add_number(CLI::App& app, const std::string& names, std::optional<double>& value,
                        const std::string& help) {
  const auto read = [&value, names](const std::string& text) { value = parse<double>(text, names, kNumber); };
  return app.add_option_function<std::string>(names, read, help)->type_name("X");
}

CLI::Option* add_repeatable(CLI::App& app, const std::string& names, std::vector<std::string>& values,
                            const std::string& type, const std::string& help) {
  return app.add_option(names, values, help)
      ->type_name(type)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->expected(1);
}

std::optional<uint64_t> parse_seed(const std::string& text) {
  if (text == "-1") return std::nullopt;
  const auto value = number_in<uint64_t>(text);
  SUMI_CHECK_KIND(kUsage, value,
                  "the seed must be a whole number from 0 to 18446744073709551615, or -1 for a random one, not \"{}\"",
                  text.substr(0, 40));
  return value;
}

}  // namespace sumi::app
