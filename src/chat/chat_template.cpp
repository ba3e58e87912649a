#include "chat/chat_template.h"

#include "base/error.h"
#include "jinja/interpreter.h"
#include "jinja/lexer.h"
#include "jinja/parser.h"

namespace ingrain::chat {
namespace {

constexpr size_t kMaxSource = 1 << 20;
constexpr uint64_t kWorkPerInputByte = 32;

/// Roughly the bytes of text in a JSON value; values that nest too deeply are refused later, so depth is cut
/// here.
uint64_t text_size(const nlohmann::ordered_json& json, int depth = 0) {
  if (json.is_string()) return json.get_ref<const std::string&>().size();
  uint64_t out = 8;
  if (json.is_structured() && depth < 100)
    for (const auto& item : json) out += text_size(item, depth + 1);
  return out;
}

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm out{};
  ::localtime_r(&now, &out);
  return out;
}

using Variables = std::map<std::string, jinja::Value, std::less<>>;

Variables make_variables(const nlohmann::ordered_json& messages, const ChatOptions& options) {
  Variables out;
  out["messages"] = jinja::from_json(messages);
  out["tools"] = jinja::from_json(options.tools);
  out["documents"] = jinja::None{};
  out["add_generation_prompt"] = options.add_generation_prompt;
  if (options.bos_token) out["bos_token"] = *options.bos_token;
  if (options.eos_token) out["eos_token"] = *options.eos_token;
  if (options.extra.is_null()) return out;
  require(options.extra.is_object(), "a chat template's variables must be an object");
  for (const auto& [name, value] : options.extra.items()) out[name] = jinja::from_json(value);
  return out;
}

}  // namespace

struct ChatTemplate::Tree {
  jinja::Template source;
};

ChatTemplate::ChatTemplate(std::string_view source, std::string name) : name_(std::move(name)) {
  require(source.size() <= kMaxSource, "{}: {} bytes; at most {} are accepted", name_, source.size(), kMaxSource);
  try {
    tree_ = std::make_unique<const Tree>(Tree{jinja::Parser(jinja::tokenize(source)).parse()});
  } catch (const Error& e) {
    fail("{}, {}", name_, e.what());
  }
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

std::string ChatTemplate::render(const nlohmann::ordered_json& messages, const ChatOptions& options) const {
  jinja::Runtime runtime;
  runtime.budget = options.work_limit +
                   kWorkPerInputByte * (text_size(messages) + text_size(options.tools) + text_size(options.extra));
  runtime.now = options.now ? *options.now : local_time();
  jinja::Interpreter interpreter(std::move(runtime), make_variables(messages, options));
  try {
    return interpreter.render(tree_->source);
  } catch (const jinja::RaisedByTemplate&) {
    throw;
  } catch (const Error& e) {
    fail("{}, line {}: {}", name_, interpreter.line(), e.what());
  }
}

}  // namespace ingrain::chat
