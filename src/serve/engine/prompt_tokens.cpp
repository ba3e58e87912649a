#include "serve/engine/prompt_tokens.h"

#include "api/chat_form.h"
#include "api/parts.h"
#include "base/error.h"
#include "chat/control_tokens.h"

#include <algorithm>

namespace ingrain::serve {
namespace {

using Json = nlohmann::ordered_json;

/// As transformers and other servers do before a template sees it.
Json cleaned(const Json& message) {
  Json out = Json::object();
  for (const auto& [key, value] : message.items())
    if (!value.is_null() && key != kAnswerMember) out[key] = value;
  if (out.contains("tool_calls") && out["tool_calls"].is_array())
    for (Json& call : out["tool_calls"]) {
      if (!call.is_object() || !call.contains("function") || !call["function"].is_object()) continue;
      Json& function = call["function"];
      if (!function.contains("arguments") || !function["arguments"].is_string()) continue;
      Json parsed = Json::parse(function["arguments"].get_ref<const std::string&>(), nullptr, /*exceptions=*/false);
      if (parsed.is_object()) function["arguments"] = std::move(parsed);
    }
  if (!out.contains("content") || out["content"].is_null()) out["content"] = "";
  return out;
}

/// Parts of text as one, for models without a template, and for templates, nearly all of which want it so.
void join_parts(Json& message) {
  Json& content = message["content"];
  if (!content.is_array()) return;
  std::string text;
  for (const Json& part : content) {
    if (!part.is_object() || !part.contains("text") || !part["text"].is_string())
      fail("a message holds a part of type '{}'; this model reads text alone",
           part.is_object() ? part.value("type", "?") : "?");
    text += part["text"].get_ref<const std::string&>();
  }
  content = std::move(text);
}

chat::Rendering pieces_of(const Json& answer) {
  chat::Rendering out;
  for (const Json& piece : answer)
    out.push_back({piece.at("text").get<std::string>(), piece.at("literal").get<bool>()});
  return out;
}

bool is_instruction(const Json& message) {
  const std::string role = message.value("role", "");
  return role == "system" || role == "developer";
}

}  // namespace

PromptReader::PromptReader(const Model& model) : model_(model), empty_(chat_form(model, /*special=*/false)) {}

chat::Conversation PromptReader::conversation_of(const Prompt& prompt, const Json& messages) const {
  chat::Conversation out = empty_;
  if (prompt.tools.is_array() && !prompt.tools.empty()) {
    if (!out.has_template()) fail("this model has no chat template, so it cannot be told of tools");
    out.set_tools(prompt.tools);
  }
  if (prompt.extra.is_object()) out.set_extra(prompt.extra);
  for (const Json& message : messages) {
    // An answer of this model's, as it wrote it: calls of tools, too, are then in its own words.
    if (message.contains(kAnswerMember) && message[kAnswerMember].is_array()) {
      out.add_answer(pieces_of(message[kAnswerMember]));
      continue;
    }
    Json clean = cleaned(message);
    join_parts(clean);
    out.add_message(clean);
  }
  return out;
}

std::vector<int32_t> PromptReader::encode(const chat::Rendering& rendering, bool first) const {
  std::vector<int32_t> out = chat::encode(model_.parts().tokenizer, rendering);
  // A template writes its own beginning.
  const int64_t bos = model_.parts().network.config.bos_id;
  if (!empty_.has_template() && first && bos >= 0) out.insert(out.begin(), static_cast<int32_t>(bos));
  return out;
}

/// Where this prompt and one whose first question is another part.
size_t PromptReader::shared_of(const Prompt& prompt, std::span<const int32_t> tokens) const {
  const auto first = std::find_if_not(prompt.messages.begin(), prompt.messages.end(), is_instruction);
  if (first == prompt.messages.end()) return 0;
  Json messages(prompt.messages.begin(), first);
  Json other = *first;
  other["content"] = "\x01";
  other.erase(kAnswerMember);
  other.erase("tool_calls");
  messages.push_back(std::move(other));
  try {
    const auto alike = encode(conversation_of(prompt, messages).render(true), prompt.base.empty());
    return static_cast<size_t>(std::mismatch(tokens.begin(), tokens.end(), alike.begin(), alike.end()).first -
                               tokens.begin());
  } catch (const Error&) {
    return 0;  // a template may refuse a conversation that is cut short
  }
}

/// `all`: bytes of the whole prompt.
size_t PromptReader::newest_bytes(const Prompt& prompt, size_t all) const {
  size_t answered = prompt.messages.size();
  while (answered > 0 && prompt.messages[answered - 1].value("role", "") != "assistant") --answered;
  if (answered == 0) return all;
  const Json known(prompt.messages.begin(), prompt.messages.begin() + static_cast<std::ptrdiff_t>(answered));
  try {
    return all - std::min(all, chat::text_of(conversation_of(prompt, known).render(false)).size());
  } catch (const Error&) {
    return all;  // a template may refuse a conversation that ends with an answer
  }
}

PromptTokens PromptReader::read(const Prompt& prompt) const {
  PromptTokens out;
  const ModelConfig& config = model_.parts().network.config;
  if (prompt.messages.is_array()) {
    const chat::Conversation conversation = conversation_of(prompt, prompt.messages);
    const chat::Rendering rendering = conversation.render(/*answer_follows=*/true);
    out.tokens = encode(rendering, prompt.base.empty());
    out.stops = conversation.stops();
    out.shared = shared_of(prompt, out.tokens);
    out.newest_bytes = newest_bytes(prompt, chat::text_of(rendering).size());
  } else {
    out.tokens = prompt.text ? model_.parts().tokenizer.encode(*prompt.text, {.parse_special = false}) : prompt.tokens;
    if (prompt.text && prompt.base.empty() && config.bos_id >= 0)
      out.tokens.insert(out.tokens.begin(), static_cast<int32_t>(config.bos_id));
  }
  for (const int32_t token : out.tokens)
    if (token < 0 || token >= config.vocab_size)
      fail_usage("prompt: token {} is outside the vocabulary of {}", token, config.vocab_size);
  return out;
}

Json PromptReader::answer(std::span<const int32_t> tokens, StopReason reason, std::string_view text) const {
  const tokenizer::Tokenizer& tokenizer = model_.parts().tokenizer;
  Json out = Json::array();
  const auto add = [&](std::string piece, bool literal) {
    if (!piece.empty()) out.push_back({{"text", std::move(piece)}, {"literal", literal}});
  };
  if (reason == StopReason::stop_string) {
    add(std::string(text), true);
    return out;
  }
  if (reason == StopReason::end_of_text && !tokens.empty()) tokens = tokens.first(tokens.size() - 1);
  for (chat::Piece& piece : chat::pieces_of_answer(tokenizer, empty_.control(), tokens))
    add(std::move(piece.text), piece.literal);
  return out;
}

}  // namespace ingrain::serve
