// Checkpoints of torch.save (.ckpt, .pt, .bin): a zip archive of a pickle and the tensors' bytes.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/checkpoint.h"

namespace sumi::io {

// Opens the archive and reads the names; tensors are views of the mapped file where they lie aligned and contiguous.
// The weights may stand at the top or under "state_dict" ("model", "module"). Checksums: the pickle's always, the
// tensors' at opening where they total at most 64 MB (a gigabyte takes a second). Throws Error(kData) or
// Error(kNoInput).
std::unique_ptr<Checkpoint> open_torch_ckpt(const std::filesystem::path& path);

}  // namespace sumi::io
