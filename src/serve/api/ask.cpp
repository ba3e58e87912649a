#include "serve/api/ask.h"

#include "base/utf8.h"
#include "base/text.h"

#include <sys/random.h>

#include <algorithm>
#include <charconv>

namespace ingrain::serve::api {
namespace {

constexpr size_t kMostStops = 16;
constexpr size_t kMostPairs = 16;

uint64_t random_seed() {
  uint64_t out = 0;
  require(::getrandom(&out, sizeof out, 0) == sizeof out, "the system's random generator gave nothing");
  return out;
}

void read_notepad(Fields& fields, Ask& ask) {
  const Json* notepad = fields.object("notepad");
  if (notepad == nullptr) return;
  Fields inner(*notepad, fields.path("notepad"));
  ask.notepad.enabled = inner.boolean("enabled").value_or(true);
  ask.notepad.passages = inner.integer("passages", 1, 64).value_or(4);
  inner.refuse_unread();
}

}  // namespace

void read_common(Fields& fields, Ask& ask) {
  ask.model = fields.string("model").value_or("");
  ask.memory = fields.string("memory").value_or("");
  ask.stream = fields.boolean("stream").value_or(false);
  ask.progress = fields.boolean("progress").value_or(false);
  if (ask.progress && !ask.stream) refuse("progress", "'progress' needs 'stream': true");
  read_notepad(fields, ask);
  SamplingOptions& sampling = ask.writing.sampling;
  const auto seed = fields.integer("seed", INT64_MIN, INT64_MAX);
  sampling.seed = seed ? static_cast<uint64_t>(*seed) : random_seed();
  sampling.top_k = fields.integer("top_k", 0, 1 << 30).value_or(0);
  sampling.min_p = fields.number("min_p", 0, 1).value_or(0);
  sampling.repetition_penalty = fields.number("repetition_penalty", 0.01, 100).value_or(1);
  const auto learn = fields.word("learn", {"all", "input", "off"});
  ask.writing.learn = !learn || *learn == "all" ? Learn::all : *learn == "input" ? Learn::input : Learn::off;
}

void set_thinking(Ask& ask, const std::string& effort, const std::string& where) {
  ask.thinking.effort = effort;
  ask.thinking.where = where;
  if (!ask.prompt.extra.is_object()) ask.prompt.extra = Json::object();
  ask.prompt.extra["enable_thinking"] = effort != "none";
  if (effort != "none") ask.prompt.extra["reasoning_effort"] = effort;
}

void read_effort(Fields& fields, std::string_view name, Ask& ask) {
  const auto effort = fields.word(name, {"none", "minimal", "low", "medium", "high", "xhigh"});
  if (effort) set_thinking(ask, *effort, fields.path(name));
}

void read_sampling(Fields& fields, Ask& ask, double hottest) {
  SamplingOptions& sampling = ask.writing.sampling;
  sampling.temperature = fields.number("temperature", 0, hottest).value_or(1);
  sampling.top_p = fields.number("top_p", 0, 1).value_or(1);
  // Zero probability leaves the likeliest token, which is how clients mean it.
  if (sampling.top_p == 0) sampling.top_p = 1e-9;
  sampling.presence_penalty = fields.number("presence_penalty", -2, 2).value_or(0);
  sampling.frequency_penalty = fields.number("frequency_penalty", -2, 2).value_or(0);
}

void read_stop(Fields& fields, std::string_view name, Ask& ask) {
  const Json* stop = fields.take(name);
  if (stop == nullptr) return;
  const std::string path = fields.path(name);
  const Json list = stop->is_array() ? *stop : Json::array({*stop});
  if (list.size() > kMostStops) refuse(path, "'{}' has {} texts; at most {} are taken", path, list.size(), kMostStops);
  for (const Json& text : list) {
    if (!text.is_string() || text.get_ref<const std::string&>().empty() ||
        count_utf8(text.get_ref<const std::string&>()) > 1024)
      refuse(path, "'{}' must be a text of 1 to 1024 characters, or a list of such texts", path);
    ask.writing.stop.push_back(text.get<std::string>());
  }
}

void read_stream_options(Fields& fields, Ask& ask) {
  const Json* options = fields.object("stream_options");
  if (options == nullptr) return;
  if (!ask.stream) refuse("stream_options", "'stream_options' needs 'stream': true");
  Fields inner(*options, "stream_options");
  ask.usage_in_stream = inner.boolean("include_usage").value_or(false);
  inner.accept_only("include_obfuscation", {false}, "only false is");
  inner.refuse_unread();
}

void read_logit_bias(Fields& fields, Ask& ask) {
  const Json* bias = fields.object("logit_bias");
  if (bias == nullptr) return;
  for (const auto& [key, value] : bias->items()) {
    int32_t id = -1;
    const auto end = std::from_chars(key.data(), key.data() + key.size(), id);
    if (end.ptr != key.data() + key.size() || end.ec != std::errc() || id < 0)
      refuse("logit_bias", "'logit_bias': '{}' is no token id", printable(key));
    if (!value.is_number() || !(std::abs(value.get<double>()) <= 100))
      refuse("logit_bias", "'logit_bias': token {} must have a number from -100 to 100", id);
    ask.writing.sampling.logit_bias[id] = value.get<double>();
  }
}

Json read_metadata(Fields& fields) {
  const Json* metadata = fields.object("metadata");
  if (metadata == nullptr) return Json::object();
  if (metadata->size() > kMostPairs) refuse("metadata", "'metadata' has more than {} members", kMostPairs);
  for (const auto& [key, value] : metadata->items()) {
    if (count_utf8(key) > 64 || !value.is_string() || count_utf8(value.get_ref<const std::string&>()) > 512)
      refuse("metadata", "'metadata': '{}' must have a name of at most 64 and a string of at most 512 characters",
             printable(key));
  }
  return *metadata;
}

namespace {

/// "name", "description", "strict" and "schema"; the first is what people call it.
void read_schema(Fields& fields, AnswerForm& out) {
  out.kind = AnswerForm::Kind::json_schema;
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  if (const auto name = fields.string("name");
      name && (name->empty() || name->size() > 64 || name->find_first_not_of(kLetters) != name->npos))
    refuse(fields.path("name"), "'{}' must be 1 to 64 of a-z, A-Z, 0-9, '_' and '-'", fields.path("name"));
  out.description = fields.string("description").value_or("");
  fields.boolean("strict");  // it always is
  fields.need("schema");
  out.schema = *fields.object("schema");
  out.where = fields.path("schema");
}

}  // namespace

AnswerForm read_form(const Json& format, const std::string& path) {
  Fields fields(format, path);
  const auto type = fields.word("type", {"text", "json_object", "json_schema"});
  if (!type) fields.need("type");
  AnswerForm out;
  out.where = path;
  if (*type == "json_object") out.kind = AnswerForm::Kind::json_object;
  if (*type == "json_schema") {
    if (const Json* nested = fields.object("json_schema")) {
      Fields inner(*nested, fields.path("json_schema"));
      read_schema(inner, out);
      inner.refuse_unread();
    } else {
      if (path == "response_format" && !fields.find("schema")) fields.need("json_schema");
      read_schema(fields, out);
    }
  }
  fields.refuse_unread();
  return out;
}

std::string read_content(const Json& content, const std::string& path, std::initializer_list<std::string_view> types) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) refuse(path, "'{}' must be a string or a list of parts", path);
  std::string out;
  for (size_t i = 0; i < content.size(); ++i) {
    Fields part(content[i], element(path, i));
    const std::string type = part.need_string("type");
    if (std::find(types.begin(), types.end(), type) == types.end())
      refuse_unsupported(part.path("type"), fmt::format("a part of type '{}'; this model reads text", printable(type)));
    out += part.need_string(type == "refusal" ? "refusal" : "text");
    // Of an answer that comes back, and Anthropic's.
    if (type == "output_text") part.accept({"annotations", "logprobs"});
    if (type == "text") part.accept({"cache_control", "citations"});
    part.refuse_unread();
  }
  return out;
}

}  // namespace ingrain::serve::api
