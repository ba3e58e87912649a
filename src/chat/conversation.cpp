#include "chat/conversation.h"

#include "base/error.h"

#include <algorithm>

namespace ingrain::chat {
namespace {

// Around a control token that a message says: two of Unicode's noncharacters, which no text has (and none may bring).
constexpr std::string_view kSaid = "\xEF\xB7\x90", kSaidEnd = "\xEF\xB7\x91";

constexpr const char* kAsWritten = "as_written";  // of an answer, where there is no template

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlank);
  return first == text.npos ? std::string_view() : text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string without_marks(std::string_view text) {
  std::string out;
  while (true) {
    const size_t mark = std::min(text.find(kSaid), text.find(kSaidEnd));
    out += text.substr(0, mark);
    if (mark == text.npos) return out;
    text.remove_prefix(mark + kSaid.size());
  }
}

void for_each_text(nlohmann::ordered_json& json, const std::function<std::string(std::string_view)>& change,
                   int depth = 0) {
  require(depth < 100, "a message is nested more than 100 deep");
  if (json.is_string())
    json = change(json.get_ref<const std::string&>());
  else if (json.is_structured())
    for (auto& item : json) for_each_text(item, change, depth + 1);
}

/// Cuts at the marks. A mark alone (a template may cut a text between two) is dropped, and still cuts: what stands on
/// its two sides does not join into a control token.
Rendering pieces_of(std::string_view text, const std::vector<std::string>& control) {
  Rendering out;
  const auto give = [&](std::string_view part, bool literal) {
    if (!part.empty()) out.push_back({std::string(part), literal});
  };
  while (!text.empty()) {
    const size_t begin = text.find(kSaid), end = text.find(kSaidEnd);
    const size_t mark = std::min(begin, end);
    if (mark == text.npos) break;
    give(text.substr(0, mark), false);
    text.remove_prefix(mark + kSaid.size());
    if (mark == end) continue;
    const size_t close = text.find(kSaidEnd);
    if (close == text.npos || std::find(control.begin(), control.end(), text.substr(0, close)) == control.end())
      continue;
    give(text.substr(0, close), true);
    text.remove_prefix(close + kSaidEnd.size());
  }
  give(text, false);
  return out;
}

}  // namespace

bool lacks_blank(std::string_view answer) { return !answer.empty() && answer[0] != ' ' && answer[0] != '\n'; }

std::string text_of(const Rendering& rendering) {
  std::string out;
  for (const Piece& piece : rendering) out += piece.text;
  return out;
}

Conversation::Conversation(Form form, std::string_view system)
    : form_(std::move(form)), messages_(nlohmann::ordered_json::array()) {
  if (form_.source) template_ = std::make_shared<const chat::ChatTemplate>(*form_.source);
  std::erase_if(form_.control, [](const std::string& token) { return token.empty(); });
  // Of tokens that begin alike, the longest.
  std::sort(form_.control.begin(), form_.control.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  for (const std::string& token : form_.control) begins_[static_cast<unsigned char>(token[0])] = true;
  if (!system.empty()) add("system", system);
}

const std::string* Conversation::control_at(std::string_view text) const {
  if (text.empty() || !begins_[static_cast<unsigned char>(text[0])]) return nullptr;
  const auto token = std::find_if(form_.control.begin(), form_.control.end(),
                                  [&](const std::string& control) { return text.starts_with(control); });
  return token == form_.control.end() ? nullptr : &*token;
}

size_t Conversation::find_control(std::string_view text) const {
  for (size_t i = 0; i < text.size(); ++i)
    if (begins_[static_cast<unsigned char>(text[i])] && control_at(text.substr(i))) return i;
  return text.npos;
}

std::string Conversation::marked(std::string_view said) const {
  std::string clean = without_marks(said);
  std::string_view rest = clean;
  std::string out;
  for (size_t at = find_control(rest); at != rest.npos; at = find_control(rest)) {
    const std::string& token = *control_at(rest.substr(at));
    out.append(rest.substr(0, at)).append(kSaid).append(token).append(kSaidEnd);
    rest.remove_prefix(at + token.size());
  }
  if (out.empty()) return clean;
  return out.append(rest);
}

void Conversation::add(std::string_view role, std::string_view content) {
  messages_.push_back({{"role", role}, {"content", marked(content)}});
}

void Conversation::add_answer(const Rendering& answer) {
  std::string content;
  for (const Piece& piece : answer) content += piece.literal ? marked(piece.text) : without_marks(piece.text);
  messages_.push_back({{"role", "assistant"}, {"content", std::move(content)}});
  if (!template_) messages_.back()[kAsWritten] = true;
}

void Conversation::add_message(nlohmann::ordered_json message) {
  require(message.is_object() && message.contains("role"), "a message is an object with a 'role'");
  for_each_text(message, [&](std::string_view text) { return marked(text); });
  messages_.push_back(std::move(message));
}

void Conversation::set_tools(const nlohmann::ordered_json& tools) {
  tools_ = tools;
  for_each_text(tools_, [&](std::string_view text) { return marked(text); });
}

Rendering Conversation::render(bool answer_follows) const {
  if (!template_) return pieces_of(as_text(), form_.control);
  chat::ChatOptions options;
  options.add_generation_prompt = answer_follows;
  options.bos_token = form_.bos_token;
  options.eos_token = form_.eos_token;
  options.tools = tools_;
  options.extra = extra_;
  for (const auto& [name, token] : form_.named) options.extra[name] = token;
  return pieces_of(template_->render(messages_, options), form_.control);
}

std::string Conversation::as_text() const {
  std::string out;
  for (const auto& message : messages_) {
    const std::string role = message.value("role", ""), content = message.value("content", "");
    if (role == "user")
      out.append("\n\nQuestion: ").append(trimmed(content)).append("\nAnswer:");
    else if (role == "assistant")
      out.append(message.contains(kAsWritten) || !lacks_blank(content) ? "" : " ").append(content);
    else
      out.append("\n\n").append(content);
  }
  return out;
}

std::vector<std::string> Conversation::stops() const {
  if (template_) return {};
  return {"\nQuestion:", "\n\n"};
}

nlohmann::ordered_json Conversation::messages() const {
  nlohmann::ordered_json out = messages_;
  for_each_text(out, without_marks);
  return out;
}

}  // namespace ingrain::chat
