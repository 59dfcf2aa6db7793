// Checkpoints of torch.save (.ckpt, .pt, .bin): a zip archive of a pickle and the tensors' bytes, or the format of
// before 2020 (legacy_torch.h).
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/checkpoint.h"
#include "io/mapped_file.h"

namespace sumi::io {

// Opens the archive and reads the names; tensors are views of the mapped file where they lie aligned and contiguous.
// The weights may stand at the top or under "state_dict" ("model", "module"); where neither has tensors, those of the
// dictionaries one level down are named "KEY.NAME". Checksums: the pickle's always, the
// tensors' at opening where they total at most 64 MB (a gigabyte takes a second). Throws Error(kData) or
// Error(kNoInput).
std::unique_ptr<Checkpoint> open_torch_ckpt(const std::filesystem::path& path);
std::unique_ptr<Checkpoint> open_torch_ckpt(std::shared_ptr<MappedFile> file);  // of one that is mapped already

}  // namespace sumi::io
