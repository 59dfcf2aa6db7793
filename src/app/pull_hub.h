// What a repository on a Hugging Face style hub holds, and which of its files sumi has a use for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sumi::app {

// A file as the hub lists it; what it does not say is not checked.
struct HubFile {
  std::string name;  // relative, '/' between folders
  std::optional<int64_t> size;
  std::string sha256;    // of large files, 64 hex digits
  std::string git_blob;  // of small ones: the SHA-1 that git gives it, 40 hex digits
};

// Throws Error(kUsage) unless `name` is "owner/name" of letters, digits, '-', '_' and '.'.
void check_repository_name(std::string_view name);

// Throws Error(kData) for a file name that could lead out of a folder: absolute, with "..", a backslash or a control
// character in it.
void check_file_name(std::string_view repository, std::string_view name);

// Reads the hub's answer to /api/models/REPOSITORY/revision/REVISION?blobs=true. Every name is checked.
std::vector<HubFile> parse_listing(std::string_view repository, std::string_view json);

// The files to fetch. Of a diffusers folder: model_index.json and, of the components, configurations, vocabularies and
// safetensors weights (with `fp16` that variant where a component has it). Else: the checkpoints at the top, as
// safetensors where there are any, and their configurations. Throws Error(kData) when there is no model.
std::vector<HubFile> choose_files(std::string_view repository, const std::vector<HubFile>& files, bool fp16);

}  // namespace sumi::app
