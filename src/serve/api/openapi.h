// What is served, as OpenAPI 3.1 describes it.
#pragma once

#include "serve/api/api_error.h"

namespace ingrain::serve::api {

/// The document. Its paths are those of the routes' table (a test compares them).
Json openapi();

}  // namespace ingrain::serve::api
