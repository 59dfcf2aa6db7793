// Where sumi and Hugging Face's tools keep their files on this machine, as the environment has it.
#pragma once

#include <filesystem>

#include "text/find_tokenizer.h"

namespace sumi::app {

// data_folder: $SUMI_HOME, else $XDG_DATA_HOME/sumi, else ~/.local/share/sumi. hub_cache: $HF_HUB_CACHE, else
// $HF_HOME/hub, else ~/.cache/huggingface/hub. Variables that are empty count as unset; a folder is empty where none
// is set, as under `env -i`. Neither has to exist.
text::Places find_places();

// The data folder; throws Error(kNoInput) where there is none.
std::filesystem::path data_folder();

}  // namespace sumi::app
