// Additions to CLI11: underscores for dashes, one-sentence errors, strict numbers.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sumi::app {

// `arguments` with the names of long options spelled with dashes and "--name=value" split in two; values are not
// changed. Throws Error(kUsage) for an unknown option (with the nearest known one), one given twice in any spelling,
// one without a value (a following option of the command is not taken as a value), and one with an empty value, except
// texts.
std::vector<std::string> normalise_arguments(const CLI::App& app, const std::vector<std::string>& arguments,
                                             const std::string& command);

// The command's long options, "--steps".
std::vector<std::string> long_names(const CLI::App& app);

// Options with numbers. Only decimal digits, no trailing characters; throw Error(kUsage) naming the option.
CLI::Option* add_integer(CLI::App& app, const std::string& names, int64_t& value, const std::string& help);
CLI::Option* add_integer(CLI::App& app, const std::string& names, std::optional<int64_t>& value,
                         const std::string& help);
CLI::Option* add_number(CLI::App& app, const std::string& names, double& value, const std::string& help);
CLI::Option* add_number(CLI::App& app, const std::string& names, std::optional<double>& value, const std::string& help);

// An option that may be given several times, each time with one value.
CLI::Option* add_repeatable(CLI::App& app, const std::string& names, std::vector<std::string>& values,
                            const std::string& type, const std::string& help);

// A seed: 0 to 2^64-1, or -1 for none (the caller draws one).
std::optional<uint64_t> parse_seed(const std::string& text);

}  // namespace sumi::app
