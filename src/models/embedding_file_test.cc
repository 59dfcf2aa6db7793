#include "models/embedding_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/check.h"
#include "io/safetensors.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"
#include "tests/support/temp_folder.h"

namespace sumi::models {
namespace {

using testing::HasSubstr;

class EmbeddingFile : public testing::Test {
 protected:
  std::unique_ptr<io::Checkpoint> open(const Tensor& vectors) const {
    io::write_safetensors(path(), {{"emb_params", vectors}});
    return io::open_checkpoint(path());
  }
  std::filesystem::path path() const { return folder_ / "cat.safetensors"; }

  test::TempFolder folder_;
};

TEST_F(EmbeddingFile, OtherShapesAreRefusedByName) {
  for (const Shape& shape : {Shape{}, Shape{1, 4, 64}}) {
    const auto file = open(test::random(shape));
    try {
      read_embeddings(*file, 64);
      FAIL() << "read " << shape.str();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
      EXPECT_THAT(error.what(), HasSubstr("cat.safetensors: \"emb_params\" " + shape.str()));
    }
  }
}

// What is read stays as it is when the file is overwritten.
TEST_F(EmbeddingFile, TheVectorsAreCopies) {
  const Tensor vectors = test::random({2, 64});
  const auto file = open(vectors);
  const std::vector<Embedding> read = read_embeddings(*file, 64);
  ASSERT_EQ(read.size(), 1u);
  {
    const auto size = static_cast<std::streamoff>(std::filesystem::file_size(path()));
    std::fstream stream(path(), std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(size - vectors.bytes());
    stream << std::string(static_cast<size_t>(vectors.bytes()), '\0');
  }
  EXPECT_TRUE(test::same_bytes(read[0].vectors, vectors));
}

}  // namespace
}  // namespace sumi::models
