// Prints the JSON Schema that docs/ has as sumi-request.schema.json.
#include <cstdio>

#include "api/schema.h"

int main() {
  const std::string schema = sumi::api::json_schema();
  return std::fwrite(schema.data(), 1, schema.size(), stdout) == schema.size() && std::fflush(stdout) == 0 ? 0 : 74;
}
