// What clients of OpenAI's images API ask for, as submissions. docs/server.md says what each field does.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/server/jobs.h"
#include "app/server/multipart.h"
#include "sumi/error.h"

namespace sumi::app {

// A field that is wrong, in the words that OpenAI's clients show beside the sentence.
class BadField : public Error {
 public:
  BadField(const std::string& sentence, std::string field, std::string word, int http_status = 400)
      : Error(ErrorKind::kUsage, sentence), param(std::move(field)), code(std::move(word)), status(http_status) {}
  std::string param, code;  // empty: null
  int status;
};

enum class FileFormat : unsigned char { kPng, kJpeg, kWebp };
const char* name_of(FileFormat format);  // "png", …

struct OpenaiRequest {
  Submission submission = {};  // `client` is the caller's to fill in
  FileFormat format = FileFormat::kPng;
  int compression = 100;                // of JPEG and WebP: their quality
  bool url = false;                     // pictures are named, not given
  bool stream = false;                  // events in place of one reply
  int64_t partial_images = 0;           // of a stream: how many pictures in the making are shown
  std::string quality = "auto";         // as it was asked for
  std::vector<std::string> notes = {};  // sentences about what was taken but has no effect
};

// The name of the shelf that a `model` means; empty: the default one. Throws Error(kUsage) for none.
using FindModel = std::function<std::string(const std::string&)>;

// The fields of POST /v1/images/generations: a JSON object. Throws BadField, or Error(kUsage) for what is no JSON.
OpenaiRequest read_generation(std::string_view json, const FindModel& find);

// Those of POST /v1/images/edits: a form with the files `image` and `mask`. The pictures are decoded here where their
// size or opacity matters, which takes time. Throws BadField.
OpenaiRequest read_edit(const std::vector<FormPart>& form, const FindModel& find);

// The field of the API that a sentence about a request names first, in backquotes; empty: none.
std::string field_of(std::string_view sentence);

}  // namespace sumi::app
