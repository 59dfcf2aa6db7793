// Generated torch checkpoints, valid and broken.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "io/torch_ckpt.h"
#include "tests/support/rejected.h"
#include "tests/support/temp_folder.h"
#include "tests/support/torch_file.h"

namespace sumi::io {

using test::torch_parts;
using test::ZipEnd;
using test::ZipPart;
using test::pickle::TensorCode;
using testing::HasSubstr;
namespace pk = test::pickle;

inline const TensorCode kSix{.sizes = {2, 3}, .strides = {3, 1}};

inline std::string good_pickle(const TensorCode& tensor = kSix) {
  return pk::whole(pk::dict({{"w", pk::tensor(tensor)}}));
}

class TorchCkpt : public testing::Test {
 protected:
  std::string error_of(const std::string& bytes) {
    test::write_file(file_, bytes);
    test::rejection(file_, [&] { open_checkpoint(file_); });
    return test::rejection(file_, [&] { open_torch_ckpt(file_); });
  }
  std::string error_of(const std::vector<ZipPart>& parts, const ZipEnd& end = {}) {
    return error_of(test::zip(parts, end));
  }
  // The outcome for a given pickle in a valid archive.
  std::string error_of_pickle(const std::string& code) { return error_of(torch_parts(code)); }
  std::string error_of_tensor(const TensorCode& tensor) { return error_of_pickle(good_pickle(tensor)); }

  std::unique_ptr<Checkpoint> load(const std::vector<ZipPart>& parts, const ZipEnd& end = {}) {
    test::write_file(file_, test::zip(parts, end));
    return open_checkpoint(file_);
  }
  test::TempFolder folder_;
  std::filesystem::path file_ = folder_ / "broken.ckpt";
};

}  // namespace sumi::io
