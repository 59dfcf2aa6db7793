// What `sumi serve` and `sumi work` have in common: the models and files that they draw with, and a queue in Redis.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/common.h"
#include "app/server/redis.h"

namespace sumi::app {

struct ServingFlags {
  ModelChoice model;
  EngineFlags engine;
  std::optional<int64_t> model_memory;  // MB
  std::string queue, queue_password_file;

  // The chosen model first, then what this machine has.
  std::vector<ModelOptions> models() const;
  // Bytes of models that may be open at once: three quarters of what the machine has free, unless it is said.
  int64_t model_bytes() const;
  RedisAddress queue_address() const;  // throws Error(kUsage)
};

void add_serving_options(CLI::App& app, ServingFlags& flags);

// The folders of the models and sumi's own.
std::vector<std::filesystem::path> library_folders(const std::vector<ModelOptions>& models);

// A file's one line, without the white space at its end.
std::string read_secret(const std::string& file);

}  // namespace sumi::app
