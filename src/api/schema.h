// The JSON Schema of requests, options and replies, made from the tables of api/fields.h.
#pragma once

#include <string>

namespace sumi::api {

// A schema of draft 2020-12 in several lines, that of a request; the others are in its $defs. docs/ has it as a file.
std::string json_schema();

}  // namespace sumi::api
