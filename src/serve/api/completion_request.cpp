#include "serve/api/completion_request.h"

#include <algorithm>
#include <cmath>

namespace ingrain::serve::api {
namespace {

constexpr size_t kMostPrompts = 64;

std::vector<int32_t> read_tokens(const Json& list, const std::string& path) {
  std::vector<int32_t> out;
  out.reserve(list.size());
  for (const Json& id : list) {
    const double number = id.is_number() ? id.get<double>() : -1;  // 5.0 is an integer, too
    if (number < 0 || number > INT32_MAX || number != std::floor(number)) refuse(path, "'{}' must be token ids", path);
    out.push_back(static_cast<int32_t>(number));
  }
  return out;
}

Prompt read_one(const Json& prompt, const std::string& path) {
  Prompt out;
  if (prompt.is_string())
    out.text = prompt.get<std::string>();
  else if (prompt.is_array())
    out.tokens = read_tokens(prompt, path);
  else
    refuse(path, "'{}' must be a text or a list of token ids", path);
  return out;
}

std::vector<Prompt> read_prompts(const Json* prompt) {
  if (prompt == nullptr) return {read_one("", "prompt")};
  const bool several = prompt->is_array() && !prompt->empty() && !(*prompt)[0].is_number();
  if (!several) return {read_one(*prompt, "prompt")};
  if (prompt->size() > kMostPrompts)
    refuse("prompt", "'prompt' has {} prompts; at most {} are taken", prompt->size(), kMostPrompts);
  std::vector<Prompt> out;
  for (size_t i = 0; i < prompt->size(); ++i) out.push_back(read_one((*prompt)[i], element("prompt", i)));
  return out;
}

}  // namespace

std::vector<Ask> read_completion_request(const Json& body, const AskLimits& limits) {
  Fields fields(body);
  Ask ask;
  read_common(fields, ask);
  read_sampling(fields, ask);
  read_stop(fields, "stop", ask);
  read_logit_bias(fields, ask);
  ask.writing.max_tokens = fields.integer("max_tokens", 0, static_cast<int64_t>(limits.longest))
                               .value_or(std::min<int64_t>(16, static_cast<int64_t>(limits.longest)));
  ask.writing.choices = fields.integer("n", 1, limits.most_choices).value_or(1);
  ask.writing.top_logprobs = fields.integer("logprobs", 0, 20).value_or(-1);
  if (const Json* format = fields.object("response_format")) ask.form = read_form(*format, "response_format");
  read_stream_options(fields, ask);
  const auto best_of = fields.integer("best_of", 1, 128);
  if (best_of && *best_of != ask.writing.choices) refuse_unsupported("best_of", "other than 'n'");
  fields.accept_only("echo", {false}, "true; the prompt is not given back");
  fields.accept_only("suffix", {""});
  fields.accept({"user"});
  const std::vector<Prompt> prompts = read_prompts(fields.take("prompt"));
  fields.refuse_unread();
  std::vector<Ask> out(prompts.size(), ask);
  for (size_t i = 0; i < prompts.size(); ++i) out[i].prompt = prompts[i];
  return out;
}

TokenizeRequest read_tokenize_request(const Json& body) {
  Fields fields(body);
  TokenizeRequest out;
  out.model = fields.string("model").value_or("");
  out.text = fields.need_string("content");
  out.special = fields.boolean("parse_special").value_or(false);
  fields.accept_only("add_special", {false});
  fields.refuse_unread();
  return out;
}

DetokenizeRequest read_detokenize_request(const Json& body) {
  Fields fields(body);
  DetokenizeRequest out;
  out.model = fields.string("model").value_or("");
  fields.need("tokens");
  out.tokens = read_tokens(*fields.array("tokens", 10'000'000), "tokens");
  fields.refuse_unread();
  return out;
}

}  // namespace ingrain::serve::api
