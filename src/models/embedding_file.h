// Files of textual inversion: vectors that take the place of rows of a text encoder's token embedding. (Gal et al.
// 2022)
//
// A1111's and the original's (`string_to_param`), `emb_params`, diffusers' (a tensor a word, rank 1 or 2), and those of
// Stable Diffusion XL (`clip_l` and `clip_g`), safetensors or torch.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace sumi::models {

struct Embedding {
  std::string word;  // as the file names it, "<cat>"; empty: the file's own name is the word
  Tensor vectors;    // [n,D] float32
};

// Whether the tensors' names and shapes are those of such a file.
bool is_embedding_file(const io::Checkpoint& file);

// The file's embeddings for a text encoder of `width`; of several parts (clip_l, clip_g) the one that has it. Throws
// Error(kData) for other files, vectors of another width (the message names both), more than 1024 of them, and values
// that are not finite. The vectors are copies: the file may change afterwards.
std::vector<Embedding> read_embeddings(const io::Checkpoint& file, int64_t width);

}  // namespace sumi::models
