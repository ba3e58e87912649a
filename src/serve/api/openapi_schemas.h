// The schemas of the OpenAPI document.
#pragma once

#include "serve/api/openapi.h"

namespace ingrain::serve::api {

/// All of them.
Json openapi_schemas(const OpenApiOf& of);
/// Those that are the same whatever the model.
Json fixed_schemas();

}  // namespace ingrain::serve::api
