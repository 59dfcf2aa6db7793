// The two files of a byte-pair encoding as they are published: vocab.json and merges.txt. Read as data from strangers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sumi::text {

using Vocabulary = std::unordered_map<std::string, int32_t>;
using MergeList = std::vector<std::pair<std::string, std::string>>;

// One flat JSON object of token -> id, the ids being 0 … n-1, each once. Throws Error naming the file and the rule.
Vocabulary read_vocabulary(const std::filesystem::path& file);

// Two tokens a line, the most frequent pair first. A "#version" line, blank lines, CRLF and a byte order mark are
// passed over. Throws Error naming the file, the line and the rule.
MergeList read_merges(const std::filesystem::path& file);

}  // namespace sumi::text
