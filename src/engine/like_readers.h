// The readers of like.cc, one for each program's form. They take what they can, put the rest into `untaken`, and accept
// any text; a graph without a sampler throws Error(kData).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "engine/like.h"
#include "image/metadata.h"

namespace sumi::engine {

// `picture`: the size that the file has.
void take_parameters(const image::GenerationParameters& parameters, std::optional<image::PictureSize> picture,
                     Like& like);
void take_comfy_graph(const nlohmann::json& graph, Like& like);
void take_invoke_metadata(const nlohmann::json& metadata, Like& like);  // version 3 and later
void take_old_invoke_metadata(const nlohmann::json& metadata, Like& like);
void take_dream_command(std::string_view command, Like& like);  // the first versions: "a cat" -s 50 -S 42 …

// Adds to `untaken`, cut to a bearable length; each once, and at most 64.
void leave(Like& like, std::string_view what);

// Takes a sampler by any name that the registry or a program has; `schedule` by the web UI's name or the registry's,
// "" where it is not told. Leaves unknown ones, but says so.
void take_sampler(Request& request, const std::string& sampler, const std::string& schedule, Like& like);

// Takes the LoRA tags out of the request's prompt into its list, with names for files; tags of other networks are left.
void take_tags(Like& like);

// "sub/dir\\name.safetensors" without folders.
std::string base_name(std::string_view path);

}  // namespace sumi::engine
