// A pickle machine that holds data and calls nothing.
//
// Python's pickle is a program that may import and call anything. This machine knows the opcodes that torch.save writes
// and a list of names that make dictionaries and tensors. What any other name would construct is an inert value, which
// only an error can come of: where a tensor would be made by it, and for names that run commands or code.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/dtype.h"

namespace sumi::io {

struct PickleValue {
  enum class Kind : uint8_t {
    kNone,
    kBool,
    kInt,
    kFloat,
    kString,
    kBytes,
    kList,
    kTuple,
    kDict,
    kGlobal,
    kStorage,
    kTensor,
    kInert
  };
  Kind kind = Kind::kNone;
  int64_t integer = 0;  // kInt, kBool
  std::string text;     // kString, kBytes, kGlobal ("module name"), kStorage (its key), kInert (what it was made by)
  std::vector<PickleValue*> items;                             // kList, kTuple
  std::vector<std::pair<PickleValue*, PickleValue*>> entries;  // kDict
  DType dtype = DType::kF32;                                   // kStorage
  PickleValue* storage = nullptr;                              // kTensor
  int64_t offset = 0;                                          // kTensor: elements; kStorage: their count
  std::vector<int64_t> sizes, strides;                         // kTensor
};

// Owns every value of one pickle; they may refer to one another in circles.
struct Pickle {
  std::vector<std::unique_ptr<PickleValue>> values;
  PickleValue* root = nullptr;
  size_t bytes = 0;  // that it took
};

// Reads one pickle; more may follow. Throws Error(kData), the message beginning with `file`.
Pickle read_pickle(std::span<const uint8_t> bytes, const std::string& file);

}  // namespace sumi::io
