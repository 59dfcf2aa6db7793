// The models that a server may draw with: named by their files, opened when they are first asked for, closed again when
// others need the memory.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "sumi/engine.h"

namespace sumi::app {

struct ShelfEntry {
  std::string name;     // without folder and ending
  std::string path;     // as it was given
  int64_t bytes = 0;    // of its files
  bool loaded = false;  // open now, with its weights
  int64_t created = 0;  // when its file was written, seconds since 1970
};

// Any number of threads may use one.
class Shelf {
 public:
  // `models` by path; a name that two have gets its folder's before it. `most_bytes` of files may be open at once, and
  // one model at least; 0: what the engine's budget is, or no bound. Throws Error(kUsage) for an empty list,
  // Error(kNoInput) for a file that there is not.
  Shelf(const EngineOptions& engine, const std::vector<ModelOptions>& models, int64_t most_bytes = 0);

  // The model of that name (or path, or file name); empty: the first. `vae`: the file of an autoencoder in place of its
  // own. Opens it, and closes those that were not used for the longest time until it fits; who holds one keeps it.
  // Throws Error(kUsage) that lists the names, and as Engine::open.
  Model get(const std::string& name, const std::string& vae = {});
  // The same to look at or to plan with: nothing is closed for it, and it is not kept open.
  Model look(const std::string& name, const std::string& vae = {});
  // The full name that `name` means. Throws Error(kUsage) that lists the names.
  std::string name_of(const std::string& name) const;
  std::vector<ShelfEntry> list() const;
  int64_t most_bytes() const { return most_bytes_; }

 private:
  struct Entry {
    ModelOptions options;
    std::string name;
    int64_t bytes = 0, created = 0;
  };
  struct Open {
    const Entry* entry;
    std::string vae, name;  // the engine's
    Model model;
  };
  const Entry& find(const std::string& name) const;
  std::optional<Model> find_open(const Entry& entry, const std::string& vae, bool uses);
  void make_room(const Entry& entry);

  Engine engine_;
  std::vector<Entry> entries_;
  int64_t most_bytes_;
  std::mutex opening_;        // held while a model is opened; taken before the other
  mutable std::mutex mutex_;  // of what follows
  std::list<Open> open_;      // the one used last first
};

}  // namespace sumi::app
