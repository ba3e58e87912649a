#include "serve/routes/service.h"

#include "api/parts.h"
#include "serve/api/openapi.h"

namespace ingrain::serve {

void get_openapi(Call& call) {
  const ServiceOptions& options = call.service.options();
  api::OpenApiOf of;
  of.version = options.version;
  of.models = options.aliases;
  of.models.insert(of.models.begin(), options.model);
  of.tools = call.service.forms().tools != ToolFormat::none;
  of.thoughts = call.service.forms().thoughts;
  of.names = call.service.forms().names;
  of.keys = call.service.has_keys();
  of.vocab_size = call.service.engine().model().parts().network.config.vocab_size;
  of.limits = options.limits;
  call.reply(api::openapi(of));
}

}  // namespace ingrain::serve
