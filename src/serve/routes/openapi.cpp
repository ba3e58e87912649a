#include "serve/routes/service.h"

#include "serve/api/openapi.h"

namespace ingrain::serve {

void get_openapi(Call& call) {
  api::Json out = api::openapi();
  out["info"]["version"] = call.service.options().version;
  call.reply(out);
}

}  // namespace ingrain::serve
