// What is asked of the server itself: models, tokens, health, figures.
#include "api/parts.h"
#include "base/text.h"
#include "serve/api/completion_request.h"
#include "serve/page/page.h"
#include "serve/routes/answering.h"

namespace ingrain::serve {
namespace {

using api::Json;

Json model_json(const Call& call, const std::string& name) {
  const Model& model = call.service.engine().model();
  return {{"id", name},
          {"object", "model"},
          {"created", call.service.created()},
          {"owned_by", "ingrain"},
          {"ingrain",
           {{"fingerprint", model.fingerprint()},
            {"parameters", model.parameter_count()},
            {"window", model.window() ? Json(*model.window()) : Json(nullptr)},
            {"chunk", model.chunk()},
            {"device", model.device()}}}};
}

}  // namespace

void get_models(Call& call) {
  const ServiceOptions& options = call.service.options();
  Json data = Json::array();
  data.push_back(model_json(call, options.model));
  for (const std::string& alias : options.aliases) data.push_back(model_json(call, alias));
  call.reply({{"object", "list"}, {"data", std::move(data)}});
}

void get_model(Call& call) {
  check_model(call, call.variables[0]);
  call.reply(model_json(call, call.variables[0]));
}

void post_tokenize(Call& call) {
  const api::TokenizeRequest request = api::read_tokenize_request(call.body());
  check_model(call, request.model);
  call.reply({{"tokens", call.service.engine().model().encode(request.text, request.special)}});
}

void post_detokenize(Call& call) {
  const auto [name, tokens] = api::read_detokenize_request(call.body());
  check_model(call, name);
  const Model& model = call.service.engine().model();
  const int64_t size = model.parts().network.config.vocab_size;
  for (const int32_t token : tokens)
    if (token < 0 || token >= size) api::refuse("tokens", "'tokens': {}; the model's ids are 0 to {}", token, size - 1);
  call.reply({{"content", model.decode(tokens)}});
}

void get_health(Call& call) { call.reply({{"status", "ok"}}); }

void get_metrics(Call& call) {
  Service& service = call.service;
  call.exchange.reply(200, "text/plain; version=0.0.4; charset=utf-8",
                      service.metrics().text(service.engine().stats(), service.connections()));
}

void get_page(Call& call) {
  const PageFile* file = page_file(call.request().path);
  if (file == nullptr) api::refuse_missing("", fmt::format("the page's '{}'", printable(call.request().path)));
  reply_page(call.exchange, *file);
}

}  // namespace ingrain::serve
