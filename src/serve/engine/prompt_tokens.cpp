#include "serve/engine/prompt_tokens.h"

#include "api/chat_form.h"
#include "api/parts.h"
#include "base/error.h"
#include "base/json.h"
#include "base/option_error.h"
#include "base/utf8.h"
#include "chat/control_tokens.h"
#include "tokenizer/stream_encoder.h"

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
      auto parsed = parse_exactly(function["arguments"].get_ref<const std::string&>());
      if (parsed && parsed->is_object()) function["arguments"] = std::move(*parsed);
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

chat::Rendering first_bytes(const chat::Rendering& rendering, size_t bytes) {
  chat::Rendering out;
  for (const chat::Piece& piece : rendering) {
    if (bytes == 0) break;
    out.push_back({piece.text.substr(0, bytes), piece.literal});
    bytes -= out.back().text.size();
  }
  return out;
}

bool is_instruction(const Json& message) {
  const std::string role = message.value("role", "");
  return role == "system" || role == "developer";
}

}  // namespace

PromptReader::PromptReader(const Model& model)
    : model_(model),
      empty_(chat_form(model, /*special=*/false)),
      cuts_at_words_(tokenizer::encodes_word_by_word(model.parts().tokenizer(), {})) {
  for (const tokenizer::AddedToken& token : model.parts().tokenizer().added_tokens()) added_.insert(token.id);
}

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
    out.add_message(std::move(clean));
  }
  return out;
}

std::vector<int32_t> PromptReader::encode(const chat::Rendering& rendering, bool first) const {
  std::vector<int32_t> out = chat::encode(model_.parts().tokenizer(), rendering);
  if (const int64_t bos = bos_of(first); bos >= 0) out.insert(out.begin(), static_cast<int32_t>(bos));
  return out;
}

/// What comes before a conversation that is `first`: -1 nothing, as a template writes its own beginning.
int64_t PromptReader::bos_of(bool first) const {
  return empty_.has_template() || !first ? -1 : model_.parts().network.config.bos_id;
}

namespace {

/// A place in a rendering.
struct Place {
  size_t piece = 0, byte = 0;
};

/// Reads a rendering from its beginning.
class RenderingReader {
 public:
  RenderingReader(const chat::Rendering& rendering, const chat::Conversation& form)
      : rendering_(rendering), form_(form) {
    settle();
  }

  Place place() const { return at_; }
  /// Whether these bytes come next, as text (or as a control token), which are passed then.
  bool pass(std::string_view bytes, bool control) {
    while (!bytes.empty()) {
      if (at_.piece == rendering_.size()) return false;
      const auto& [text, literal] = rendering_[at_.piece];
      const std::string_view here = std::string_view(text).substr(at_.byte, bytes.size());
      if (!bytes.starts_with(here) || (control && (literal || here.size() < bytes.size()))) return false;
      if (!control && control_ < at_.byte + here.size()) return false;
      at_.byte += here.size();
      bytes.remove_prefix(here.size());
      settle();
    }
    return true;
  }

 private:
  /// To a byte that is there; and where the next control token is.
  void settle() {
    for (; at_.piece < rendering_.size(); at_ = {at_.piece + 1, 0}, control_ = 0) {
      const auto& [text, literal] = rendering_[at_.piece];
      if (at_.byte == text.size()) continue;
      if (at_.byte > control_ || at_.byte == 0) {
        const size_t next = literal ? text.npos : form_.find_control(std::string_view(text).substr(at_.byte));
        control_ = next == text.npos ? next : at_.byte + next;
      }
      return;
    }
  }

  const chat::Rendering& rendering_;
  const chat::Conversation& form_;
  Place at_;
  size_t control_ = 0;  // in the piece
};

}  // namespace

