// What the web UI calls its options: a dictionary that clients read, change in part or as a whole, and hand back.
#pragma once

#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "app/server/library.h"
#include "app/server/shelf.h"

namespace sumi::app {

// What a drawing takes from the options, where its request says nothing else.
struct WebChoices {
  std::string model = {};  // a name of the shelf
  std::string vae = {};    // as in Submission
  std::string rng = "cuda";
  bool previews = true;
};

// What is kept of options.
struct WebOptionsState {
  WebChoices choices = {};
  std::map<std::string, nlohmann::json> remembered = {};
};

// Of the server's thread alone.
class WebOptions {
 public:
  // Both must outlive it.
  WebOptions(const Shelf& shelf, const Library& library);

  nlohmann::json get() const;
  // All of them or none. Those that are not known are remembered, within bounds; null says nothing. Throws
  // Error(kUsage): for a model or an autoencoder that there is not, with the names; for an option that would change
  // pictures in a way that cannot be done.
  void set(const nlohmann::json& options) { state_ = after(options); }
  // The same in two steps, of which the second cannot fail.
  WebOptionsState after(const nlohmann::json& options) const;
  void put(WebOptionsState state) { state_ = std::move(state); }
  // What holds for a request with these `override_settings`. Throws as set().
  WebChoices with(const nlohmann::json& overrides) const;

 private:
  void apply(const nlohmann::json& options, WebChoices& choices) const;

  static constexpr size_t kMostRemembered = 2000, kMostBytes = 256 << 10;  // the web UI has about 400, of 15 KB

  const Shelf& shelf_;
  const Library& library_;
  WebOptionsState state_;
};

// "name [6ce0161689]" and "name" as the shelf has it: without the hash that titles of the web UI end in.
std::string web_model_name(const std::string& title);

}  // namespace sumi::app
