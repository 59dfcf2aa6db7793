// The server's description of itself: OpenAPI 3.1, from which clients are made.
#pragma once

#include <string>

#include "app/server/router.h"

namespace sumi::app {

// JSON. All of the native API; of the other two faces what there is, and their usual fields. The schemas of a request
// and of settings are those of api/schema.h; fields that a server refuses must be empty.
std::string openapi_text();

// GET /openapi.json
void add_openapi_route(Router& router);

}  // namespace sumi::app