/// As encode(), of which text before a special token is independent, and that before a word, as a rule: the last place
/// of these that both have is where what is known may end.
std::vector<int32_t> PromptReader::encode_after(std::span<const int32_t> known, const chat::Rendering& rendering,
                                                bool first) const {
  constexpr size_t kWorthIt = 4096;  // tokens
  const tokenizer::Tokenizer& tokenizer = model_.parts().tokenizer();
  if (known.size() < kWorthIt) return encode(rendering, first);
  RenderingReader reader(rendering, empty_);
  Place cut;
  size_t kept = 0;
  bool within = false;  // a text, which goes on after the cut
  const int64_t bos = bos_of(first);
  if (bos >= 0 && known[0] != bos) return encode(rendering, first);
  for (size_t i = bos >= 0 ? 1 : 0; i < known.size(); ++i) {
    const bool special = tokenizer.is_special(known[i]);
    const std::string_view bytes = tokenizer.id_to_bytes(known[i]);
    const Place here = reader.place();
    if (!reader.pass(bytes, special)) break;
    const bool word = cuts_at_words_ && i > 0 && here.byte > 0 && !added_.contains(known[i]) &&
                      tokenizer::is_between_words(tokenizer.id_to_bytes(known[i - 1]), bytes) &&
                      !added_.contains(known[i - 1]);
    if (special || word) cut = here, kept = i, within = word;
  }
  if (kept == 0) return encode(rendering, first);
  std::vector<int32_t> out(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(kept));
  for (size_t i = cut.piece; i < rendering.size(); ++i) {
    const auto& [text, literal] = rendering[i];
    const std::string_view rest = std::string_view(text).substr(i == cut.piece ? cut.byte : 0);
    const bool goes_on = within && i == cut.piece;
    const auto tokens = goes_on ? tokenizer.encode(rest, {.parse_added = !literal, .continues = true})
                                : chat::encode_part(tokenizer, rest, literal, /*is_first=*/false);
    out.insert(out.end(), tokens.begin(), tokens.end());
  }
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

namespace {

/// What a message says, as templates write it: without white space around it.
std::string said_by(const Json& message) {
  std::string out;
  if (message.contains(kAnswerMember) && message[kAnswerMember].is_array())
    out = chat::text_of(pieces_of(message[kAnswerMember]));
  else if (message.contains("content") && message["content"].is_string())
    out = message["content"].get<std::string>();
  const size_t begin = out.find_first_not_of(" \t\r\n"), end = out.find_last_not_of(" \t\r\n");
  return begin == out.npos ? std::string() : out.substr(begin, end + 1 - begin);
}

/// Where what the first of these messages says ends in a text of which they are the last; nothing if that is not plain.
std::optional<size_t> end_of_first(std::span<const Json> messages, std::string_view text) {
  for (size_t i = messages.size(); i-- > 0;) {
    const std::string said = said_by(messages[i]);
    const size_t at = text.rfind(said);
    if (at == text.npos || (i == 0 && said.empty())) return std::nullopt;
    if (i == 0) return at + said.size();
    text = text.substr(0, at);
  }
  return std::nullopt;
}

}  // namespace

bool PromptReader::lacks_of_answers(const Prompt& prompt, const PromptTokens& read, size_t known) const {
  if (!prompt.messages.is_array()) return false;
  size_t answered = prompt.messages.size() - (prompt.continues ? 1 : 0);
  while (answered > 0 && prompt.messages[answered - 1].value("role", "") != "assistant") --answered;
  if (answered == 0) return false;
  const auto at = [&](size_t i) { return prompt.messages.begin() + static_cast<std::ptrdiff_t>(i); };
  const std::vector<Json> last(at(answered - 1), prompt.messages.end());
  const auto end = end_of_first(last, read.text);
  if (end && known >= *end) return false;
  // Words of an answer may come later, too: where it begins, the prompt before it says.
  constexpr size_t kForm = 32;  // a template's words after an answer
  const auto text = [&](size_t messages, bool answer_follows) {
    return chat::text_of(conversation_of(prompt, Json(at(0), at(messages))).render(answer_follows));
  };
  try {
    const std::string before = text(answered - 1, true);
    if (last[0].contains("tool_calls") && !last[0].contains(kAnswerMember))
      return known <= before.size() || known + kForm < text(answered, false).size();
    if (!read.text.starts_with(before)) return end.has_value();
    const std::string said = said_by(last[0]);
    const size_t found = read.text.find(said, before.size());
    return found == read.text.npos || known < found + said.size();
  } catch (const Error&) {
    return false;  // a template may refuse a conversation that ends with an answer
  }
}

PromptTokens PromptReader::read(const Prompt& prompt, std::span<const int32_t> known) const {
  PromptTokens out;
  const ModelConfig& config = model_.parts().network.config;
  if (prompt.messages.is_array()) {
    const chat::Rendering rendering = rendering_of(prompt, prompt.messages);
    out.tokens = encode_after(known, rendering, prompt.base.empty());
    out.stops = empty_.stops();
    out.shared = shared_of(prompt, out.tokens);
    out.text = chat::text_of(rendering);
  } else {
    out.tokens =
        prompt.text ? model_.parts().tokenizer().encode(*prompt.text, {.parse_special = false}) : prompt.tokens;
    if (prompt.text && prompt.base.empty() && config.bos_id >= 0)
      out.tokens.insert(out.tokens.begin(), static_cast<int32_t>(config.bos_id));
  }
  for (const int32_t token : out.tokens)
    if (token < 0 || token >= config.vocab_size)
      fail_option("prompt", "has token {}, which is outside the vocabulary of {}", token, config.vocab_size);
  return out;
}

std::string PromptReader::text(const Prompt& prompt) const {
  if (!prompt.messages.is_array()) return prompt.text.value_or("");
  return chat::text_of(rendering_of(prompt, prompt.messages));
}

/// Up to where the answer begins, or goes on.
chat::Rendering PromptReader::rendering_of(const Prompt& prompt, const Json& messages) const {
  if (!prompt.continues) return conversation_of(prompt, messages).render(/*answer_follows=*/true);
  if (!empty_.has_template()) return conversation_of(prompt, messages).render(/*answer_follows=*/false);
  const Json said(messages.begin(), messages.end() - 1);
  const chat::Rendering next = next_prompt(prompt, said, messages.back(), "\x01");
  return first_bytes(next, end_of_answer(prompt, said, messages.back(), chat::text_of(next)));
}

std::string PromptReader::bytes_of(std::span<const int32_t> tokens) const {
  std::string out;
  for (const int32_t token : tokens) out += model_.parts().tokenizer().id_to_bytes(token);
  return out;
}

/// A grammar may end an answer without one.
bool PromptReader::ended_by_token(std::span<const int32_t> tokens) const {
  const std::vector<int64_t>& ends = model_.parts().network.config.eos_ids;
  return !tokens.empty() && std::find(ends.begin(), ends.end(), tokens.back()) != ends.end();
}

/// After an answer a question follows, or what its first call gave.
chat::Rendering PromptReader::next_prompt(const Prompt& prompt, const Json& said, const Json& answer,
                                          const char* question) const {
  Json messages = said;
  messages.push_back(answer);
  Json next = {{"role", "user"}, {"content", question}};
  if (answer.contains("tool_calls")) {
    const Json& call = answer["tool_calls"][0];
    next["role"] = "tool";
    next["tool_call_id"] = call["id"];
    next["name"] = call["function"]["name"];
  }
  messages.push_back(std::move(next));
  return conversation_of(prompt, messages).render(/*answer_follows=*/false);
}

/// Bytes of `text`, the rendering of next_prompt(), up to the end of the answer: where it would be other if the answer
/// went on; after calls, the last token that ends an answer. Error if there is none.
size_t PromptReader::end_of_answer(const Prompt& prompt, const Json& said, Json answer, std::string_view text) const {
  const auto parts_from = [&](const chat::Rendering& rendering) {
    const std::string other = chat::text_of(rendering);
    return static_cast<size_t>(std::mismatch(text.begin(), text.end(), other.begin(), other.end()).first -
                               text.begin());
  };
  if (!answer.contains("tool_calls")) {
    if (answer.contains(kAnswerMember))
      answer[kAnswerMember].push_back({{"text", "\x02"}, {"literal", true}});
    else
      answer["content"] = answer.value("content", "") + "\x02";
    return parts_from(next_prompt(prompt, said, answer, "\x01"));
  }
  const std::string_view before = text.substr(0, parts_from(next_prompt(prompt, said, answer, "\x02")));
  size_t end = 0;
  for (const int64_t id : model_.parts().network.config.eos_ids) {
    const std::string_view close = model_.parts().tokenizer().id_to_bytes(static_cast<int32_t>(id));
    if (const size_t at = close.empty() ? before.npos : before.rfind(close); at != before.npos) end = std::max(end, at);
  }
  require(end > 0, "the template does not end calls by a token");
  return end;
}

std::optional<std::vector<int32_t>> PromptReader::text_after(const Prompt& prompt, const PromptTokens& read,
                                                             const Json& returned, std::span<const int32_t> tokens,
                                                             StopReason reason) const {
  if (!prompt.messages.is_array()) return std::nullopt;
  if (!returned.is_null() && reason != StopReason::end_of_text) return std::nullopt;
  const Json& asked = prompt.said.is_array() ? prompt.said : prompt.messages;
  const bool first = prompt.base.empty();
  const std::string bytes = bytes_of(tokens);
  if (!empty_.has_template()) {
    if (!prompt.said.is_array() && is_utf8(bytes)) return std::nullopt;
    chat::Rendering next = rendering_of(prompt, asked);
    next.push_back({utf8_lossy(bytes), /*literal=*/true});
    return encode(next, first);
  }
  Json answer =
      returned.is_null() ? Json{{"role", "assistant"}, {"content", ""}, {kAnswerMember, as_pieces(tokens)}} : returned;
  Json said = asked;
  if (prompt.continues) {
    const std::string begun = asked.back().value("content", "");
    said.erase(said.size() - 1);
    if (returned.is_null())
      answer[kAnswerMember].insert(answer[kAnswerMember].begin(), Json{{"text", begun}, {"literal", true}});
    else
      answer["content"] = begun + answer.value("content", "");
  }
  try {
    const chat::Rendering next = next_prompt(prompt, said, answer, "\x01");
    const std::string text = chat::text_of(next);
    const std::string before = prompt.said.is_array() ? chat::text_of(rendering_of(prompt, asked)) : read.text;
    const std::string said_now =
        answer.contains(kAnswerMember) ? chat::text_of(pieces_of(answer[kAnswerMember])) : answer.value("content", "");
    // Most templates write the prompt, the answer and what follows; others are asked where the answer ends.
    const bool plain = !prompt.continues && !answer.contains("tool_calls") && text.starts_with(before) &&
                       std::string_view(text).substr(before.size()).starts_with(said_now);
    size_t end = plain ? before.size() + said_now.size() : end_of_answer(prompt, said, answer, text);
    const std::string_view close =
        ended_by_token(tokens) ? model_.parts().tokenizer().id_to_bytes(tokens.back()) : std::string_view();
    if (std::string_view(text).substr(end).starts_with(close)) end += close.size();
    const std::string_view known_as = std::string_view(text).substr(0, end);
    // It must not be taken for the prompt itself, which others may go on from.
    if (before.starts_with(known_as)) return std::nullopt;
    if (read.text + bytes == known_as) return std::nullopt;  // as it was read and written
    return encode(first_bytes(next, end), first);
  } catch (const Error&) {
    return std::nullopt;  // a template may refuse what comes next
  }
}

Json PromptReader::answer(std::span<const int32_t> tokens, StopReason reason, std::string_view text) const {
  if (reason != StopReason::stop_string) return as_pieces(tokens);
  return text.empty() ? Json::array() : Json::array({{{"text", text}, {"literal", true}}});
}

Json PromptReader::as_pieces(std::span<const int32_t> tokens) const {
  const tokenizer::Tokenizer& tokenizer = model_.parts().tokenizer();
  Json out = Json::array();
  const auto add = [&](std::string piece, bool literal) {
    if (!piece.empty()) out.push_back({{"text", std::move(piece)}, {"literal", literal}});
  };
  if (ended_by_token(tokens)) tokens = tokens.first(tokens.size() - 1);
  // A character that was cut comes back as U+FFFD: so its answer is text alone.
  if (const std::string bytes = bytes_of(tokens); !is_utf8(bytes)) {
    add(utf8_lossy(bytes), true);
    return out;
  }
  for (chat::Piece& piece : chat::pieces_of_answer(tokenizer, empty_.control(), tokens))
    add(std::move(piece.text), piece.literal);
  return out;
}

}  // namespace ingrain::serve
