// The files of a repository on a Hugging Face style hub, and which of them sumi needs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sumi::app {

// A file as the hub lists it; properties that are not listed are not checked.
struct HubFile {
  std::string name;  // relative, '/' between folders
  std::optional<int64_t> size;
  std::string sha256;    // of large files, 64 hex digits
  std::string git_blob;  // of small ones: git's SHA-1, 40 hex digits
};

// Throws Error(kUsage) unless `name` is "owner/name" of letters, digits, '-', '_' and '.'.
void check_repository_name(std::string_view name);

// Throws Error(kData) for a file name that could lead out of a folder: absolute, or with "..", a backslash or a control
// character.
void check_file_name(std::string_view repository, std::string_view name);

// Reads the hub's answer to /api/models/REPOSITORY/revision/REVISION?blobs=true. Every name is checked.
std::vector<HubFile> parse_listing(std::string_view repository, std::string_view json);

// The files to fetch. Of a diffusers folder: model_index.json and, of the components, configurations, vocabularies and
// safetensors weights (with `fp16` that variant if a component has it). Otherwise: the checkpoints at the top, as
// safetensors if there are any, and their configurations. Throws Error(kData) if there is no model.
std::vector<HubFile> choose_files(std::string_view repository, const std::vector<HubFile>& files, bool fp16);

}  // namespace sumi::app
